"""What has been worked out is kept for a while, in memory only, and what is being worked out is worked out once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

from facemix.errors import DeadlineExceeded
from facemix.serving.observer import Observer

V = TypeVar("V")


@dataclass
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiting: int = 0
    unwanted: bool = False  # what comes of it is given to those who wait, and not kept


class Cache(Generic[V]):
    """Belongs to one event loop. Callers who ask for the same key at the same time wait for the same work; it is
    given up when the last of them has left. Failures are not kept.

    Args:
        name: under which the observer hears of hits.
        max_bytes: of all values together; the least recently used go first. 0 keeps nothing.
        seconds: how long a value is kept.
        size: bytes of a value.
    """

    def __init__(
        self, name: str, *, max_bytes: int, seconds: float, size: Callable[[V], int], observer: Observer
    ) -> None:
        self._name, self._observer, self._size = name, observer, size
        keeps = max_bytes > 0 and seconds > 0
        self._kept: TTLCache[Hashable, V] | None = TTLCache(max_bytes, seconds, getsizeof=size) if keeps else None
        self._flights: dict[Hashable, _Flight[V]] = {}

    @property
    def bytes(self) -> int:
        """Bytes kept at present."""
        if self._kept is None:
            return 0
        self._kept.expire()
        return int(self._kept.currsize)

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._kept is not None

    def peek(self, key: Hashable) -> V | None:
        """What is kept under a key, or None; nothing is made."""
        return None if self._kept is None else self._kept.get(key)

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forgets what is kept under unwanted keys, and keeps nothing of what is being worked out for them now."""
        for key in [] if self._kept is None else [key for key in self._kept if unwanted(key)]:
            self._kept.pop(key, None)
        for key, flight in self._flights.items():
            flight.unwanted = flight.unwanted or unwanted(key)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        """The value of `key`, from memory, from the work of another caller, or made now."""
        if self._kept is not None and (known := self._kept.get(key)) is not None:
            self._observer.cache(self._name, True)
            return known
        while True:
            flight = self._flights.get(key)
            mine = flight is None
            self._observer.cache(self._name, not mine)
            if flight is None:
                flight = self._flights[key] = _Flight(asyncio.ensure_future(self._make(key, make)))
                flight.task.add_done_callback(_look_at)
            try:
                return await self._wait(key, flight)
            except DeadlineExceeded:
                if mine:
                    raise
                # The deadline was that of the caller who began; ours may be later.

    def clear(self) -> None:
        """Forgets everything at once."""
        if self._kept is not None:
            self._kept.clear()

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[V]]) -> V:
        value = await make()
        flight = self._flights.get(key)
        wanted = flight is None or not flight.unwanted
        if wanted and self._kept is not None and self._size(value) <= self._kept.maxsize:
            self._kept[key] = value
            # The library forgets only when it is used; on an idle server, faces would stay.
            asyncio.get_running_loop().call_later(self._kept.ttl + 0.1, self._kept.expire)
        return value

    async def _wait(self, key: Hashable, flight: _Flight[V]) -> V:
        flight.waiting += 1
        try:
            # Shielded: a caller who leaves takes nothing from the others.
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]


def _look_at(task: asyncio.Task) -> None:
    """An error that nobody waits for any more is nobody's; unseen, asyncio would complain of it."""
    if not task.cancelled():
        task.exception()
