"""Micro-batching: one thread per device computes, and each batch is whatever is queued when the device falls free.

No lingering for company: alone, a request is computed at once; under load, batches fill by themselves. Work is
counted in frames, so a strip of 33 does not pass for one: it is cut to the device's batch and goes to the back of
the queue with what is left of it, so that nobody waits behind the whole of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np

from facemix.errors import Busy, DeadlineExceeded, EngineFailed, Stopping
from facemix.serving.observer import Dropped, Kind, Observer

log = logging.getLogger("facemix.engine")

BEAT_SECONDS = 1.0  # an idle thread shows that it lives so often
STALL_SECONDS = 60.0  # a batch takes well under a second; one that takes this long never ends
_LONGEST_BACKOFF = 30.0

Work = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Served:
    """rows: one result per row that was submitted. `device_seconds` is this job's share, by frames, of the time
    that its batches took; `waited` the seconds before its first frame was taken."""

    rows: np.ndarray
    device_seconds: float
    waited: float


@dataclass(eq=False)
class _Job:
    kind: Kind
    rows: np.ndarray
    deadline: float | None
    future: Future[Served] = field(default_factory=Future)
    queued: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    taken: int = 0
    device_seconds: float = 0.0
    parts: list[np.ndarray] = field(default_factory=list)

    def finish(self, error: BaseException | None = None) -> None:
        try:
            if error is not None:
                self.future.set_exception(error)
            elif sum(map(len, self.parts)) == len(self.rows):
                self.future.set_result(Served(np.concatenate(self.parts), self.device_seconds, self.waited))
        except InvalidStateError:
            pass  # the caller left in the very moment, or the job has failed before


@dataclass(frozen=True)
class _Piece:
    job: _Job
    start: int
    stop: int

    @property
    def rows(self) -> np.ndarray:
        return self.job.rows[self.start : self.stop]


class Batcher:
    """Safe to call from every thread.

    Args:
        work: what to do with a batch of each kind, (N, ...) to (N, ...). Only ever called from the one thread.
        prepare: run by the thread before its first batch; the batcher is not healthy until it has returned.
        max_batch: frames in a batch.
        max_queue: frames that may wait.
    """

    def __init__(
        self,
        work: Mapping[Kind, Work],
        *,
        prepare: Callable[[], None] = lambda: None,
        max_batch: int = 16,
        max_queue: int = 1024,
        observer: Observer | None = None,
    ) -> None:
        self._work, self._prepare = work, prepare
        self._max_batch, self._max_queue = max_batch, max_queue
        self._observer = observer or Observer()
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._depth = 0  # frames in `_jobs` that no batch has taken
        self._in_hand: list[_Piece] = []
        self._closing = False
        self._deaths = 0  # in a row
        self._cause: BaseException | None = None
        self._start()

    @property
    def depth(self) -> int:
        """Frames that wait."""
        return self._depth

    @property
    def beat_age(self) -> float:
        """Seconds since the thread last showed that it lives."""
        return time.monotonic() - self._beat

    def ill(self) -> str | None:
        """What is wrong with the thread, or None: it lives, is prepared, and no batch hangs."""
        if not self._thread.is_alive():
            return "the inference thread is dead"
        if not self.ready.is_set():
            return "the inference thread died and is being replaced" if self._deaths else "it is warming up"
        stalled = self.beat_age > STALL_SECONDS
        return f"the inference thread has not answered for {self.beat_age:.0f} s" if stalled else None

    def wait_until_ready(self) -> None:
        """Blocks until the thread is prepared for the first time. Raises what its preparation raised."""
        while not (self._cause or self.ready.wait(0.02)):
            pass
        if self._cause is not None:
            raise self._cause

    def submit(self, kind: Kind, rows: np.ndarray, *, deadline: float | None = None) -> Future[Served]:
        """Queues rows, (N, ...), N at least 1. Cancelling the future takes back what no batch has taken yet.

        Args:
            deadline: on the clock of `time.monotonic`; what is taken later fails with `DeadlineExceeded`.

        Raises:
            Busy: the queue is full. Stopping: after `close`. EngineFailed: the thread has died and the next is not up.
        """
        job = _Job(kind, rows, deadline)
        with self._wake:
            if self._closing:
                raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
            if self._deaths and not self.ready.is_set():
                raise _failed()
            if self._depth and self._depth + len(rows) > self._max_queue:
                raise Busy(f"{self._depth} frames are already waiting", hint="try again in a moment", retry_after=2)
            self._jobs.append(job)
            self._depth += len(rows)
            self._wake.notify()
        return job.future

    def close(self, seconds: float = 30.0) -> None:
        """Finishes what is queued, for at most so many seconds; nothing new is taken."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(seconds)

    # --- the thread ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.ready = threading.Event()
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._live, args=(self.ready,), name="inference", daemon=True)
        self._thread.start()

    def _live(self, ready: threading.Event) -> None:
        try:
            with self._wake:  # the first heir begins at once, later ones with growing patience
                backoff = min(2.0 ** max(0, self._deaths - 1) - 1, _LONGEST_BACKOFF)
                self._wake.wait_for(lambda: self._closing, backoff)
            self._prepare()
            ready.set()
            while pieces := self._take():
                self._compute(pieces)
                self._deaths = 0
        except BaseException as error:
            self._cause = error
            log.exception("the inference thread died")
        finally:
            self._bury()

    def _bury(self) -> None:
        """A thread that ends without being asked to fails what it had in hand, and leaves an heir."""
        with self._wake:
            self.ready.clear()
            lost, self._in_hand = [piece.job for piece in self._in_hand], []
            if self._closing:
                lost += self._jobs
                self._jobs.clear()
            else:
                self._deaths += 1
                self._start()
        for job in lost:
            self._drop(job, "failed", len(job.rows), _failed())
        if not self._closing:
            self._observer.restarted()

    def _take(self) -> list[_Piece]:
        """The next batch: of the kind that has waited longest, in the order of arrival. Empty when closing."""
        while True:
            with self._wake:
                self._beat = time.monotonic()
                pieces, dropped = self._fill()
                self._in_hand = pieces
                if not pieces and not dropped:
                    if self._closing:
                        return []
                    self._wake.wait(BEAT_SECONDS)
            for job, reason, frames, error in dropped:
                self._drop(job, reason, frames, error)
            if pieces:
                return pieces

    def _fill(self) -> tuple[list[_Piece], list[tuple[_Job, Dropped, int, BaseException | None]]]:
        """One batch from the queue, and those who need no answer any more."""
        now, room = time.monotonic(), self._max_batch
        pieces, dropped = [], []
        later: deque[_Job] = deque()  # of the other kind, or without room
        unfinished: deque[_Job] = deque()
        for job in self._jobs:
            left = len(job.rows) - job.taken
            if job.future.done():
                dropped.append((job, "cancelled" if job.future.cancelled() else "failed", left, None))
            elif job.deadline is not None and now > job.deadline:
                late = DeadlineExceeded("it waited past its deadline", hint="try again later", retry_after=2)
                dropped.append((job, "deadline", left, late))
            elif room == 0 or (pieces and job.kind != pieces[0].job.kind):
                later.append(job)
                continue
            else:
                if job.taken == 0:
                    job.waited = now - job.queued
                    self._observer.waited(job.kind, job.waited)
                left = min(room, left)
                pieces.append(_Piece(job, job.taken, job.taken + left))
                job.taken += left
                room -= left
                if job.taken < len(job.rows):
                    unfinished.append(job)
            self._depth -= left
        self._jobs = later + unfinished
        return pieces, dropped

    def _compute(self, pieces: list[_Piece]) -> None:
        kind, frames = pieces[0].job.kind, sum(piece.stop - piece.start for piece in pieces)
        started = time.monotonic()
        try:
            results = self._run(kind, np.concatenate([piece.rows for piece in pieces]))
        except Exception as error:
            if len(pieces) == 1:
                self._drop(pieces[0].job, "failed", frames, error)
            for at in range(len(pieces) if len(pieces) > 1 else 0):
                # One of them is bad: each alone, so that the others do not share its fate.
                self._in_hand = pieces[at:]
                self._compute(pieces[at : at + 1])
            return
        seconds = time.monotonic() - started
        self._observer.batch(kind, frames, len(pieces), seconds)
        at = 0
        for piece in pieces:
            size = piece.stop - piece.start
            piece.job.parts.append(results[at : at + size])
            piece.job.device_seconds += seconds * size / frames
            piece.job.finish()
            at += size

    def _run(self, kind: Kind, rows: np.ndarray) -> np.ndarray:
        results = self._work[kind](rows)
        if len(results) != len(rows):
            raise RuntimeError(f"{len(rows)} rows went in, {len(results)} came out")
        return results

    def _drop(self, job: _Job, reason: Dropped, frames: int, error: BaseException | None = None) -> None:
        self._observer.dropped(job.kind, reason, frames)
        if error is not None:
            job.finish(error)


def _failed() -> EngineFailed:
    return EngineFailed("the model stopped while it worked on this", hint="try again in a moment", retry_after=2)
