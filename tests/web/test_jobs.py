"""Jobs without HTTP: turns, progress, cancelling, what is kept."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from facemix.errors import Busy, FaceGone, JobGone, JobUnfinished, StorageFull
from facemix.serving.types import Cost
from facemix.storage.memory_shelf import MemoryShelf
from facemix.web import jobs as module
from facemix.web.jobs import Jobs, Result
from facemix.web.shelf import AsyncShelf


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "TELL_SECONDS", 0.01)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


def shelf(clock=None, most=1 << 20):
    return AsyncShelf(MemoryShelf(most, *([clock] if clock else [])))


def made(data=b"film"):
    return Result(data, "image/gif", "facemix.gif", ("a note",))


async def work(progress):
    progress.model, progress.cost = "tiny@1", Cost(frames_decoded=2)
    progress.advance(2)
    return made()


class Held:
    """Work that lasts until it is let go."""

    def __init__(self):
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.progress = None

    async def __call__(self, progress):
        self.progress = progress
        progress.advance()
        self.began.set()
        await self.go.wait()
        return made()


async def ended(jobs, identity, owner=None):
    while (job := await jobs.get(identity, owner=owner)).state in ("queued", "running"):
        await asyncio.sleep(0.005)
    return job


def run(test):
    """Runs a coroutine function with a fresh loop, and fails it when it hangs."""
    return asyncio.run(asyncio.wait_for(test(), 20))


def test_a_job_tells_how_it_stands_and_gives_its_result():
    async def test():
        told = []
        jobs = Jobs(shelf(), seconds=60, account=told.append)
        held = Held()
        first = await jobs.submit("animation", 5, held, owner=None)
        second = await jobs.submit("animation", 2, work, owner=None)
        await held.began.wait()
        states = [(await jobs.get(job.id, owner=None)).state for job in (first, second)]
        assert states == ["running", "queued"]
        assert (await jobs.get(first.id, owner=None)).done == 1
        with pytest.raises(JobUnfinished, match="running"):
            await jobs.result(first.id, owner=None)
        held.go.set()
        assert (await ended(jobs, first.id)).done == 5
        assert (await ended(jobs, second.id)).notes == ("a note",)
        job, data = await jobs.result(second.id, owner=None)
        assert (data, job.media_type, job.filename, job.bytes) == (b"film", "image/gif", "facemix.gif", 4)
        assert job.expires_at <= datetime.now(UTC) + timedelta(seconds=60)
        assert jobs.inside == 0
        assert [(one.status, one.model, one.cost.frames_decoded) for one in told] == [
            (200, None, 0),
            (200, "tiny@1", 2),
        ]

    run(test)


def test_a_refusal_in_a_job_is_told_as_a_problem_and_a_defect_without_its_cause(caplog):
    async def test():
        jobs = Jobs(shelf(), seconds=60)

        async def refused(progress):
            raise FaceGone("there is no face 'x'", hint="upload it again", where="parents.0")

        async def broken(progress):
            raise ZeroDivisionError("secret inner workings")

        first = await ended(jobs, (await jobs.submit("animation", 1, refused, owner=None)).id)
        second = await ended(jobs, (await jobs.submit("animation", 1, broken, owner=None)).id)
        assert first.state == second.state == "failed"
        assert (first.problem["code"], first.problem["where"]) == ("face_gone", "parents.0")
        assert second.problem["code"] == "internal"
        assert "secret" not in json.dumps(second.problem)
        with pytest.raises(JobUnfinished, match="failed"):
            await jobs.result(first.id, owner=None)

    run(test)
    assert "secret inner workings" in caplog.text


def test_deleting_gives_up_what_is_worked_on_and_what_waits():
    async def test():
        told = []
        jobs = Jobs(shelf(), seconds=60, account=told.append)
        held, waiting = Held(), Held()
        first = await jobs.submit("animation", 5, held, owner=None)
        second = await jobs.submit("animation", 5, waiting, owner=None)
        await held.began.wait()
        for job in (second, first):
            await jobs.delete(job.id, owner=None)
            with pytest.raises(JobGone):
                await jobs.get(job.id, owner=None)
            with pytest.raises(JobGone):
                await jobs.delete(job.id, owner=None)
        assert held.progress.stop()
        assert not waiting.began.is_set()
        assert [one.status for one in told] == [499, 499]
        assert jobs.inside == 0

    run(test)


def test_deleting_forgets_the_result():
    async def test():
        kept = shelf()
        jobs = Jobs(kept, seconds=60)
        job = await ended(jobs, (await jobs.submit("animation", 2, work, owner=None)).id)
        assert kept.shelf.held_bytes > 0
        await jobs.delete(job.id, owner=None)
        assert kept.shelf.held_bytes == 0

    run(test)


def test_a_job_belongs_to_its_key():
    async def test():
        jobs = Jobs(shelf(), seconds=60)
        job = await jobs.submit("animation", 2, work, owner="anna")
        for owner in (None, "ben"):
            for ask in (jobs.get, jobs.result, jobs.delete):
                with pytest.raises(JobGone):
                    await ask(job.id, owner=owner)
        assert (await ended(jobs, job.id, "anna")).state == "done"
        listed, following = await jobs.list(owner="anna", limit=10, after=None)
        assert [one.id for one in listed] == [job.id]
        assert following is None
        assert (await jobs.list(owner="ben", limit=10, after=None))[0] == []

    run(test)


def test_too_many_that_wait_are_refused():
    async def test():
        jobs = Jobs(shelf(), seconds=60, most=1)
        held = Held()
        for _ in range(2):
            await jobs.submit("animation", 1, held, owner=None)
        with pytest.raises(Busy, match="2 jobs"):
            await jobs.submit("animation", 1, held, owner=None)
        held.go.set()
        while jobs.inside:
            await asyncio.sleep(0.005)
        await jobs.submit("animation", 1, work, owner=None)
        await jobs.close()

    run(test)


def test_a_result_expires_when_it_says():
    async def test():
        clock = Clock()
        jobs = Jobs(shelf(clock), seconds=60)
        job = await ended(jobs, (await jobs.submit("animation", 2, work, owner=None)).id)
        assert job.expires_at == clock.now + timedelta(seconds=60)
        clock.now += timedelta(seconds=59)
        await jobs.result(job.id, owner=None)
        clock.now += timedelta(seconds=2)
        with pytest.raises(JobGone):
            await jobs.result(job.id, owner=None)

    run(test)


def test_another_replica_tells_of_a_job_and_can_give_it_up():
    async def test():
        kept = shelf()
        mine, other = Jobs(kept, seconds=60), Jobs(kept, seconds=60)
        held = Held()
        job = await mine.submit("animation", 4, held, owner=None)
        await held.began.wait()
        held.progress.advance(2)
        while (await other.get(job.id, owner=None)).done != 3:
            await asyncio.sleep(0.005)
        assert (await other.get(job.id, owner=None)).state == "running"
        await other.delete(job.id, owner=None)
        while mine.inside:
            await asyncio.sleep(0.005)
        assert held.progress.stop()
        with pytest.raises(JobGone):
            await mine.get(job.id, owner=None)

    run(test)


def test_a_job_whose_process_is_gone_is_told_as_failed(monkeypatch):
    async def test():
        kept = shelf()
        jobs = Jobs(kept, seconds=60)
        held = Held()
        job = await jobs.submit("animation", 4, held, owner=None)
        await held.began.wait()
        await asyncio.sleep(0.05)
        other = Jobs(kept, seconds=60)
        assert (await other.get(job.id, owner=None)).state == "running"
        monkeypatch.setattr(module, "LOST_SECONDS", 0.0)
        lost = await other.get(job.id, owner=None)
        assert (lost.state, lost.problem["code"]) == ("failed", "busy")
        await jobs.close()

    run(test)


def test_a_result_for_which_there_is_no_room_fails_the_job():
    async def test():
        jobs = Jobs(shelf(most=20_000), seconds=60)

        async def large(progress):
            return made(b"x" * 100_000)

        job = await ended(jobs, (await jobs.submit("animation", 1, large, owner=None)).id)
        assert (job.state, job.problem["code"]) == ("failed", StorageFull.code)

    run(test)


def test_closing_gives_up_everything():
    async def test():
        jobs = Jobs(shelf(), seconds=60)
        held = Held()
        job = await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        await jobs.close()
        assert (await jobs.get(job.id, owner=None)).state == "cancelled"
        assert jobs.inside == 0

    run(test)
