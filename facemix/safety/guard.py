"""The likeness guard: does a result look like somebody who has asked that it should not?

A result nearer to a point of the gallery than a set distance is a match, and a person decides about it. How often it
matches wrongly, and misses, stands in docs/safety.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facemix.errors import InstallationError, StorageUnavailable
from facemix.faces.embedder import EXTRA
from facemix.safety.gallery import Gallery

REFRESH_SECONDS = 2.0  # how long a change of the gallery may go unnoticed
STALE_SECONDS = 300.0  # for how long the gallery in memory serves when the database does not answer
PATH_FRAMES = 5  # of a slider's frames, so many are looked at
ABSENT = f"the face embedder is not installed: pip install '{EXTRA}'"
_log = logging.getLogger(__name__)


class Embedder(Protocol):
    """Aligned crops to points; see `facemix.faces.embedder.IdentityEmbedder`."""

    name: str

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 to (N, D) float32."""
        ...


@dataclass(frozen=True)
class Match:
    """A protected person whom a result resembles. `distance` is the embedder's, `frame` that of the nearest of several
    results, counted from 0."""

    id: str
    distance: float
    frame: int


@dataclass(frozen=True)
class GuardState:
    """What the guard can do now.

    Attributes:
        available: whether it compares results with everybody in the gallery.
        reason: why it does not; empty when it does.
        people: in the gallery.
        unread: of these, whom it cannot compare with.
    """

    available: bool
    reason: str
    people: int
    unread: int


class Guard:
    """Compares results with the gallery. Thread-safe; blocking, so not for the event loop.

    The gallery is kept in memory and looked at again every `REFRESH_SECONDS`. Nothing is embedded, nor is the embedder
    loaded, while the gallery is empty.
    """

    def __init__(
        self,
        gallery: Gallery,
        embedder: Embedder | Callable[[], Embedder | None] | None,
        distance: float = 0.5,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            embedder: what makes points, or what loads it when it is first needed
                (`facemix.faces.embedder.load_embedder`); None where it is not installed.
            distance: below which a result is a match.
        """
        self._gallery = gallery
        self._load = _loader(embedder)
        self._distance = distance
        self._clock = clock
        self._lock = threading.Lock()
        self._tried_at = self._read_at = -float("inf")
        self._ids: frozenset[str] = frozenset()
        self._people: dict[str, np.ndarray] = {}
        self._points = np.zeros((0, 0), np.float32)
        self._owners: list[str] = []
        self._embedder: Embedder | None = None
        self._loaded = False
        self._fault = ""

    @property
    def available(self) -> bool:
        """Whether it compares results with everybody in the gallery. Raises `StorageUnavailable`."""
        return self.state().available

    def state(self) -> GuardState:
        """What it can do now; loads the embedder.

        Raises:
            StorageUnavailable: the gallery cannot be read, and was not for some minutes.
        """
        with self._lock:
            self._load_embedder()
            self._refresh()
            people, unread = len(self._ids), len(self._ids) - len(self._people)
            reason = self._fault
            if not reason and unread:
                reason = (
                    f"{unread} of {people} people cannot be compared with: enrolled with another embedder, "
                    "or sealed with another secret"
                )
            return GuardState(not reason, reason, people, unread)

    def match(self, frames: np.ndarray, *, path: bool = False) -> Match | None:
        """The nearest protected person, if any result is nearer than the distance: the first of `matches`."""
        return next(iter(self.matches(frames, path=path)), None)

    def matches(self, frames: np.ndarray, *, path: bool = False) -> tuple[Match, ...]:
        """Every protected person to whom a result is nearer than the distance, the nearest first.

        Args:
            frames: (N, S, S, 3) uint8 RGB, aligned results.
            path: they go evenly from one face to another, as a strip does; then the two ends and some in between,
                `PATH_FRAMES` in all, speak for the others.

        Raises:
            StorageUnavailable: the gallery cannot be read, and was not for some minutes.
        """
        with self._lock:
            self._refresh()
            points, owners, embedder = self._points, self._owners, self._embedder
        if not owners or embedder is None or not len(frames):
            return ()
        chosen = np.arange(len(frames))
        if path and len(frames) > PATH_FRAMES:
            chosen = np.unique(np.linspace(0, len(frames) - 1, PATH_FRAMES).round().astype(int))
        squared = squared_distances(embedder.embed(frames[chosen]), points)
        frame_of = squared.argmin(axis=0)
        distances = np.sqrt(squared.min(axis=0))
        found: dict[str, Match] = {}
        near = np.flatnonzero(distances < self._distance)
        for point in near[np.argsort(distances[near], kind="stable")]:
            owner = owners[point]
            found.setdefault(owner, Match(owner, float(distances[point]), int(chosen[frame_of[point]])))
        return tuple(found.values())

    def _refresh(self) -> None:
        """Takes over what has changed in the gallery since it was looked at; the lock is held."""
        now = self._clock()
        if now - self._tried_at < REFRESH_SECONDS and now - self._read_at < STALE_SECONDS:
            return
        self._tried_at = now  # a database that does not answer costs one request in a while its wait, not each
        try:
            ids = self._gallery.ids()
            if ids and not self._loaded:
                self._load_embedder()
            # An entry never changes: whoever has the same ids has the same gallery.
            missing = ids - self._people.keys() if ids != self._ids else frozenset[str]()
            if missing and self._embedder is not None:
                self._people |= self._gallery.points(missing, self._embedder.name)
        except StorageUnavailable:
            if now - self._read_at >= STALE_SECONDS:
                raise
            return
        if ids != self._ids:
            self._people = {id: points for id, points in self._people.items() if id in ids}
            self._owners = [id for id, points in self._people.items() for _ in points]
            self._points = np.concatenate([*self._people.values()]) if self._people else np.zeros((0, 0), np.float32)
            self._ids = ids
        self._read_at = now

    def _load_embedder(self) -> None:
        """The lock is held."""
        if self._loaded:
            return
        self._loaded = True
        try:
            self._embedder = self._load()
            self._fault = "" if self._embedder is not None else ABSENT
        except InstallationError as error:
            self._fault = error.message
        if self._fault:
            _log.warning("the likeness guard does not work: %s", self._fault)


def _loader(embedder: Embedder | Callable[[], Embedder | None] | None) -> Callable[[], Embedder | None]:
    return (lambda: embedder) if embedder is None or hasattr(embedder, "embed") else embedder


def squared_distances(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of (N, D) from (P, D), (N, P) float32, none below 0."""
    rows, points = rows.astype(np.float32), points.astype(np.float32)
    found = (rows**2).sum(1)[:, None] + (points**2).sum(1)[None] - 2 * rows @ points.T
    return np.maximum(found, 0)
