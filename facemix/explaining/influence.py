"""Which parent drew which part of a face, and what each edit moved: by drawing it again without.

A parent is left out by giving it no weight and its share to the others, in proportion to theirs. The more a place of
the picture changes by that, the more of it was that parent's doing. So influence here means: what would look different
without it. It says nothing of causes inside of the network, and nothing of likeness: a parent whose nose is the others'
nose, too, draws nothing of the nose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# A place that no parent changes by about so many of 255 levels is nobody's in particular; there the weights speak.
FLOOR = 2.0
# Deviation of the blur, as a part of the side: about a third of an eye, so that single edges do not count as parts.
_SMOOTH = 1 / 40


@dataclass(frozen=True)
class Influence:
    """What each parent drew.

    Attributes:
        amounts: (N, S, S) float32 in levels: by how much the picture changes where a parent is left out, smoothed, on
            top of `FLOOR` shared by weight.
    """

    amounts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Each parent's share of each pixel, (N, S, S) float32; they sum to 1 everywhere."""
        return self.amounts / self.amounts.sum(0)

    def totals(self, mask: np.ndarray | None = None) -> np.ndarray:
        """Each parent's share of all that was drawn, or of a part of it: (N,) float64, summing to 1.

        Args:
            mask: (S, S), how much of each pixel belongs to the part, not all zero; None for the whole picture.
        """
        summed = np.tensordot(self.amounts.astype(np.float64), np.ones_like(self.amounts[0]) if mask is None else mask)
        return summed / summed.sum()


def influence(frame: np.ndarray, without: Sequence[np.ndarray], weights: Sequence[float]) -> Influence:
    """Compares a mix with what it would be without each parent.

    Args:
        frame: (S, S, 3) uint8, the mix.
        without: N pictures like it, each without one parent. Of a single parent there is none to compare with: give
            no picture, and all of it is that parent's.
        weights: N, the parents' shares of the mix, summing to 1.

    Raises:
        ValueError: the numbers of pictures and weights differ.
    """
    if len(without) != len(weights) and (len(weights), len(without)) != (1, 0):
        raise ValueError(f"{len(without)} pictures do not belong to {len(weights)} parents")
    changes = np.stack([change(frame, other) for other in without]) if len(without) else np.zeros((1, *frame.shape[:2]))
    shared = FLOOR * np.asarray(weights, np.float64)[:, None, None]
    return Influence((changes + shared).astype(np.float32))


def change(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much two pictures differ at each place: root mean square over the channels in levels of 255, smoothed.

    Args:
        frame, other: (S, S, 3) uint8.

    Returns:
        (S, S) float32.
    """
    squares = np.square(frame.astype(np.float32) - other.astype(np.float32)).mean(2)
    smooth = cv2.GaussianBlur(squares, (0, 0), max(0.5, _SMOOTH * len(frame)), borderType=cv2.BORDER_REFLECT)
    return np.sqrt(np.maximum(smooth, 0))
