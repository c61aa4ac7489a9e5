"""Ways from one photograph to another at the photographs' own size, all measured alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facemix.imaging.enlarge import enlarge

# The second parent's weight, 0 to 1, to the frame there, (S, S, 3) uint8.
Way = Callable[[float], np.ndarray]


@dataclass(frozen=True)
class Parents:
    """Two people.

    Attributes:
        cuts: (2, S, S, 3) uint8, their aligned photographs at the side that is measured.
        crops: (2, C, C, 3) uint8, the same as the model sees them.
        reconstructions: (2, C, C, 3) uint8, what it makes of them.
    """

    cuts: np.ndarray
    crops: np.ndarray
    reconstructions: np.ndarray


class Carrying(Protocol):
    """What brings the photographs' detail into the mix: `facemix.mixing.carry.Carry`, which says more of each."""

    def frame(self, mixed: np.ndarray, weights: Sequence[float], *, detail: float = 1.0) -> np.ndarray:
        """mixed: (C, C, 3) uint8, the decode of the mix. Returns (S, S, 3) uint8."""
        ...

    def fields(self, weights: Sequence[float]) -> list[np.ndarray]:
        """From each place of the mix to the same place in each parent: (S, S, 2) float32 each, x before y, in fractions
        of the side."""
        ...


class Warping(Protocol):
    """A further way, which warps both photographs by a geometry of its own."""

    def frame(self, share: float) -> np.ndarray:
        """See `Way`."""
        ...

    def warped(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Both photographs as they are brought there, (S, S, 3) uint8 each."""
        ...


MakeCarry = Callable[[Parents], Carrying]
# From the parents and the carry's fields half-way between them.
Rival = Callable[[Parents, Sequence[np.ndarray]], Warping]


def carried(carry: Carrying, decode: Way, *, detail: float = 1.0) -> Way:
    """The mix with the photographs' detail. decode: the model's own way, (C, C, 3) uint8."""
    return lambda share: carry.frame(decode(share), (1 - share, share), detail=detail)


def decoded(decode: Way, side: int) -> Way:
    """The model's own way, enlarged as exports are."""
    return lambda share: enlarge(decode(share), side)


def faded(cuts: np.ndarray) -> Way:
    """The pixel cross-fade of two photographs, (2, S, S, 3) uint8."""
    first, second = cuts.astype(np.float32)
    return lambda share: np.floor((1 - share) * first + share * second + 0.5).astype(np.uint8)
