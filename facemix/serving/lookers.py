"""Looking at photographs beside the model: in threads of this process, or in processes of their own.

In processes, a photograph that crashes its decoder costs its own request and not the server, and the event loop and the
model share Python's lock with nobody. `serving/looker.py` says what each of them does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from facemix.errors import EngineFailed, FacemixError
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.look import Look
from facemix.faces.placed import Placed
from facemix.faces.types import Face
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.serving.looker import NICE, START_SECONDS, Looker, answer, meet, prepare
from facemix.serving.meter import took
from facemix.serving.pool import Pool, stopping
from facemix.serving.tuning import cores
from facemix.settings import Settings

T = TypeVar("T")

# A small file can unfold into hundreds of megabytes; only so many are unfolded at once in one process, the others wait.
DECODERS = 2
STUCK_SECONDS = 1.0  # a thread that has something to write to a living process is done long before
BREAKS = 5  # in a row, from which the processes count as ill


class Lookers(Protocol):
    """Belongs to one event loop. A `deadline` is on the clock of `time.monotonic`.

    Raises, whatever is asked:
        DeadlineExceeded: nobody was free before it. Stopping: after `close`.
        EngineFailed: who looked died.
    """

    async def look(
        self, data: bytes, crop_size: int, *, placed: Placed | None = None, deadline: float | None = None
    ) -> Look:
        """As `facemix.faces.look.look`. Raises `ImageError`, `FaceNotFound`, `FacePlacementInvalid`: see there."""

    async def cut(self, data: bytes, face: Face, side: int, *, deadline: float | None = None) -> np.ndarray:
        """The aligned crop of a face that a look has shown, (side, side, 3) uint8: `facemix.faces.cuts.cut`.

        face: in pixels of the upright photograph as it was sent. Raises `ImageError`.
        """

    async def whole(self, data: bytes, side: int, *, deadline: float | None = None) -> np.ndarray:
        """The whole photograph, upright, (h, w, 3) uint8, reduced to a longer side of at most `side` pixels:
        `facemix.faces.cuts.whole`. Raises `ImageError`."""

    def ill(self) -> str | None:
        """What keeps photographs from being looked at, or None."""

    def close(self) -> None:
        """Takes nothing new, and gives up what has not begun."""


class ThreadLookers:
    """Looks in `threads` threads with one finder, which must be safe to call from several."""

    def __init__(self, finder: FaceFinder, limits: DecodeLimits, threads: int) -> None:
        self._looker = Looker(limits, finder, threading.BoundedSemaphore(DECODERS))
        self._pool = Pool("look", threads, nice=NICE)

    def look_here(self, data: bytes, crop_size: int, placed: Placed | None = None) -> Look:
        """The work itself, in the caller's thread."""
        return self._looker.look(data, crop_size, placed)

    async def look(
        self, data: bytes, crop_size: int, *, placed: Placed | None = None, deadline: float | None = None
    ) -> Look:
        return await self._pool.run(self._looker.look, data, crop_size, placed, deadline=deadline)

    async def cut(self, data: bytes, face: Face, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._pool.run(self._looker.cut, data, face, side, deadline=deadline)

    async def whole(self, data: bytes, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._pool.run(self._looker.whole, data, side, deadline=deadline)

    def ill(self) -> str | None:
        return None

    def close(self) -> None:
        self._pool.close()


class ProcessLookers:
    """Looks in processes of their own, each with a finder. Those that die are replaced, and what they were at is tried
    once more.

    Args:
        limits: what is accepted.
        runner: what runs the detector, see `CenterFace`.
        processes: at least 1.
    """

    def __init__(self, limits: DecodeLimits, *, runner: str, processes: int) -> None:
        self._limits, self._runner, self._processes = limits, runner, processes
        self._closed = False
        self._breaks = 0  # in a row
        self._gone: ProcessPoolExecutor | None = None  # the last one that was let go of
        self._executor = self._start()
        # Each waits for the others, so none of them does the part of two.
        self._starting = [self._executor.submit(meet) for _ in range(processes)]

    def wait_until_ready(self) -> None:
        """Blocks until all processes can look. Raises `EngineFailed` when they cannot be started."""
        try:
            for one in self._starting:
                one.result(START_SECONDS)
        except (BrokenProcessPool, TimeoutError, threading.BrokenBarrierError) as error:
            self.close()
            raise EngineFailed(
                f"the processes that look at photographs do not start: {type(error).__name__}",
                hint="FACEMIX_ISOLATE=false looks at them in threads; the log may say more",
            ) from error

    async def look(
        self, data: bytes, crop_size: int, *, placed: Placed | None = None, deadline: float | None = None
    ) -> Look:
        return await self._run(Looker.look, data, crop_size, placed, deadline=deadline)

    async def cut(self, data: bytes, face: Face, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._run(Looker.cut, data, face, side, deadline=deadline)

    async def whole(self, data: bytes, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._run(Looker.whole, data, side, deadline=deadline)

    def ill(self) -> str | None:
        return "the processes that look at photographs keep dying" if self._breaks >= BREAKS else None

    def close(self) -> None:
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *args: object, deadline: float | None) -> T:
        """`work`, a method of `Looker`, with `args` in one of the processes."""
        for last in (False, True):
            executor = self._executor
            try:
                found, seconds = await self._answered(executor.submit(answer, work, args, deadline))
            except BrokenProcessPool as error:
                self._replace(executor)
                if last:
                    raise EngineFailed(
                        "the process that looked at this photo died twice",
                        hint="try again in a moment; if it happens again, save the photo anew as JPEG",
                        retry_after=2,
                    ) from error
            except RuntimeError as error:
                if self._closed:
                    raise stopping() from error
                raise
            else:
                self._breaks = 0
                took(seconds)
                if isinstance(found, FacemixError):
                    raise found
                return found
        raise AssertionError("the second try answers or raises")

    def _start(self) -> ProcessPoolExecutor:
        # Not forked: a child of a process with threads inherits locks in any state.
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(self._processes)
        return ProcessPoolExecutor(
            self._processes,
            mp_context=context,
            initializer=prepare,
            initargs=(self._limits, self._runner, barrier),
        )

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        if self._gone is not broken:
            self._gone = broken
            _let_go(broken)
        if self._executor is broken and not self._closed:  # else another request has seen it first
            self._breaks += 1
            self._executor = self._start()

    async def _answered(self, future: Future[T]) -> T:
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise stopping() from None  # nobody left: it was closed
            raise


def lookers_from_settings(settings: Settings) -> ThreadLookers | ProcessLookers:
    """Who looks at photographs, as an operator's settings ask for; processes are still starting.

    Raises:
        InstallationError: see `CenterFace`.
    """
    limits = replace(DecodeLimits.from_settings(settings), max_side=WORKING_SIDE)
    workers = settings.workers or cores()
    if settings.isolate:
        return ProcessLookers(limits, runner=settings.detector, processes=workers)
    # Photographs, not parts of one, are what runs in parallel.
    finder = FaceFinder(CenterFace(threads=1, runner=settings.detector))
    return ThreadLookers(finder, limits, workers)


def _let_go(broken: ProcessPoolExecutor) -> None:
    """A pool whose processes died while a photograph was being written to them waits for ever until somebody reads the
    rest, and the interpreter at its end waits for the pool (CPython gh-94777; the Python of Debian 12 has it). With
    nobody left to read, writing fails and the wait ends."""
    queue = getattr(broken, "_call_queue", None)
    feeder = getattr(queue, "_thread", None)
    if feeder is None:
        return

    def unblock() -> None:
        # A thread that is not stuck closes that end itself. Closed twice at once, the number would by then be that of a
        # pipe of the pool that takes its place.
        feeder.join(STUCK_SECONDS)
        if feeder.is_alive():
            with suppress(OSError):
                queue._reader.close()

    threading.Thread(target=unblock, name="let go", daemon=True).start()
