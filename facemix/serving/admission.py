"""How much is let in: work in the system is counted in frames and bounded; what comes on top is refused at once.

A frame is a photograph to encode, or a picture to decode at the model's side. What is done to a picture afterwards may
take longer than that, and counts as so many frames more (`frames_to_draw`). By ``benchmarks.bench_detail``, carrying
the detail of two photographs takes one core 9, 21 and 73 ms at 256, 512 and 1024 pixels; counted as 2, 4 and 13 frames,
the decoded one included, that is about as long for each frame at every side. Enlarging alone, and writing the larger
file, counts as a third of it. To put a face into a photograph, that is decoded once more, and all of it judged and
written.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facemix.errors import Busy, Stopping
from facemix.mixing.recipe import USUAL_SIDE, Edits, OntoBlurred, OntoPhoto
from facemix.serving.types import FrameSpec

_REMEMBERED_SECONDS = 10.0
_LONGEST_RETRY = 60
# Frames that a result counts for beyond those that are decoded for it, at the usual side; by area at others.
_ENLARGED, _CARRIED = 1.0, 3.0
_PLACED = 20.0  # into a photograph, at whatever side


def frames_to_draw(edits: Edits, parents: int, frames: int = 1) -> int:
    """What it costs at most to draw so many results of so many parents, in frames; what their photographs cost to be
    encoded comes on top. Where no size is asked for, the usual one is taken for it."""
    return edits.decoded(parents, frames) + math.ceil(frames * _beyond(edits))


def frames_of_specs(specs: Sequence[FrameSpec], parents: int) -> int:
    """The same of frames that differ in their edits."""
    own = parents if any(spec.edits.detail for spec in specs) else 0
    return own + sum(spec.edits.pictures for spec in specs) + math.ceil(sum(_beyond(spec.edits) for spec in specs))


def _beyond(edits: Edits) -> float:
    """What a result costs beyond the pictures that are decoded for it, in frames."""
    if not edits.enlarged:
        return 0.0
    area = ((edits.size or USUAL_SIDE) / USUAL_SIDE) ** 2
    placed = _PLACED if isinstance(edits.placement, OntoPhoto | OntoBlurred) else 0.0
    return placed + area * (_CARRIED if edits.detail else _ENLARGED)


class Admission:
    """Used from the event loop only, so it needs no lock.

    A request that is still arriving counts for nothing: a slow sender holds no place here. Once its body is there it
    takes a ticket for its frames, before any pixel is decoded, and gives it back with its answer.

    Args:
        limit: frames in the system, being worked on or waiting. A request beyond it is let in when it is alone.
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
    def ticket(self, frames: int, *, beside: int = 0) -> Iterator[None]:
        """A place for so many frames.

        Args:
            beside: frames of a ticket that the same request has already: it does not stand in its own way.

        Raises:
            Busy: `frames` more do not fit.
            Stopping: the server takes nothing new.
        """
        self._let_in(frames, beside)
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

    def _let_in(self, frames: int, beside: int = 0) -> None:
        if self.stopping:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
        if self.inside > beside and self.inside + frames > self.limit:
            seconds = self.retry_after()
            raise Busy(
                f"{self.inside} frames are being worked on or wait; at most {self.limit} may",
                hint=f"try again in {seconds} second{'s' * (seconds != 1)}",
                retry_after=seconds,
            )
