"""Jobs without HTTP: turns, progress, cancelling, what is kept."""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from facemix.errors import Busy, FaceGone, JobGone, JobUnfinished, Stopping, StorageFull
from facemix.serving.types import Cost
from facemix.storage.memory_shelf import MemoryShelf
from facemix.web import job_notes
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


class Slow(MemoryShelf):
    """A shelf whose writing takes a while, or waits until it is let go."""

    waits = True

    def __init__(self, seconds=0.0, go=None):
        super().__init__(1 << 20)
        self.seconds, self.go = seconds, go

    def _wait(self):
        time.sleep(self.seconds)
        assert self.go is None or self.go.wait(60)

    def put(self, *args, **options):
        self._wait()
        return super().put(*args, **options)

    def update(self, *args, **options):
        self._wait()
        return super().update(*args, **options)

    def delete(self, *args, **options):
        self._wait()
        return super().delete(*args, **options)


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
    return asyncio.run(asyncio.wait_for(test(), 60))


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
        jobs = Jobs(shelf(clock), seconds=60, clock=clock)
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
        other = Jobs(kept, seconds=60)
        while (state := (await other.get(job.id, owner=None)).state) == "queued":
            await asyncio.sleep(0.005)  # the word that it runs is on its way
        assert state == "running"
        monkeypatch.setattr(job_notes, "LOST_SECONDS", 0.0)
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


async def until(condition):
    while not condition():
        await asyncio.sleep(0.002)


@pytest.mark.parametrize(("kept", "count"), [(MemoryShelf(1 << 20), 40), (Slow(0.004), 5)], ids=["memory", "slow"])
def test_many_that_delete_a_job_at_once_leave_its_slot_free(kept, count):
    async def test():
        told = []
        jobs = Jobs(AsyncShelf(kept), seconds=60, at_once=2, account=told.append)
        for number in range(count):
            held = Held()
            job = await jobs.submit("animation", 1, held, owner=None)
            if number % 2:
                await held.began.wait()
            answers = await asyncio.gather(*(jobs.delete(job.id, owner=None) for _ in range(6)), return_exceptions=True)
            assert None in answers
            assert all(one is None or isinstance(one, JobGone) for one in answers)
            assert jobs.inside == 0
        assert [one.status for one in told] == [499] * count
        assert kept.held_bytes == 0

    run(test)


@pytest.mark.parametrize("ticks", range(8))
def test_a_second_delete_may_come_at_any_moment_of_the_first(ticks):
    async def test():
        jobs = Jobs(shelf(), seconds=60)
        held = Held()
        job = await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        first = asyncio.create_task(jobs.delete(job.id, owner=None))
        for _ in range(ticks):
            await asyncio.sleep(0)
        await asyncio.gather(first, jobs.delete(job.id, owner=None), return_exceptions=True)
        assert jobs.inside == 0

    run(test)


def test_a_job_that_is_deleted_while_its_result_is_written_leaves_none():
    async def test():
        go, told = threading.Event(), []
        go.set()
        slow = Slow(go=go)
        jobs = Jobs(AsyncShelf(slow), seconds=60, account=told.append)
        held = Held()
        job = await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        go.clear()
        held.go.set()
        deleting = [asyncio.create_task(jobs.delete(job.id, owner=None)) for _ in range(2)]
        await asyncio.sleep(0.05)
        deleting.append(asyncio.create_task(jobs.delete(job.id, owner=None)))
        await asyncio.sleep(0.01)
        go.set()
        await asyncio.gather(*deleting, return_exceptions=True)
        assert jobs.inside == 0
        assert len(told) == 1
        assert slow.held_bytes == 0

    run(test)


def test_a_result_whose_job_another_replica_has_deleted_meanwhile_is_not_kept():
    async def test():
        go = threading.Event()
        go.set()
        slow = Slow(go=go)
        jobs = Jobs(AsyncShelf(slow), seconds=60)
        held = Held()
        job = await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        go.clear()
        held.go.set()
        await asyncio.sleep(0.05)
        MemoryShelf.delete(slow, "job", job.id, owner=None)
        go.set()
        await until(lambda: not jobs.inside)
        assert slow.held_bytes == 0

    run(test)


def test_the_last_word_is_the_last_that_is_written():
    class Late(Slow):
        """Whatever it is told of a job that runs takes longest."""

        def update(self, *args, note, **options):
            time.sleep(0.1 if '"running"' in note else 0)
            return MemoryShelf.update(self, *args, note=note, **options)

    async def test():
        late = Late()
        jobs = Jobs(AsyncShelf(late), seconds=60)
        held = Held()
        job = await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        await asyncio.sleep(0.03)  # the word that it runs is on its way
        held.go.set()
        await until(lambda: not jobs.inside)
        await asyncio.sleep(0.15)
        assert (await jobs.get(job.id, owner=None)).state == "done"

    run(test)


def test_those_that_come_at_once_are_bounded_as_well():
    async def test():
        jobs = Jobs(AsyncShelf(Slow(0.01)), seconds=60, most=2, most_bytes=100)

        async def submitted(holds):
            answers = await asyncio.gather(
                *(jobs.submit("animation", 1, Held(), owner=None, holds=holds) for _ in range(10)),
                return_exceptions=True,
            )
            assert all(isinstance(one, Busy) for one in answers if isinstance(one, Exception))
            taken = [one.id for one in answers if not isinstance(one, Exception)]
            for identity in taken:
                await jobs.delete(identity, owner=None)
            return len(taken)

        assert await submitted(0) == 3
        assert await submitted(90) == 1
        assert await submitted(50) == 2
        assert jobs.inside == 0

    run(test)


@pytest.mark.parametrize("leaving", ["stop", "client"])
def test_a_job_that_nobody_waits_for_any_more_leaves_nothing(leaving):
    async def test():
        go = threading.Event()
        slow = Slow(go=go)
        jobs = Jobs(AsyncShelf(slow), seconds=60)
        held = Held()
        coming = asyncio.create_task(jobs.submit("animation", 1, held, owner=None))
        await asyncio.sleep(0.03)
        if leaving == "stop":
            await jobs.close()
        else:
            coming.cancel()
        go.set()
        with pytest.raises(Stopping if leaving == "stop" else asyncio.CancelledError):
            await coming
        await asyncio.sleep(0.03)
        await until(lambda: slow.held_bytes == 0)
        assert jobs.inside == 0
        assert not held.began.is_set()

    run(test)


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_a_job_is_not_found_any_more_when_it_has_expired(end):
    async def test():
        clock = Clock()
        kept = shelf(clock)
        jobs = Jobs(kept, seconds=60, clock=clock)

        async def ending(progress):
            if end == "failed":
                raise FaceGone("there is no face 'x'", hint="upload it again")
            if end == "cancelled":
                raise asyncio.CancelledError
            return made()

        job = await ended(jobs, (await jobs.submit("animation", 1, ending, owner="anna")).id, "anna")
        assert job.state == end
        await until(lambda: not jobs.inside)
        for other in (jobs, Jobs(kept, seconds=60, clock=clock)):
            job = await other.get(job.id, owner="anna")
            assert job.expires_at == clock.now + timedelta(seconds=60)
        clock.now += timedelta(seconds=59)
        assert len((await jobs.list(owner="anna", limit=10, after=None))[0]) == 1
        clock.now += timedelta(seconds=1)
        assert await jobs.list(owner="anna", limit=10, after=None) == ([], None)
        with pytest.raises(JobGone):
            await jobs.get(job.id, owner="anna")
        kept.shelf.sweep()
        assert kept.shelf.held_bytes == 0

    run(test)


def test_asking_for_an_expired_job_deletes_its_record():
    async def test():
        clock = Clock()
        kept = shelf(clock)
        jobs = Jobs(kept, seconds=60, clock=clock)
        job = await ended(jobs, (await jobs.submit("animation", 2, work, owner=None)).id)
        clock.now += timedelta(seconds=61)
        with pytest.raises(JobGone):
            await jobs.get(job.id, owner=None)
        with pytest.raises(JobGone):
            await jobs.delete(job.id, owner=None)

    run(test)


def test_a_shelf_that_hangs_holds_up_no_stop(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)

    async def test():
        go = threading.Event()
        go.set()
        jobs = Jobs(AsyncShelf(Slow(go=go)), seconds=60)
        held = Held()
        await jobs.submit("animation", 1, held, owner=None)
        await held.began.wait()
        go.clear()
        await jobs.close()
        assert held.progress.stop()
        assert not go.is_set()
        go.set()
        await until(lambda: not jobs.inside)

    run(test)


@pytest.mark.parametrize("way", ["done", "failed", "deleted", "refused", "closed", "full", "left"])
def test_what_a_job_holds_is_let_go_of_once_whatever_becomes_of_it(way):
    async def test():
        kept = Slow(seconds=0.05) if way == "left" else MemoryShelf(1 if way == "full" else 1 << 20)
        jobs = Jobs(AsyncShelf(kept), seconds=60, most_bytes=100)
        held, let_go = Held(), []

        async def broken(progress):
            raise FaceGone("it is gone", hint="upload it again")

        if way == "refused":
            await jobs.submit("animation", 1, held, owner=None, holds=90)
        if way == "closed":
            await jobs.close()
        asking = asyncio.ensure_future(
            jobs.submit(
                "animation",
                1,
                broken if way == "failed" else held,
                owner=None,
                holds=20,
                release=lambda: let_go.append(way),
            )
        )
        if way == "left":
            await asyncio.sleep(0)
            asking.cancel()
        ending = {
            "refused": Busy,
            "closed": Stopping,
            "full": StorageFull,
            "left": asyncio.CancelledError,
        }.get(way)
        if ending is not None:
            with pytest.raises(ending):
                await asking
        else:
            job = await asking
            if way != "failed":
                await held.began.wait()
                assert let_go == []
            if way == "done":
                held.go.set()
            if way == "deleted":
                await jobs.delete(job.id, owner=None)
            await until(lambda: not jobs.inside)
        assert let_go == [way]
        held.go.set()

    run(test)


def test_a_job_that_holds_nothing_waits_beside_one_that_holds_too_much():
    async def test():
        jobs = Jobs(shelf(), seconds=60, most_bytes=100)
        held = Held()
        await jobs.submit("batch", 1, held, owner=None, holds=1000)
        with pytest.raises(Busy):
            await jobs.submit("batch", 1, held, owner=None, holds=1)
        await jobs.submit("animation", 1, held, owner=None)
        held.go.set()
        await until(lambda: not jobs.inside)

    run(test)


def test_what_a_problem_says_can_be_sent():
    async def test():
        jobs = Jobs(shelf(), seconds=60)

        async def refused(progress):
            raise FaceGone("there is no face '\ud800'", hint="upload it again", where="\ud800")

        job = await ended(jobs, (await jobs.submit("animation", 1, refused, owner=None)).id)
        assert json.dumps(job.problem, ensure_ascii=False).encode()

    run(test)
