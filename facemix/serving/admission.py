"""How much is let in: work in the system is counted in frames and bounded; what comes on top is refused at once."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from facemix.errors import Busy, Stopping

_REMEMBERED_SECONDS = 10.0
_LONGEST_RETRY = 60


class Admission:
    """Used from the event loop only, so it needs no lock.

    A request that is still arriving counts for nothing: a slow sender holds no place here. Once its body is there it
    takes a ticket for its frames, before any pixel is decoded, and gives it back with its answer.

    Args:
        limit: frames in the system, being worked on or waiting. A single request beyond it is let in when it is alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self.stopping = False
        self._done: deque[tuple[float, int]] = deque()  # (when, frames) of what was lately finished

    def check(self) -> None:
        """Refuses a request whose size is not known yet, when already nothing would fit.

        Raises:
            Busy, Stopping: see `ticket`.
        """
        self._let_in(1)

    @contextmanager
    def ticket(self, frames: int) -> Iterator[None]:
        """Raises `Busy` when `frames` more do not fit, `Stopping` when the server takes nothing new."""
        self._let_in(frames)
        self.inside += frames
        try:
            yield
            self._done.append((time.monotonic(), frames))
            self._forget()
        finally:
            self.inside -= frames

    def rate(self) -> float:
        """Frames per second finished lately, 0 if none."""
        now = self._forget()
        if not self._done:
            return 0.0
        # The span begins with the first of them, so that the first second after a pause is not taken for a slow one.
        span = max(now - self._done[0][0], 0.1)
        return sum(frames for _, frames in self._done) / span

    def retry_after(self) -> int:
        """Whole seconds in which all that is inside now will be done, judged by the present rate; 1 to 60."""
        rate = self.rate()
        return max(1, min(_LONGEST_RETRY, math.ceil(self.inside / rate))) if rate else 2

    def _forget(self) -> float:
        """Drops what was finished long ago. The time now."""
        now = time.monotonic()
        while self._done and now - self._done[0][0] > _REMEMBERED_SECONDS:
            self._done.popleft()
        return now

    def _let_in(self, frames: int) -> None:
        if self.stopping:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
        if self.inside and self.inside + frames > self.limit:
            seconds = self.retry_after()
            raise Busy(
                f"{self.inside} frames are being worked on or wait; at most {self.limit} may",
                hint=f"try again in {seconds} second{'s' * (seconds != 1)}",
                retry_after=seconds,
            )
