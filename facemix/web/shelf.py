"""The shelf as coroutines: one whose calls may wait is called in threads of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from facemix.storage.shelf import Kept, Shelf

AT_ONCE = 4
T = TypeVar("T")


class AsyncShelf:
    """The methods of `Shelf`, for an event loop. What a call has begun to write it writes, whoever leaves meanwhile.

    Attributes:
        shelf: the shelf behind it.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        # Threads of their own: a database that hangs must not hold those that files and pages are read in.
        self._limiter = CapacityLimiter(AT_ONCE)

    async def put(self, kind: str, data: bytes, *, owner: str | None, seconds: float, note: str = "") -> Kept:
        return await self._call(self.shelf.put, kind, data, owner=owner, seconds=seconds, note=note)

    async def put_new(
        self, kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str = ""
    ) -> Kept | None:
        return await self._call(self.shelf.put_new, kind, identity, data, owner=owner, seconds=seconds, note=note)

    async def get(self, kind: str, identity: str, *, owner: str | None) -> Kept:
        return await self._call(self.shelf.get, kind, identity, owner=owner)

    async def update(
        self,
        kind: str,
        identity: str,
        *,
        owner: str | None,
        data: bytes | None = None,
        note: str | None = None,
        was: str | None = None,
    ) -> bool:
        return await self._call(self.shelf.update, kind, identity, owner=owner, data=data, note=note, was=was)

    async def delete(self, kind: str, identity: str, *, owner: str | None, was: str | None = None) -> None:
        await self._call(self.shelf.delete, kind, identity, owner=owner, was=was)

    async def list(
        self, kind: str, *, owner: str | None, limit: int, after: str | None = None
    ) -> tuple[list[Kept], str | None]:
        return await self._call(self.shelf.list, kind, owner=owner, limit=limit, after=after)

    async def sweep(self) -> int:
        return await self._call(self.shelf.sweep)

    async def _call(self, method: Callable[..., T], *args: object, **options: object) -> T:
        call = functools.partial(method, *args, **options)
        return await to_thread.run_sync(call, limiter=self._limiter) if self.shelf.waits else call()
