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
from concurrent.futures import Future

import numpy as np

from facemix.errors import Busy, DeadlineExceeded, FacemixError
from facemix.serving.jobs import Drop, Job, Piece, Served, failed
from facemix.serving.observer import Kind, Observer
from facemix.serving.pool import stopping

log = logging.getLogger("facemix.engine")

BEAT_SECONDS = 1.0  # an idle thread shows that it lives so often
STALL_SECONDS = 60.0  # a batch takes well under a second; one that takes this long never ends
FAILED_IN_A_ROW = 8  # so many jobs one after the other are hardly all bad: it is the device
_BACKOFF = (0.0, 0.0, 1.0, 3.0, 7.0, 15.0, 30.0)  # seconds, by deaths in a row; the first heir begins at once

Work = Callable[[np.ndarray], np.ndarray]


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
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._depth = 0  # frames in `_jobs` that no batch has taken
        self._in_hand: list[Piece] = []
        self._closing = False
        self._deaths = 0  # in a row, without a batch that succeeded in between
        self._failures = 0  # of jobs computed alone, in a row
        self._cause: BaseException | None = None
        with self._wake:  # or a thread that dies at once has its heir before it is noted itself
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
        job = Job(kind, rows, deadline)
        with self._wake:
            if self._closing:
                raise stopping()
            if self._deaths and not self.ready.is_set():
                raise failed()
            if self._depth and self._depth + len(rows) > self._max_queue:
                raise Busy(f"{self._depth} frames are already waiting", hint="try again in a moment", retry_after=2)
            self._jobs.append(job)
            self._depth += len(rows)
            self._wake.notify()
        return job.future

    def close(self, seconds: float = 30.0) -> None:
        """Finishes what is queued, for at most so many seconds; what is left then fails with `Stopping`. Nothing new
        is taken."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(seconds)
        with self._wake:
            left = self._give_up(stopping, queue=True)
        self._drop(left)

    # --- the thread ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.ready = threading.Event()
        self._beat = time.monotonic()
        thread = threading.Thread(target=self._live, args=(self.ready,), name="inference", daemon=True)
        thread.start()
        self._thread = thread  # not before: one that cannot start leaves the dead one in its place

    def _live(self, ready: threading.Event) -> None:
        try:
            with self._wake:
                backoff = _BACKOFF[min(self._deaths, len(_BACKOFF) - 1)]
                if self._deaths and self._wake.wait_for(lambda: self._closing, backoff):
                    return
            self._prepare()
            self._failures = 0
            ready.set()
            while pieces := self._take():
                self._compute(pieces)
        except BaseException as error:
            self._cause = error
            log.exception("the inference thread died")
        finally:
            self._bury(ready)

    def _bury(self, ready: threading.Event) -> None:
        """A thread that ends without being asked to fails what it had in hand, and leaves an heir. What waits is kept
        for the heir only if the dead one was ever prepared; else there is little hope."""
        with self._wake:
            prepared, heir = ready.is_set(), False
            ready.clear()
            if not self._closing:
                self._deaths += 1
                try:
                    self._start()
                    heir = True
                except RuntimeError:
                    log.exception("no new inference thread can be started")
            lost = self._give_up(failed, queue=not (prepared and heir))
        self._drop(lost)
        if heir:
            self._observer.restarted()

    def _give_up(self, error: Callable[[], FacemixError], *, queue: bool) -> list[Drop]:
        """Takes away what is in hand and, if so told, all that waits."""
        lost = [(piece.job, len(piece)) for piece in self._in_hand if not piece.job.future.done()]
        self._in_hand = []
        if queue:
            lost += [(job, job.left) for job in self._jobs]
            self._jobs, self._depth = deque(), 0
        return [job.given_up(frames, error()) for job, frames in lost]

    def _take(self) -> list[Piece]:
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
            self._drop(dropped)
            for piece in pieces:
                if piece.start == 0:
                    self._observer.waited(piece.job.kind, piece.job.waited)
            if pieces:
                return pieces

    def _fill(self) -> tuple[list[Piece], list[Drop]]:
        """One batch from the queue, and those who need no answer any more."""
        now, room = time.monotonic(), self._max_batch
        pieces: list[Piece] = []
        dropped: list[Drop] = []
        later: deque[Job] = deque()  # of the other kind, or without room
        unfinished: deque[Job] = deque()
        for job in self._jobs:
            left = job.left
            if job.future.done():
                dropped.append(job.given_up(left, failed()))
            elif job.deadline is not None and now > job.deadline:
                late = DeadlineExceeded("it waited past its deadline", hint="try again later", retry_after=2)
                dropped.append(Drop(job, left, "deadline", late))
            elif room == 0 or (pieces and job.kind != pieces[0].job.kind):
                later.append(job)
                continue
            else:
                pieces.append(job.take(room))
                left = len(pieces[-1])
                room -= left
                if job.left:
                    unfinished.append(job)
            self._depth -= left
        self._jobs = later + unfinished
        return pieces, dropped

    def _compute(self, pieces: list[Piece]) -> None:
        kind, frames = pieces[0].job.kind, sum(map(len, pieces))
        started = time.monotonic()
        try:
            results = self._run(kind, np.concatenate([piece.rows for piece in pieces]))
        except Exception as error:
            if len(pieces) == 1:
                self._drop([Drop(pieces[0].job, frames, "failed", error)])
                self._failures += 1
                if self._failures >= FAILED_IN_A_ROW:
                    raise RuntimeError(f"{self._failures} jobs failed in a row") from error
                return
            for at in range(len(pieces)):
                # One of them is bad: each alone, so that the others do not share its fate.
                self._in_hand = pieces[at:]
                self._compute(pieces[at : at + 1])
            return
        seconds = time.monotonic() - started
        self._deaths = self._failures = 0
        self._observer.batch(kind, frames, len(pieces), seconds)  # if it raises, these are in hand: they fail
        at = 0
        for piece in pieces:
            piece.job.parts.append(results[at : at + len(piece)])
            piece.job.device_seconds += seconds * len(piece) / frames
            piece.job.finish()
            at += len(piece)

    def _run(self, kind: Kind, rows: np.ndarray) -> np.ndarray:
        results = self._work[kind](rows)
        if len(results) != len(rows):
            raise RuntimeError(f"{len(rows)} rows went in, {len(results)} came out")
        return results

    def _drop(self, drops: list[Drop]) -> None:
        for drop in drops:  # all of them before the observer hears of any: if it raises, nobody waits for ever
            drop.job.finish(drop.error)
        for drop in drops:
            self._observer.dropped(drop.job.kind, drop.reason, drop.frames)
