"""Which results a reviewer has rejected, whatever brought them there: none of them is given out again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from facemix.errors import ResultWithheld, StorageUnavailable
from facemix.web.threads import Threads

if TYPE_CHECKING:
    from facemix.governance.review import Reviews

LATELY_SECONDS = 5.0  # how long a rejection of another process may go unnoticed
STALE_SECONDS = 300.0  # for how long those in memory serve when the database does not answer
WAIT_SECONDS = 2.0  # how long a result waits for the database while those in memory serve
AT_ONCE = 4


class Rejections:
    """Kept in memory, and read again every `LATELY_SECONDS`. Belongs to one event loop."""

    def __init__(self, reviews: Reviews, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews, self._clock = reviews, clock
        self._threads = Threads(AT_ONCE)  # a database that hangs holds no other threads
        self._known: frozenset[str] = frozenset()
        self._tried_at = self._read_at = -float("inf")

    async def check(self, hashes: Collection[str]) -> None:
        """Returns if none of the recipes was rejected.

        Raises:
            ResultWithheld: one of them was, and no appeal has overturned it.
            StorageUnavailable: nobody can tell, and could not for some minutes.
        """
        await self._refresh()
        found = self._known.intersection(hashes)
        if found and await self._still(found):
            raise withheld()

    async def _refresh(self) -> None:
        now = self._clock()
        serves = now - self._read_at < STALE_SECONDS
        if serves and now - self._tried_at < LATELY_SECONDS:
            return
        self._tried_at = now  # a database that does not answer costs one result in a while its wait, not each
        try:
            async with asyncio.timeout(WAIT_SECONDS if serves else None):
                known = await self._threads.run(self._reviews.rejected)
        except (StorageUnavailable, TimeoutError):
            if not serves:
                raise
            return
        if now >= self._read_at:  # else somebody who began later was faster
            self._known, self._read_at = known, now

    async def _still(self, found: frozenset[str]) -> bool:
        """Asked anew: whoever has won an appeal does not wait."""
        try:
            return bool(await self._threads.run(lambda: self._reviews.rejected(found)))
        except StorageUnavailable:
            return True


def withheld() -> ResultWithheld:
    """What is raised in the place of a result that was rejected."""
    return ResultWithheld(
        "a person has looked at this result before and decided that it is not given out",
        hint="mix other faces, or in other shares; whoever was told so first may appeal",
    )
