"""Photographs' faces, cut at a result's own size, and those of them that are held for a job until it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakSet

import numpy as np

from facemix.mixing.recipe import PlacedPoints

CutKey = tuple[str, PlacedPoints | None, int, int]


@dataclass(frozen=True)
class Cut:
    """A photograph, aligned as its crop is: (s, s, 3) uint8; s is at most its own resolution there, or the model's.
    `key` names photograph (SHA-256), hand-placed points, face and the side that s is at most."""

    pixels: np.ndarray
    key: CutKey

    @property
    def bytes(self) -> int:
        return self.pixels.nbytes + 1024


class HeldCuts:
    """Cuts that a job needs until it has ended, whatever the caches forget meanwhile. Belongs to one event loop."""

    def __init__(self) -> None:
        self._cuts: dict[CutKey, Cut] = {}
        self._forgotten: set[str] = set()
        self._over = False

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return sum(cut.bytes for cut in self._cuts.values())

    def add(self, cut: Cut) -> None:
        """Holds it, unless its photograph was forgotten meanwhile."""
        if not self._over and cut.key[0] not in self._forgotten:
            self._cuts[cut.key] = cut

    def get(self, key: CutKey) -> Cut | None:
        return self._cuts.get(key)

    def forget(self, sha256: str) -> None:
        """Lets go of all that is of a photograph, and holds nothing of it from now on."""
        self._forgotten.add(sha256)
        self._cuts = {key: cut for key, cut in self._cuts.items() if key[0] != sha256}

    def clear(self) -> None:
        """Lets go of everything, and holds nothing from now on."""
        self._over = True
        self._cuts = {}


class Holds:
    """All `HeldCuts` of an application, so that a photograph that is deleted is deleted from them, too."""

    def __init__(self) -> None:
        self._held: WeakSet[HeldCuts] = WeakSet()

    @property
    def bytes(self) -> int:
        """Memory that all of them take; what two of them hold counts twice."""
        return sum(held.bytes for held in self._held)

    def new(self) -> HeldCuts:
        """Empty; known here before anything is put in."""
        held = HeldCuts()
        self._held.add(held)
        return held

    def forget(self, sha256: str) -> None:
        """Lets go of all that any of them holds of a photograph."""
        for held in list(self._held):
            held.forget(sha256)
