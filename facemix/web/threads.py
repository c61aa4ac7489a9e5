"""Threads for calls that may hang: a database, a blob store. A bounded number of them, apart from everybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from facemix.errors import FacemixError

T = TypeVar("T")


class Threads:
    """Runs calls in threads, so many at once. Whoever leaves leaves the place taken for as long as the thread works:
    else a database that hangs would get a further thread from everybody who loses patience with it.

    Args:
        at_once: how many work at a time; further ones wait, and take no place if they leave before their turn.
    """

    def __init__(self, at_once: int) -> None:
        self._places = CapacityLimiter(at_once)
        self._calls: set[asyncio.Task[Any]] = set()  # the event loop itself holds its tasks only weakly

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._places.statistics().tasks_waiting

    async def run(self, call: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
        """What `call` returns or raises. A call that has begun ends, whoever leaves meanwhile.

        Args:
            undo: takes what it has returned, in a thread, if whoever asked has left by then. Its own refusals are
                passed over.
        """
        place = object()
        await self._places.acquire_on_behalf_of(place)
        task = self._start(to_thread.run_sync(call, limiter=CapacityLimiter(1)))
        task.add_done_callback(lambda _: self._places.release_on_behalf_of(place))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if undo is not None:
                self._start(self._undo(task, undo))
            raise

    async def _undo(self, task: asyncio.Task[T], undo: Callable[[T], object]) -> None:
        with suppress(FacemixError):
            made = await task
            await self.run(lambda: undo(made))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task
