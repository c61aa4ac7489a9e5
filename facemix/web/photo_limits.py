"""How often one and the same photograph is looked at, whoever sends it.

What is counted under is worthless outside of this process: the fingerprint of the file under a random key, and a sketch
of each face's crop whose bits are shuffled and flipped by another. The sketch survives another encoding, size or cut
of the photograph. Both are in memory only, bounded, and overwritten by those of others.
"""

from __future__ import annotations

import hmac
import math
import secrets
import time
from collections.abc import Callable

import cv2
import numpy as np
from limits.strategies import FixedWindowRateLimiter

from facemix.errors import PhotoLimited
from facemix.serving.types import FoundPhoto
from facemix.web.rates import BoundedStorage, parse_rate

MOST_PHOTOS = 16_384
MOST_SKETCHES = 4096
FACES = 4  # of one photograph, largest first
_CELLS = 16  # a sketch has one bit for each of the squares of a grid
_STEP = 1.0  # levels: where it is flat, noise decides nothing
# Of 256 bits. Set by `benchmarks/gate_report.py`, whose figures docs/safety.md gives.
NEAR = 24


def sketch(crop: np.ndarray) -> np.ndarray:
    """(256,) bool: whether it gets lighter from each square of the crop to its right neighbour (a difference hash).

    Args:
        crop: aligned, (S, S, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    cells = cv2.resize(grey, (_CELLS + 1, _CELLS), interpolation=cv2.INTER_AREA)
    return (np.diff(cells, axis=1) > _STEP).ravel()


class Newest(BoundedStorage):
    """At most `most` counters: those that were counted most lately."""

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        living = self._living(key)
        self.counters.pop(key, None)
        if living is not None:
            self.counters[key] = living
        while len(self.counters) >= self.most and living is None:
            del self.counters[next(iter(self.counters))]
        return super().incr(key, expiry, amount)


class PhotoLimits:
    """Counts looks; hears of them from the mixer. Its methods run on one event loop.

    Args:
        rate: in the notation of `limits`; ``none`` sets no limit.
    """

    def __init__(self, rate: str, *, most: int = MOST_PHOTOS, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `ConfigError` for a rate that cannot be read."""
        self._items = parse_rate("photographs", rate)
        self._storage = Newest(most, clock)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._key = secrets.token_bytes(32)
        shuffled = np.random.default_rng(int.from_bytes(secrets.token_bytes(16)))
        self._order = shuffled.permutation(_CELLS * _CELLS)
        self._flipped = shuffled.random(_CELLS * _CELLS) < 0.5
        self._sketches = np.zeros((MOST_SKETCHES, _CELLS * _CELLS // 64), np.uint64)
        self._taken = 0  # sketches ever put there; from the newest back, as many as there are places

    def arrived(self, sha256: str) -> None:
        """A file is about to be looked at. Raises `PhotoLimited`."""
        if self._items:
            self._hit(hmac.digest(self._key, sha256.encode(), "sha256").hex())

    def looked(self, found: FoundPhoto) -> None:
        """Faces were found in it. Raises `PhotoLimited`."""
        if self._items:
            for name in {self._known(sketch(face.crop)) for face in found.faces[:FACES]}:
                self._hit(name)

    def _known(self, bits: np.ndarray) -> str:
        """Under which name this sketch, or one that is near to it, is counted."""
        hidden = np.packbits(bits[self._order] ^ self._flipped).view(np.uint64)
        used = min(self._taken, MOST_SKETCHES)
        if used:
            distance = np.bitwise_count(self._sketches[:used] ^ hidden).sum(1)
            nearest = int(distance.argmin())
            if distance[nearest] <= NEAR:
                # The place is named with how often it was written over: another face there begins anew.
                rounds = (self._taken - 1 - nearest) // MOST_SKETCHES
                return f"sketch {nearest} {rounds}"
        place, rounds = self._taken % MOST_SKETCHES, self._taken // MOST_SKETCHES
        self._sketches[place] = hidden
        self._taken += 1
        return f"sketch {place} {rounds}"

    def _hit(self, name: str) -> None:
        wait, exceeded = 0, ""
        for item in self._items:
            if not self._limiter.hit(item, name):
                ends = self._limiter.get_window_stats(item, name).reset_time
                seconds = max(1, math.ceil(ends - self._storage.clock()))
                if seconds > wait:
                    wait, exceeded = seconds, str(item)
        if wait:
            raise PhotoLimited(
                f"this photograph was sent more often than {exceeded}, by all senders together",
                hint=f"try again in {wait} seconds; a face that was uploaded once can be mixed by its id",
                retry_after=wait,
            )
