"""The shelf as coroutines: one whose calls may wait is called in threads of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from facemix.storage.shelf import Kept, Shelf
from facemix.web.threads import Threads

AT_ONCE = 4
T = TypeVar("T")


class AsyncShelf:
    """The methods of `Shelf`, for an event loop. What a call has begun to write it writes, whoever leaves meanwhile;
    what was put for somebody who has left is deleted again, since nobody knows of it.

    Attributes:
        shelf: the shelf behind it.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        # Threads of their own: a database that hangs must not hold those that files and pages are read in.
        self._threads = Threads(AT_ONCE)

    async def put(self, kind: str, data: bytes, *, owner: str | None, seconds: float, note: str = "") -> Kept:
        call = partial(self.shelf.put, kind, data, owner=owner, seconds=seconds, note=note)
        return await self._call(call, undo=lambda kept: self.shelf.delete(kind, kept.id, owner=owner))

    async def put_new(
        self, kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str = ""
    ) -> Kept | None:
        def undo(kept: Kept | None) -> None:
            if kept is not None:
                self.shelf.delete(kind, identity, owner=owner, was=note)

        call = partial(self.shelf.put_new, kind, identity, data, owner=owner, seconds=seconds, note=note)
        return await self._call(call, undo=undo)

    async def get(self, kind: str, identity: str, *, owner: str | None) -> Kept:
        return await self._call(partial(self.shelf.get, kind, identity, owner=owner))

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
        return await self._call(partial(self.shelf.update, kind, identity, owner=owner, data=data, note=note, was=was))

    async def delete(self, kind: str, identity: str, *, owner: str | None, was: str | None = None) -> None:
        await self._call(partial(self.shelf.delete, kind, identity, owner=owner, was=was))

    async def list(
        self, kind: str, *, owner: str | None, limit: int, after: str | None = None
    ) -> tuple[list[Kept], str | None]:
        return await self._call(partial(self.shelf.list, kind, owner=owner, limit=limit, after=after))

    async def sweep(self) -> int:
        return await self._call(self.shelf.sweep)

    async def _call(self, call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        return await self._threads.run(call, undo=undo) if self.shelf.waits else call()
