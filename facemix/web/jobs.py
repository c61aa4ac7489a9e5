"""Work that takes longer than a request: queued, worked on beside the requests, told of, cancelled, kept for a while.

Job and result lie on the shelf, so that every replica that shares one can tell of them; the work itself is done by the
process that took the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from facemix.errors import Busy, FacemixError, JobGone, JobUnfinished, RecordMissing, Stopping, StorageUnavailable
from facemix.serving.types import Cost
from facemix.settings import MEBIBYTE
from facemix.storage.shelf import Kept
from facemix.web.problems import internal_error
from facemix.web.routes import CLIENT_LEFT
from facemix.web.shelf import AsyncShelf

log = logging.getLogger("facemix.web")

KIND, RESULT_KIND = "job", "job-result"
# A job waits for its turn, and works, for so long at most; then it is given up.
LONGEST_SECONDS = 3600.0
TELL_SECONDS = 0.5  # so often at most is progress written to the shelf
BEAT_SECONDS = 2.0  # so often at least
LOST_SECONDS = 60.0  # one whose process has not been heard of for so long is taken for lost

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Result:
    """What a job has made: a file. `notes`: what to know about it, one plain sentence each."""

    data: bytes = field(repr=False)
    media_type: str
    filename: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """How a job stands.

    Attributes:
        kind: what it makes, as ``animation``.
        done, total: units of work.
        created_at: in UTC.
        expires_at: from when on job and result are not found any more; of one that has not ended, at the latest.
        problem: why it failed, as a problem document without its request's id; None otherwise.
        result: id on the shelf.
    """

    id: str
    kind: str
    state: State
    done: int
    total: int
    created_at: datetime
    expires_at: datetime
    media_type: str | None = None
    filename: str | None = None
    bytes: int | None = None
    notes: tuple[str, ...] = ()
    problem: dict[str, Any] | None = None
    result: str | None = None


class Progress:
    """What a piece of work tells of itself. Used on the event loop.

    Attributes:
        model: which model works on it.
        cost: what it has taken of the device so far; told even if it fails.
    """

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self.stopped = False
        self.done = 0
        self.model: str | None = None
        self.cost = Cost()

    def advance(self, count: int = 1) -> None:
        """Another `count` units are done."""
        self.done += count
        self._told(self.done)

    def stop(self) -> bool:
        """Whether to give up: asked by what runs in a thread, and so hears of no cancellation."""
        return self.stopped


Work = Callable[[Progress], Awaitable[Result]]


@dataclass(frozen=True)
class Ended:
    """What there is to account for of a job that has ended. `status`: as a request would have been answered."""

    id: str
    kind: str
    owner: str | None
    status: int
    error_code: str | None
    model: str | None
    cost: Cost
    milliseconds: float
    bytes_out: int


Account = Callable[[Ended], None]


@dataclass
class _Entry:
    job: Job
    owner: str | None
    work: Work
    holds: int
    progress: Progress
    task: asyncio.Task[None] | None = None


class Jobs:
    """The jobs of one application. Belongs to one event loop.

    Args:
        seconds: how long a result is kept.
        at_once: how many are worked on at a time.
        most: how many may wait beside those; further ones are refused.
        most_bytes: how much memory what they work on may take together.
        account: hears of every job that has ended.
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
    ) -> None:
        self._shelf, self._seconds, self._most, self._account = shelf, seconds, most, account
        self._most_bytes = most_bytes
        self._turns = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._mine: dict[str, _Entry] = {}
        self._closed = False

    @property
    def inside(self) -> int:
        """Jobs that wait or are worked on."""
        return len(self._mine)

    async def submit(self, kind: str, total: int, work: Work, *, owner: str | None, holds: int = 0) -> Job:
        """Queues a job.

        Args:
            holds: bytes of memory that `work` holds until it has ended.

        Raises:
            Busy: too many wait already, or they hold too much.
            Stopping: the server takes nothing new.
            StorageFull, StorageUnavailable: it cannot be written down.
        """
        if self._closed:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
        if len(self._mine) >= self._at_once + self._most:
            raise Busy(
                f"{len(self._mine)} jobs are worked on or wait", hint="try again when some are done", retry_after=10
            )
        held = sum(entry.holds for entry in self._mine.values())
        if held and held + holds > self._most_bytes:
            raise Busy(
                f"the jobs that wait hold {held} bytes; at most {self._most_bytes} may be",
                hint="try again when some are done",
                retry_after=10,
            )
        job = Job("", kind, "queued", 0, total, datetime.now(UTC), datetime.now(UTC))
        longest = LONGEST_SECONDS + self._seconds
        kept = await self._shelf.put(KIND, b"", owner=owner, seconds=longest, note=_note(job))
        job = replace(job, id=kept.id, created_at=kept.created_at, expires_at=kept.expires_at)
        entry = _Entry(job, owner, work, holds, Progress(lambda done: self._change(entry, done=min(done, total))))
        self._mine[kept.id] = entry
        entry.task = asyncio.create_task(self._run(entry))
        return job

    async def get(self, identity: str, *, owner: str | None) -> Job:
        """How a job stands. Raises `JobGone`: unknown, expired, deleted, or another key's."""
        kept = await self._kept(identity, owner)
        mine = self._mine.get(identity)
        return mine.job if mine is not None else _job(kept)

    async def list(self, *, owner: str, limit: int, after: str | None) -> tuple[list[Job], str | None]:
        """The jobs of an API key, newest first, and where the next page begins. Raises `RequestInvalid`."""
        found, following = await self._shelf.list(KIND, owner=owner, limit=limit, after=after)
        return [_job(kept) for kept in found], following

    async def result(self, identity: str, *, owner: str | None) -> tuple[Job, bytes]:
        """What a job has made.

        Raises:
            JobGone: see `get`; or the result is not kept any more.
            JobUnfinished: it has not ended yet, or not well.
        """
        job = await self.get(identity, owner=owner)
        if job.state != "done" or job.result is None:
            waiting = job.state in ("queued", "running")
            raise JobUnfinished(
                f"the job is {job.state}",
                hint="ask again when its state is done" if waiting else "its state says why; start another",
                state=job.state,
            )
        try:
            return job, (await self._shelf.get(RESULT_KIND, job.result, owner=owner)).data
        except RecordMissing as error:
            raise _gone(identity) from error

    async def delete(self, identity: str, *, owner: str | None) -> None:
        """Gives a job up if it has not ended, and forgets it and its result. Raises `JobGone`."""
        kept = await self._kept(identity, owner)
        entry = self._mine.get(identity)
        if entry is not None and entry.task is not None:
            entry.progress.stopped = True
            entry.task.cancel()
            await asyncio.wait((entry.task,))
        job = _job(await self._kept(identity, owner)) if entry is not None else _job(kept)
        if job.result is not None:
            with suppress(RecordMissing):
                await self._shelf.delete(RESULT_KIND, job.result, owner=owner)
        with suppress(RecordMissing):  # another replica, which works on it, sees that it is gone and gives it up
            await self._shelf.delete(KIND, identity, owner=owner)

    async def close(self) -> None:
        """Gives up what has not ended."""
        self._closed = True
        tasks = [entry.task for entry in self._mine.values() if entry.task is not None]
        for entry in self._mine.values():
            entry.progress.stopped = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the work ------------------------------------------------------------------------------------------

    async def _run(self, entry: _Entry) -> None:
        started = time.perf_counter()
        error: FacemixError | None = None
        made: Result | None = None
        telling = asyncio.create_task(self._keep_telling(entry))
        try:
            async with asyncio.timeout(LONGEST_SECONDS), self._turns:
                self._change(entry, state="running")
                await self._tell(entry)
                made = await entry.work(entry.progress)
                kept = await self._shelf.put(RESULT_KIND, made.data, owner=entry.owner, seconds=self._seconds)
                self._change(
                    entry,
                    state="done",
                    done=entry.job.total,
                    media_type=made.media_type,
                    filename=made.filename,
                    bytes=len(made.data),
                    notes=made.notes,
                    result=kept.id,
                    expires_at=kept.expires_at,
                )
        except asyncio.CancelledError:
            self._change(entry, state="cancelled")
            if not entry.progress.stopped:
                raise
        except TimeoutError:
            error = Busy("the job took too long", hint="ask for less, or try again later")
        except FacemixError as refusal:
            error = refusal
        except Exception:
            log.exception("a job of kind %s failed", entry.job.kind)
            error = internal_error()
        finally:
            if error is not None:
                self._change(entry, state="failed", problem=_problem(error))
            entry.progress.stopped = True
            telling.cancel()
            await asyncio.wait((telling,))
            await self._end(entry, error, made, (time.perf_counter() - started) * 1000)

    async def _end(self, entry: _Entry, error: FacemixError | None, made: Result | None, ms: float) -> None:
        with suppress(StorageUnavailable, RecordMissing):
            await self._tell(entry)
        self._mine.pop(entry.job.id, None)
        cancelled = entry.job.state == "cancelled"
        self._account(
            Ended(
                id=entry.job.id,
                kind=entry.job.kind,
                owner=entry.owner,
                status=CLIENT_LEFT if cancelled else 200 if error is None else error.status,
                error_code=None if error is None else error.code,
                model=entry.progress.model,
                cost=entry.progress.cost,
                milliseconds=ms,
                bytes_out=0 if made is None else len(made.data),
            )
        )

    async def _keep_telling(self, entry: _Entry) -> None:
        """Writes progress down, and now and then that the process lives. A job that is gone from the shelf was
        deleted, through another replica perhaps: it is given up."""
        told, told_at = entry.job, time.monotonic()
        while True:
            await asyncio.sleep(TELL_SECONDS)
            if entry.job is told and time.monotonic() - told_at < BEAT_SECONDS:
                continue
            told, told_at = entry.job, time.monotonic()
            try:
                await self._tell(entry)
            except StorageUnavailable:
                continue  # the next word may get through
            except RecordMissing:
                entry.progress.stopped = True
                assert entry.task is not None  # it is what started this
                entry.task.cancel()
                return

    async def _tell(self, entry: _Entry) -> None:
        await self._shelf.update(KIND, entry.job.id, owner=entry.owner, note=_note(entry.job))

    def _change(self, entry: _Entry, **changes: Any) -> None:
        entry.job = replace(entry.job, **changes)

    async def _kept(self, identity: str, owner: str | None) -> Kept:
        try:
            return await self._shelf.get(KIND, identity, owner=owner)
        except RecordMissing as error:
            raise _gone(identity) from error


def _note(job: Job) -> str:
    document: dict[str, Any] = {
        "kind": job.kind,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "beat": time.time(),
        "media_type": job.media_type,
        "filename": job.filename,
        "bytes": job.bytes,
        "notes": job.notes,
        "problem": job.problem,
        "result": job.result,
        "expires_at": job.expires_at.isoformat() if job.result else None,
    }
    return json.dumps({name: value for name, value in document.items() if value not in (None, ())})


def _job(kept: Kept) -> Job:
    """What the shelf says of a job of another process, or of one that has ended."""
    found = json.loads(kept.note)
    beat = found.pop("beat")
    expires = found.pop("expires_at", None)
    job = Job(
        id=kept.id,
        created_at=kept.created_at,
        expires_at=kept.expires_at if expires is None else datetime.fromisoformat(expires),
        notes=tuple(found.pop("notes", ())),
        **found,
    )
    if job.state not in ENDED and datetime.now(UTC) - datetime.fromtimestamp(beat, UTC) > timedelta(
        seconds=LOST_SECONDS if job.state == "running" else LONGEST_SECONDS
    ):
        lost = Busy("the process that worked on this has ended", hint="start the job again")
        return replace(job, state="failed", problem=_problem(lost))
    return job


def _problem(error: FacemixError) -> dict[str, Any]:
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.message[:1000],
        "code": error.code,
        "hint": error.hint[:500],
        "where": error.where,
    }


def _gone(identity: str) -> JobGone:
    return JobGone(f"there is no job {identity[:64]!r}", hint="it may have expired or been deleted; start another")
