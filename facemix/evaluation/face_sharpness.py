"""How much detail of each size a picture of a face has, inside the face's oval."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from facemix.evaluation import metrics
from facemix.evaluation.results import BANDS
from facemix.imaging.bands import bands
from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import masks

_FACE = ("skin", "nose", "mouth", "eyes")


@lru_cache(maxsize=8)
def oval(side: int) -> np.ndarray:
    """How much of each pixel is face: (side, side) float64 in [0, 1], without hair and surroundings. Read-only."""
    found = masks(side)[[REGIONS.index(name) for name in _FACE]].sum(0, dtype=np.float64).clip(0, 1)
    found.flags.writeable = False
    return found


def levels(light: np.ndarray) -> list[np.ndarray]:
    """The `BANDS` finest bands of a brightness, (S, S), from the finest on (`facemix.imaging.bands`): the n-th, from 0,
    holds lines of about 2^n to 2^(n + 1) pixels of the picture."""
    return bands(light, BANDS)[:-1]


def energies(picture: np.ndarray) -> dict[str, float]:
    """Of (S, S, 3) uint8, mean squares within the oval, in (levels / 255)^2: ``all``, of the Laplacian (4 neighbours),
    and ``band_1`` to ``band_4``, of each of the `levels`, the finest first."""
    light = metrics.brightness(picture)
    found = {"all": cv2.Laplacian(light, cv2.CV_64F, ksize=1)}
    found |= {f"band_{number}": level for number, level in enumerate(levels(light), 1)}
    return {name: _within(level**2) for name, level in found.items()}


def sharpness(middle: np.ndarray, parents: np.ndarray) -> dict[str, float]:
    """Energies of a mid-point over the mean of its parents': 1 is as sharp as they are, on average.

    Args:
        middle: (S, S, 3) uint8.
        parents: (2, S, S, 3) uint8, the aligned photographs.

    Returns:
        ``sharpness``, and ``sharpness_band_1`` (the finest) to ``_4``. Where the parents have less in a band than
        rounding to 8 bits leaves in a whole picture, as in enlarged photographs, that stands for theirs.
    """
    mine, theirs = energies(middle), [energies(parent) for parent in parents]
    return {
        "sharpness" if name == "all" else f"sharpness_{name}": metrics.ratio(
            energy, float(np.mean([one[name] for one in theirs]))
        )
        for name, energy in mine.items()
    }


def _within(values: np.ndarray) -> float:
    mask = oval(values.shape[0])
    return float((values * mask).sum() / mask.sum())
