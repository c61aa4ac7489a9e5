"""How much is worked on at once. Nothing here waits without a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from facemix.errors import BodyTimeout, Busy

# A photo of 10 MB over a slow mobile line takes about a minute and a half.
BODY_SECONDS = 120.0
RETRY_AFTER_SECONDS = 2


def _busy(most: int, what: str) -> Busy:
    return Busy(
        f"{most} {what} are already being worked on",
        hint=f"try again in {RETRY_AFTER_SECONDS} seconds",
        retry_after=RETRY_AFTER_SECONDS,
    )


class Admission:
    """Lets in at most `most` requests; the next one is refused at once, before its body is read."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Raises `Busy` when all slots are taken. Used from the event loop only, so it needs no lock."""
        if self.inside >= self.most:
            raise _busy(self.most, "requests")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class ShortQueue:
    """One at a time with a bounded queue, for small work that a page asks for by the dozen."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.inside = 0
        self._lock = anyio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self.inside >= self.longest:
            raise _busy(self.longest, "samples")
        self.inside += 1
        try:
            async with self._lock:
                yield
        finally:
            self.inside -= 1


@asynccontextmanager
async def body_deadline(seconds: float = BODY_SECONDS) -> AsyncIterator[None]:
    """Bounds the reading of a body, so that a slow sender cannot hold a slot for ever."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise BodyTimeout(
            f"the request did not arrive within {seconds:g} seconds",
            hint="send smaller files, or use a faster connection",
        ) from error
