"""The colours of one picture put on another."""

from __future__ import annotations

import cv2
import numpy as np

from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import masks

# A flat picture has no contrast that could be drawn out to another's; beyond this, light turns into patches of colour.
_MOST_GAIN = 1.5
_FLAT = 1e-3  # a deviation below this is no contrast but rounding


def transfer(picture: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """`picture` in the colours of `palette`.

    Mean and standard deviation of each CIELAB channel become those of the palette (E. Reinhard et al., "Color Transfer
    between Images", 2001; they do it in l-alpha-beta, another space whose channels hardly correlate). Both are measured
    over the face, not over hair and surroundings: it is the face whose colours are looked at, and a dark background
    would darken it. The whole picture is then changed alike. A deviation changes by a factor of 1.5 at most.

    Args:
        picture, palette: (S, S, 3) uint8 RGB, aligned crops.

    Returns:
        (S, S, 3) uint8. A picture in its own colours stays within one level of what it was.

    Raises:
        ValueError: the pictures differ in size.
    """
    if picture.shape != palette.shape:
        raise ValueError(f"a picture of {picture.shape} cannot take the colours of one of {palette.shape}")
    weight = 1 - masks(len(picture))[[REGIONS.index("hair"), REGIONS.index("frame")]].sum(0)
    lab = _to_lab(picture)
    mean, deviation = _statistics(lab, weight)
    wanted_mean, wanted_deviation = _statistics(_to_lab(palette), weight)
    ratio = np.where(deviation > _FLAT, wanted_deviation / np.maximum(deviation, _FLAT), 1)
    gain = np.clip(ratio, 1 / _MOST_GAIN, _MOST_GAIN)
    changed = ((lab - mean) * gain + wanted_mean).astype(np.float32)
    return np.clip(np.rint(cv2.cvtColor(changed, cv2.COLOR_LAB2RGB) * 255), 0, 255).astype(np.uint8)


def _to_lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _statistics(lab: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel, (3,) float64 both, over pixels by weight."""
    mean = np.average(lab.reshape(-1, 3), axis=0, weights=weight.ravel())
    variance = np.average((lab - mean).reshape(-1, 3) ** 2, axis=0, weights=weight.ravel())
    return mean, np.sqrt(variance)
