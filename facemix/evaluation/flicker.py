"""Flicker: what of a path's motion goes to and fro instead of on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facemix.evaluation import metrics
from facemix.evaluation.face_sharpness import levels
from facemix.evaluation.results import BANDS

# An animation of two seconds at 24 frames a second.
STEP = 1 / 48
# Looked at in short runs about these places, for choices change hands anywhere along the way.
_ABOUT = (0.25, 0.5, 0.75)
_RUN = 5


def shares() -> list[list[float]]:
    """The second parent's weights of the frames that `flicker` takes: runs of five, 1/48 apart."""
    return [[about + (number - _RUN // 2) * STEP for number in range(_RUN)] for about in _ABOUT]


def flicker(runs: Sequence[np.ndarray]) -> dict[str, float]:
    """How far a frame lies from the mean of its neighbours, over how far one frame lies from the next.

    Both are root mean squares of brightness over all frames and pixels. A path that goes straight on has 0; frames that
    have nothing to do with one another, 0.87. Rounding to 8 bits alone leaves something, and so does fine texture that
    moves: read it beside the same of a cross-fade, which is rounding alone, and of a morph, which only moves.

    Args:
        runs: the frames of each run of `shares`, (F, S, S, 3) uint8.

    Returns:
        ``flicker``, and ``flicker_band_1`` (the finest) to ``_4``, the same of each of the `levels`. NaN where
        nothing moves.
    """
    turns, steps = np.zeros(1 + BANDS), np.zeros(1 + BANDS)
    for frames in runs:
        seen = [[light, *levels(light)] for light in map(metrics.brightness, frames)]
        for before, here, after in zip(seen, seen[1:], seen[2:], strict=False):
            turns += [np.mean((b - (a + c) / 2) ** 2) for a, b, c in zip(before, here, after, strict=True)]
            steps += [
                np.mean((b - a) ** 2) + np.mean((c - b) ** 2) for a, b, c in zip(before, here, after, strict=True)
            ]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(steps > 0, np.sqrt(turns / (steps / 2)), np.nan)
    names = ["flicker", *(f"flicker_band_{number}" for number in range(1, BANDS + 1))]
    return dict(zip(names, found.tolist(), strict=True))
