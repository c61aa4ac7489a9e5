"""Work that takes longer than a request: queued, worked on beside the requests, told of, cancelled, kept for a while.

Job and result lie on the shelf, so that every replica that shares one can tell of them; the work itself is done by the
process that took the request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from facemix.errors import Busy, FacemixError, JobUnfinished, RecordMissing, Stopping, StorageUnavailable
from facemix.serving.meter import meter
from facemix.settings import MEBIBYTE
from facemix.storage.shelf import Clock, Kept, utc_now
from facemix.web.job_notes import LONGEST_SECONDS, Job, gone, job_of, note_of, problem_of
from facemix.web.job_work import Account, Entry, Progress, Result, Work
from facemix.web.problems import internal_error
from facemix.web.shelf import AsyncShelf

log = logging.getLogger("facemix.web")

KIND, RESULT_KIND = "job", "job-result"
TELL_SECONDS = 0.5  # so often at most is progress written to the shelf
BEAT_SECONDS = 2.0  # so often at least
CLOSE_SECONDS = 5.0  # so long a stop waits for jobs that it has given up


class Jobs:
    """The jobs of one application. Belongs to one event loop.

    Args:
        seconds: how long a job that has ended is kept, with its result.
        at_once: how many are worked on at a time.
        most: how many may wait beside those; further ones are refused.
        most_bytes: how much memory what they work on may take together.
        account: hears of every job that has ended.
        clock: the time, in UTC; the shelf's.
    """

    def __init__(
        self,
        shelf: AsyncShelf,
        *,
        seconds: float,
        at_once: int = 1,
        most: int = 16,
        most_bytes: int = 256 * MEBIBYTE,
        account: Account = lambda ended: None,
        clock: Clock = utc_now,
    ) -> None:
        self._shelf, self._seconds, self._most, self._account = shelf, seconds, most, account
        self._most_bytes, self._clock = most_bytes, clock
        self._turns = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._mine: dict[str, Entry] = {}
        self._coming: list[int] = []  # bytes that each holds of those that are being written down
        self._closed = False

    @property
    def inside(self) -> int:
        """Jobs that wait or are worked on."""
        return len(self._mine) + len(self._coming)

    async def submit(
        self,
        kind: str,
        total: int,
        work: Work,
        *,
        owner: str | None,
        holds: int = 0,
        release: Callable[[], None] = lambda: None,
    ) -> Job:
        """Queues a job. For whoever leaves meanwhile there is none.

        Args:
            holds: bytes of memory that `work` holds until it has ended.
            release: lets go of them: called when the job has ended, and at once where there will be none.

        Raises:
            Busy: too many wait already, or they hold too much.
            Stopping: the server takes nothing new.
            StorageFull, StorageUnavailable: it cannot be written down.
        """
        try:
            job = await self._written(kind, total, owner, holds)
        except BaseException:
            release()
            raise
        progress = Progress(lambda done: entry.change(done=min(done, total)))
        working = asyncio.create_task(self._work(work, progress, lambda: entry.change(state="running")))
        entry = self._mine[job.id] = Entry(job, owner, holds, progress, working, release)
        entry.task = asyncio.create_task(self._run(entry))
        return job

    async def _written(self, kind: str, total: int, owner: str | None, holds: int) -> Job:
        """The job, on the shelf. Raises as `submit`."""
        self._check_open()
        self._check_room(holds)
        job = Job("", kind, "queued", 0, total, datetime.now(UTC), datetime.now(UTC))
        longest = LONGEST_SECONDS + self._seconds
        self._coming.append(holds)
        try:
            kept = await self._shelf.put(KIND, b"", owner=owner, seconds=longest, note=note_of(job))
        finally:
            self._coming.remove(holds)
        try:
            self._check_open()
        except Stopping:
            with suppress(RecordMissing, StorageUnavailable):
                await self._shelf.delete(KIND, kept.id, owner=owner)
            raise
        return replace(job, id=kept.id, created_at=kept.created_at, expires_at=kept.expires_at)

    async def get(self, identity: str, *, owner: str | None) -> Job:
        """How a job stands. Raises `JobGone`: unknown, expired, deleted, or another key's."""
        mine = self._mine.get(identity)  # looked at first: a job may end while the shelf is asked
        job = await self._seen(await self._kept(identity, owner), mine)
        if job is None:
            raise gone(identity)
        return job

    async def list(self, *, owner: str, limit: int, after: str | None) -> tuple[list[Job], str | None]:
        """The jobs of an API key, newest first, and where the next page begins. Raises `RequestInvalid`."""
        mine = dict(self._mine)
        found, following = await self._shelf.list(KIND, owner=owner, limit=limit, after=after)
        jobs = [await self._seen(kept, mine.get(kept.id)) for kept in found]
        return [job for job in jobs if job is not None], following

    async def result(self, identity: str, *, owner: str | None) -> tuple[Job, bytes]:
        """What a job has made.

        Raises:
            JobGone: see `get`; or the result is not kept any more.
            JobUnfinished: it has not ended yet, or not well.
        """
        job = await self.get(identity, owner=owner)
        if job.state != "done" or job.result is None:
            raise JobUnfinished(
                f"the job is {job.state}",
                hint="its state says why; start another" if job.ended else "ask again when its state is done",
                state=job.state,
            )
        try:
            return job, (await self._shelf.get(RESULT_KIND, job.result, owner=owner)).data
        except RecordMissing as error:
            raise gone(identity) from error

    async def delete(self, identity: str, *, owner: str | None) -> None:
        """Gives a job up if it has not ended, and forgets it and its result. Raises `JobGone`."""
        entry = self._mine.get(identity)
        kept = await self._kept(identity, owner)
        if entry is not None and entry.task is not None:
            entry.give_up()
            await asyncio.wait((entry.task,))
        # What another request has deleted meanwhile has no note any more, and a result all the same.
        job = job_of(kept) if entry is None else entry.job
        await self._forget_result(job, owner)
        with suppress(RecordMissing):  # another replica, which works on it, sees that it is gone and gives it up
            await self._shelf.delete(KIND, identity, owner=owner)

    def fail(self, error: FacemixError) -> None:
        """Gives up what has not ended: it has failed, with that error."""
        for entry in self._mine.values():
            entry.fail(error)

    async def close(self) -> None:
        """Gives up what has not ended. A shelf that hangs is waited for no longer than `CLOSE_SECONDS`."""
        self._closed = True
        for entry in self._mine.values():
            entry.give_up()
        tasks = [entry.task for entry in self._mine.values() if entry.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    def _check_open(self) -> None:
        if self._closed:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)

    def _check_room(self, holds: int) -> None:
        if self.inside >= self._at_once + self._most:
            raise Busy(f"{self.inside} jobs are worked on or wait", hint="try again when some are done", retry_after=10)
        held = sum(entry.holds for entry in self._mine.values()) + sum(self._coming)
        if holds and held and held + holds > self._most_bytes:
            raise Busy(
                f"the jobs that wait hold {held} bytes; at most {self._most_bytes} may be",
                hint="try again when some are done",
                retry_after=10,
            )

    # --- the work ------------------------------------------------------------------------------------------

    async def _work(self, work: Work, progress: Progress, began: Callable[[], None]) -> Result:
        meter.set(progress.meter)  # in the context of this task, in the place of the request's that started it
        async with asyncio.timeout(LONGEST_SECONDS), self._turns:
            began()
            return await work(progress)

    async def _run(self, entry: Entry) -> None:
        started = time.perf_counter()
        error: FacemixError | None = None
        made: Result | None = None
        telling = asyncio.create_task(self._keep_telling(entry))
        try:
            await asyncio.wait((entry.working,))
            if not entry.working.cancelled():
                made = entry.working.result()
                await self._keep(entry, made)
            elif entry.refusal is not None:
                error = entry.refusal
        except TimeoutError:
            error = Busy("the job took too long", hint="ask for less, or try again later")
        except FacemixError as refusal:
            error = refusal
        except Exception:
            log.exception("a job of kind %s failed", entry.job.kind)
            error = internal_error()
        finally:
            entry.give_up()  # whatever it left behind in a thread stops; and so does the work at the end of the loop
            entry.release()
            try:
                await self._end(entry, error, telling)
            finally:
                del self._mine[entry.job.id]
                self._account(entry.ended(error, made, (time.perf_counter() - started) * 1000))

    async def _keep(self, entry: Entry, made: Result) -> None:
        kept = await self._shelf.put(RESULT_KIND, made.data, owner=entry.owner, seconds=self._seconds)
        entry.change(
            state="done",
            done=entry.job.total,
            media_type=made.media_type,
            filename=made.filename,
            bytes=len(made.data),
            notes=made.notes,
            result=kept.id,
            expires_at=min(entry.job.expires_at, kept.expires_at),
        )

    async def _end(self, entry: Entry, error: FacemixError | None, telling: asyncio.Task[None]) -> None:
        until = min(entry.job.expires_at, self._clock() + timedelta(seconds=self._seconds))
        if error is not None:
            entry.change(state="failed", problem=problem_of(error), expires_at=until)
        elif not entry.job.ended:
            entry.change(state="cancelled", expires_at=until)
        entry.over.set()
        await asyncio.wait((telling,))  # else a word of before could be written over the last one
        try:
            await self._tell(entry)
        except StorageUnavailable:
            pass  # the job is taken for lost
        except RecordMissing:  # deleted, through another replica perhaps, while its result was written
            with suppress(StorageUnavailable):
                await self._forget_result(entry.job, entry.owner)

    async def _keep_telling(self, entry: Entry) -> None:
        """Writes progress down, and now and then that the process lives, until the job is over. A job that is gone from
        the shelf was deleted, through another replica perhaps: it is given up."""
        told: Job | None = None
        told_at = time.monotonic()
        while not await _happens(entry.over, TELL_SECONDS):
            if entry.job is told and time.monotonic() - told_at < BEAT_SECONDS:
                continue
            told, told_at = entry.job, time.monotonic()
            try:
                await self._tell(entry)
            except StorageUnavailable:
                continue  # the next word may get through
            except RecordMissing:
                entry.give_up()
                return

    async def _tell(self, entry: Entry) -> None:
        await self._shelf.update(KIND, entry.job.id, owner=entry.owner, note=note_of(entry.job))

    # --- the shelf -----------------------------------------------------------------------------------------

    async def _kept(self, identity: str, owner: str | None) -> Kept:
        try:
            return await self._shelf.get(KIND, identity, owner=owner)
        except RecordMissing as error:
            raise gone(identity) from error

    async def _seen(self, kept: Kept, mine: Entry | None) -> Job | None:
        """The job; None where it has expired. The shelf keeps one that has ended as long as one that works may take, so
        its record is deleted here."""
        job = job_of(kept) if mine is None else mine.job
        if not job.ended or job.expires_at > self._clock():
            return job
        with suppress(RecordMissing, StorageUnavailable):
            await self._shelf.delete(KIND, kept.id, owner=kept.owner)
        return None

    async def _forget_result(self, job: Job, owner: str | None) -> None:
        if job.result is not None:
            with suppress(RecordMissing):
                await self._shelf.delete(RESULT_KIND, job.result, owner=owner)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happens within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
