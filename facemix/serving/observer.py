"""What the engine tells those who watch it. This room knows of no metrics library; the web room brings one."""

from __future__ import annotations

from typing import Literal

Kind = Literal["encode", "decode"]
Dropped = Literal["cancelled", "deadline", "failed"]


class Observer:
    """Hears what the engine does, and does nothing with it; override what is wanted.

    Methods are called from several threads, on the way of every request: they must be quick and must not raise.
    """

    def batch(self, kind: Kind, frames: int, jobs: int, seconds: float) -> None:
        """A batch of `frames` from `jobs` requests kept the device busy for `seconds`."""

    def waited(self, kind: Kind, seconds: float) -> None:
        """So long a job stood in the queue before its first frame was taken."""

    def dropped(self, kind: Kind, reason: Dropped, frames: int) -> None:
        """Frames that nobody gets: their caller left, their deadline passed, or their batch failed."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of one request: ``look`` (bytes to crops), ``encode``, ``decode``, ``write`` (picture to file)."""

    def cache(self, name: str, hit: bool) -> None:
        """A look into a cache: ``photos``, ``latents`` or ``samples``."""

    def restarted(self) -> None:
        """The inference thread died and a new one took its place."""
