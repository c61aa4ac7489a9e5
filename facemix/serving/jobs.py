"""What waits in the batcher's queue, and what its callers get."""

from __future__ import annotations

import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from facemix.errors import EngineFailed
from facemix.serving.observer import Dropped, Kind


@dataclass(frozen=True)
class Served:
    """rows: one result per row that was submitted. `device_seconds` is this job's share, by frames, of the time
    that its batches took; `waited` the seconds before its first frame was taken."""

    rows: np.ndarray
    device_seconds: float
    waited: float


@dataclass(eq=False)
class Job:
    """The rows of one caller.

    Attributes:
        deadline, queued: on the clock of `time.monotonic`.
        taken: rows that batches have taken.
        waited, device_seconds: as in `Served`.
        parts: results so far, in the order of the rows.
    """

    kind: Kind
    rows: np.ndarray
    deadline: float | None
    future: Future[Served] = field(default_factory=Future)
    queued: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    taken: int = 0
    device_seconds: float = 0.0
    parts: list[np.ndarray] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Rows that no batch has taken."""
        return len(self.rows) - self.taken

    def take(self, room: int) -> Piece:
        """The next rows, at most `room`."""
        if self.taken == 0:
            self.waited = time.monotonic() - self.queued
        start = self.taken
        self.taken += min(room, self.left)
        return Piece(self, start, self.taken)

    def finish(self, error: BaseException | None = None) -> None:
        """Answers the caller: with the error, or with the results once all are there."""
        try:
            if error is not None:
                self.future.set_exception(error)
            elif sum(map(len, self.parts)) == len(self.rows):
                self.future.set_result(Served(np.concatenate(self.parts), self.device_seconds, self.waited))
        except InvalidStateError:
            pass  # the caller left in the very moment, or the job has failed before

    def given_up(self, frames: int, error: BaseException) -> Drop:
        """So many of its frames, which nobody will compute."""
        return Drop(self, frames, "cancelled" if self.future.cancelled() else "failed", error)


@dataclass(frozen=True)
class Piece:
    """The rows of a job that are in one batch."""

    job: Job
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> np.ndarray:
        return self.job.rows[self.start : self.stop]


class Drop(NamedTuple):
    """Frames that are not computed, and what their caller is told."""

    job: Job
    frames: int
    reason: Dropped
    error: BaseException


def failed() -> EngineFailed:
    """What is told to those whose work the inference thread took along when it died."""
    return EngineFailed("the model stopped while it worked on this", hint="try again in a moment", retry_after=2)
