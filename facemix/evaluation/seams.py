"""Can it be seen where a face was put in? Steps across the mask's rim, and grain on either side of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facemix.evaluation.metrics import brightness
from facemix.faces.align import Alignment
from facemix.faces.paste import mask_in

_SECTORS = 24  # of the rim, seen from the middle of the mask
_SCALES = (0.0, 0.25, 0.6)  # standard deviations of the blurs under which steps are looked for, widths of the rim
_LEAST = 0.5  # of a grey level a pixel: gradients below it are no steps, and are not divided by
_QUIET = 25  # percentile of the loudness of the finest band that is skin, and not hair
_LEAST_GRAIN = 0.25  # grey levels: less cannot be seen


@dataclass(frozen=True)
class Seam:
    """How a picture changes across the rim, against the photograph that it was made of; 1 is as the photograph does.

    Attributes:
        mean: gradient energy across the rim, over the photograph's, in the mean of the rim's sectors.
        worst: the same in the sector where it is greatest.
        grain: the finest noise just inside of the rim over that just outside, over the same of the photograph.
    """

    mean: float
    worst: float
    grain: float


def seam(composite: np.ndarray, photograph: np.ndarray, mask: np.ndarray) -> Seam:
    """Looks along the rim of what was put into a photograph.

    Only gradients across the rim count, since a seam has none along itself. They are looked for at several scales, from
    a pixel to most of the rim's width, so that neither a fine line nor a wide step is missed.

    Args:
        composite, photograph: (H, W, 3) uint8 RGB.
        mask: (H, W) float in [0, 1], how much of each pixel was put in.

    Raises:
        ValueError: shapes differ, or the mask is flat.
    """
    if composite.shape != photograph.shape or mask.shape != photograph.shape[:2]:
        raise ValueError(f"shapes differ: {composite.shape}, {photograph.shape}, and the mask {mask.shape}")
    part = _around(mask)
    mask = mask[part].astype(np.float64)
    across, down = _gradient(mask)
    slope = np.hypot(across, down)
    if not slope.any():
        raise ValueError("the mask is flat: it has no rim")
    width = 1 / float(np.percentile(slope[slope > 0], 90))
    across, down = (np.divide(one, slope, out=np.zeros_like(one), where=slope > 0) for one in (across, down))
    sectors = _sectors(mask)
    counted = np.bincount(sectors.ravel(), slope.ravel(), _SECTORS)
    made, given = (255 * brightness(one[part]) for one in (composite, photograph))
    ratios = []
    for scale in _SCALES:
        sums = []
        for picture in (made, given):
            x, y = _gradient(_blurred(picture, scale * width))
            energy = np.square(x * across + y * down) * slope
            sums.append(np.bincount(sectors.ravel(), energy.ravel(), _SECTORS))
        # What no eye sees is wider apart the more it is blurred.
        least = (_LEAST / (1 + scale * width)) ** 2
        # A sector that hardly has a rim, where the photograph ends, says nothing.
        ratios.append([_ratio(*pair, least * n) for *pair, n in zip(*sums, counted, strict=True) if n > 0.01])
    of_sectors = np.mean(ratios, axis=0)
    return Seam(float(of_sectors.mean()), float(of_sectors.max()), _grain(made, given, mask))


def seams(composite: np.ndarray, photograph: np.ndarray, alignment: Alignment, face: np.ndarray) -> tuple[Seam, Seam]:
    """`seam` of a composite, and that of the same face cut out and put there as it is.

    Args:
        composite, photograph: (H, W, 3) uint8 RGB.
        alignment: from their pixels to the crop.
        face: (S, S, 3) uint8 RGB, what was put in.
    """
    mask = mask_in(photograph.shape, alignment)
    hard = hard_paste(photograph, alignment, face)
    return seam(composite, photograph, mask), seam(hard, photograph, mask)


def hard_paste(photograph: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """The photograph with the face laid over it, cut out along the middle of the mask's rim.

    Args:
        photograph: (H, W, 3) uint8 RGB.
        alignment: from its pixels to the crop.
        face: (S, S, 3) uint8 RGB, aligned as the crop.
    """
    inside = mask_in(photograph.shape, alignment)[..., None] > 0.5
    return np.where(inside, laid(photograph, alignment, face), photograph)


def laid(photograph: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """The whole face where it lies in the photograph, and its edge's pixels around: (H, W, 3) uint8. Arguments as those
    of `hard_paste`."""
    height, width = photograph.shape[:2]
    alignment = alignment.resized(len(face))
    if alignment.scale > 1:
        side = max(8, round(len(face) / alignment.scale))
        face, alignment = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), alignment.resized(side)
    back = alignment.inverse
    back[:, 2] += back[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts the centres of pixels at whole numbers
    return cv2.warpAffine(face, back, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """The part of the picture that the mask covers, with a border."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(None), slice(None)
    more = 2 + (rows[-1] - rows[0]) // 10
    return slice(max(0, rows[0] - more), rows[-1] + more), slice(max(0, columns[0] - more), columns[-1] + more)


def _gradient(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences between neighbours, half of those across two pixels: to the right and down."""
    x, y = (cv2.Sobel(picture, cv2.CV_64F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1)))
    return x, y


def _sectors(mask: np.ndarray) -> np.ndarray:
    y, x = np.indices(mask.shape)
    total = mask.sum()
    angle = np.arctan2(y - (y * mask).sum() / total, x - (x * mask).sum() / total)
    return np.minimum((angle + np.pi) / (2 * np.pi) * _SECTORS, _SECTORS - 1).astype(int)


def _ratio(made: float, given: float, least: float) -> float:
    return (made + least) / (given + least)


def _grain(made: np.ndarray, given: np.ndarray, mask: np.ndarray) -> float:
    inside, outside = (mask > 0.6) & (mask < 0.98), (mask < 0.2) & (cv2.dilate(mask, np.ones((9, 9))) > 0)
    if not (inside.any() and outside.any()):
        return 1.0
    steps = []
    for picture in (made, given):
        loud = np.sqrt(np.maximum(cv2.blur(np.square(picture - _blurred(picture, 1.0)), (7, 7)), 0))
        within, without = (float(np.percentile(loud[where], _QUIET)) for where in (inside, outside))
        steps.append((within + _LEAST_GRAIN) / (without + _LEAST_GRAIN))
    return steps[0] / steps[1]


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.3 else picture
