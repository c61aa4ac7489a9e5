"""Regions of the aligned crop, and one picture made of several without a seam.

Alignment puts eyes and mouth of every face in the same places, so a region is the same soft mask for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from facemix.faces.align import TEMPLATE
from facemix.imaging.bands import bands, joined
from facemix.mixing.recipe import REGIONS, Region

TITLES: dict[Region, str] = {
    "eyes": "Eyes and brows",
    "nose": "Nose",
    "mouth": "Mouth",
    "skin": "Skin",
    "hair": "Hair",
    "frame": "Surroundings",
}
# Inside the face's oval; they take their light from the skin around them.
_FEATURES: tuple[Region, ...] = ("eyes", "nose", "mouth")
# Pyramids end at about so many pixels a side.
_COARSEST = 6


@lru_cache(maxsize=8)
def masks(size: int) -> np.ndarray:
    """How much each region has of each pixel: (6, size, size) float32 in [0, 1], in the order of `REGIONS`.

    They sum to 1 at every pixel, up to float rounding. Shapes and feathers are fractions of the side, so that they mean
    the same at every crop size. Read-only, as it is shared.
    """
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    # Each is painted over what lies below it and leaves that so much less.
    found = np.zeros((len(REGIONS), size, size))
    for name, cover in _layers(x, y):
        found *= 1 - cover
        found[REGIONS.index(name)] += cover
    found = found.astype(np.float32)
    found.flags.writeable = False
    return found


def blend(pictures: np.ndarray, which: Sequence[Region]) -> np.ndarray:
    """Regions of some pictures in another, by multiband blending.

    Each band of the Laplacian pyramids is joined by the masks reduced to its scale, so that fine detail changes hands
    within a few pixels and light over much of the face (P. Burt, E. Adelson, "A Multiresolution Spline With Application
    to Image Mosaics", 1983). What is joined are differences to the first picture: where there are none, it stays bit
    for bit.

    The widest band, which is light and complexion, goes with the skin all over the face: the nose of a darker picture
    would be a dark spot otherwise.

    Args:
        pictures: (1 + R, S, S, 3) uint8; the first is shown wherever no region of `which` is.
        which: the R regions that the others are taken for, none twice.

    Returns:
        (S, S, 3) uint8.

    Raises:
        ValueError: the numbers differ, a region is unknown or stands there twice.
    """
    if len(pictures) != 1 + len(which) or len(set(which)) != len(which) or not set(which) <= set(REGIONS):
        raise ValueError(f"{len(pictures)} pictures do not belong to a base and the regions {', '.join(which)}")
    base = pictures[0].astype(np.float32)
    shares = _pyramid(len(base))
    total = [np.zeros((*share.shape[1:], 3), np.float32) for share in shares]
    for name, picture in zip(which, pictures[1:], strict=True):
        place = REGIONS.index(name)
        for band, share, part in zip(total, shares, bands(picture - base, len(shares) - 1), strict=True):
            band += share[place, ..., None] * part
    return np.clip(np.rint(base + joined(total)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _pyramid(size: int) -> list[np.ndarray]:
    """The share that each region has in each band, from the finest to what is left: (6, s, s) float32 each."""
    found = [masks(size)]
    while round(np.log2(found[-1].shape[1] / _COARSEST)) > 0:
        found.append(np.stack([cv2.pyrDown(mask) for mask in found[-1]]))
    features = [REGIONS.index(name) for name in _FEATURES]
    last = found[-1].copy()
    last[REGIONS.index("skin")] += last[features].sum(0)
    last[features] = 0
    return [*found[:-1], last]


def _layers(x: np.ndarray, y: np.ndarray) -> list[tuple[Region, np.ndarray]]:
    """What is painted, from below to above, with how much of each pixel it covers."""
    (left, eyes), (right, _), (_, mouth), _ = TEMPLATE
    middle, between = (left + right) / 2, mouth - eyes
    below_ears = _fall(y, 0.72, 0.16)  # hair may be longer, but down there it is as often a collar or the neck
    # The chin is at the crop's lower edge and the hairline above its upper one, but in the corners.
    face = _oval(x, y, middle, eyes + 0.44 * between, 0.40, 0.545, 0.10)
    # Wider towards the tip.
    nose = _oval((x - middle) / np.interp(y, [eyes, eyes + 0.6 * between], [0.62, 1]), y, 0, 0.455, 0.135, 0.165, 0.25)
    # With the brows, which lie above the eyes, and wide enough for glasses.
    brows = [_oval(x, y, side, eyes - 0.045, 0.175, 0.135, 0.25) for side in (left, right)]
    lips = _oval(x, y, middle, mouth + 0.02, 0.235, 0.115, 0.25)
    return [
        ("frame", np.ones_like(x)),
        ("hair", below_ears),
        ("skin", face),
        ("nose", nose),
        ("mouth", lips),
        ("eyes", np.maximum(*brows)),
    ]


def _oval(
    x: np.ndarray, y: np.ndarray, across: float, down: float, wide: float, high: float, feather: float
) -> np.ndarray:
    """1 inside an ellipse about (across, down) with half axes (wide, high), 0 outside, soft by `feather` of them."""
    radius = np.hypot((x - across) / wide, (y - down) / high)
    return _fall(radius, 1.0, feather)


def _fall(value: np.ndarray, edge: float, feather: float) -> np.ndarray:
    """From 1 to 0 about `edge`, smoothly, within `feather` to either side of it."""
    t = np.clip((edge + feather - value) / (2 * feather), 0, 1)
    return t * t * (3 - 2 * t)
