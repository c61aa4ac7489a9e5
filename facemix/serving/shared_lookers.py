"""One pool of those who look at photographs for several mixers: looking does not depend on the model."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from facemix.faces.look import Look
from facemix.faces.placed import Placed
from facemix.faces.types import Face
from facemix.serving.lookers import Lookers, ProcessLookers, lookers_from_settings
from facemix.serving.pool import stopping
from facemix.settings import Settings


class SharedLookers:
    """Made with the first share that is taken, closed with the last that is given back. Thread-safe."""

    def __init__(self, make: Callable[[], Lookers]) -> None:
        """
        Args:
            make: makes the pool; returns when it is ready.
        """
        self._make = make
        self._lock = threading.Lock()
        self._pool: Lookers | None = None
        self._shares = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> SharedLookers:
        """As `lookers_from_settings`."""

        def make() -> Lookers:
            made = lookers_from_settings(settings)
            if isinstance(made, ProcessLookers):
                try:
                    made.wait_until_ready()
                except BaseException:
                    made.close()
                    raise
            return made

        return cls(make)

    def take(self) -> Share:
        """A share for one mixer; waits for the pool.

        Raises:
            InstallationError: see `lookers_from_settings`.
            EngineFailed: its processes do not start.
        """
        with self._lock:
            if self._pool is None:
                self._pool = self._make()
            self._shares += 1
            return Share(self._pool, self._give_back)

    def _give_back(self) -> None:
        with self._lock:
            self._shares -= 1
            last, self._pool = (None, self._pool) if self._shares else (self._pool, None)
        if last is not None:
            last.close()


class Share:
    """What one mixer has of the pool. See `Lookers`; whatever is asked raises `Stopping` once this share was closed."""

    def __init__(self, pool: Lookers, give_back: Callable[[], None]) -> None:
        self._pool, self._give_back = pool, give_back
        self._closed = False

    async def look(
        self, data: bytes, crop_size: int, *, placed: Placed | None = None, deadline: float | None = None
    ) -> Look:
        return await self._open().look(data, crop_size, placed=placed, deadline=deadline)

    async def cut(self, data: bytes, face: Face, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._open().cut(data, face, side, deadline=deadline)

    async def whole(self, data: bytes, side: int, *, deadline: float | None = None) -> np.ndarray:
        return await self._open().whole(data, side, deadline=deadline)

    def ill(self) -> str | None:
        return self._pool.ill()

    def close(self) -> None:
        """Gives the share back; again does nothing."""
        if not self._closed:
            self._closed = True
            self._give_back()

    def _open(self) -> Lookers:
        if self._closed:
            raise stopping()
        return self._pool
