"""Who wears glasses, seen on the aligned crop, and where in it glasses are.

Histograms of gradients in cells of the band that frames can lie in, with how light each cell is, and one logistic
regression over them (N. Dalal, B. Triggs, "Histograms of Oriented Gradients for Human Detection", 2005). Its weights
were fitted by ``python -m benchmarks.glasses`` to faces that were labelled by looking; `docs/faces.md` gives the rates.
They belong to the alignment, not to a model: whoever changes `facemix.faces.align.TEMPLATE` has to fit them again.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from facemix.errors import InstallationError

WEIGHTS = Path(__file__).with_name("weights") / "glasses.npy"
# The likeness from which on a face counts as wearing glasses. Half a pair in a mix is worse than a pair of eyes that
# comes from one parent without need, so it stands lower than where the two errors would be even: where about 2 % of
# random training faces without glasses count as wearing some, each judged by a fit that had not seen it.
THRESHOLD = 0.17

_SIDE = 128  # looked at in one size, whatever the model's crop
_TOP, _BOTTOM = 14, 78  # the band: from above the brows to below the largest lenses, out to both edges
_CELL, _BINS = 8, 8
_ROWS, _COLUMNS = (_BOTTOM - _TOP) // _CELL, _SIDE // _CELL
COUNT = _ROWS * _COLUMNS * (_BINS + 1)  # features
_FACE = (slice(24, 104), slice(24, 104))  # what a cell's lightness is compared with
_CELL_OF = (np.arange(_BOTTOM - _TOP)[:, None] // _CELL * _COLUMNS + np.arange(_SIDE) // _CELL) * _BINS

# Where glasses are, in fractions of the crop; `benchmarks/glasses.py` prints how much of their edges this covers.
_LENS_CENTRE, _LENS_RADII = (0.275, 0.33), (0.22, 0.185)
_LENS_POWER = 2.6  # of a superellipse: between an ellipse and a box, as frames are
_BAR = (0.20, 0.39)  # bridge and temples: between these heights
_BRIDGE_FROM, _TEMPLE_TO = 0.42, 0.16  # the bridge is from here to the middle; a temple from the edge to here
_SOFT = 0.05  # width of the edge


def glasses(crop: np.ndarray) -> float:
    """How much a face looks as if it wore glasses, 0 to 1; from `THRESHOLD` on it counts as wearing some.

    A likeness, not a probability: it was fitted to more glasses, and to more doubtful faces, than people wear.

    Args:
        crop: its aligned crop, (S, S, 3) uint8 RGB. Best 128 pixels or more.

    Raises:
        ValueError: `crop` is no such picture.
        InstallationError: the weights are not where the package puts them, or damaged.
    """
    weights = _weights()
    logit = float(features(crop) @ weights[:-1] + weights[-1])
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))


def wears_glasses(crop: np.ndarray) -> bool:
    """Whether `glasses` reaches `THRESHOLD`; takes and raises the same."""
    return glasses(crop) >= THRESHOLD


def features(crop: np.ndarray) -> np.ndarray:
    """(`COUNT`,) float32, finite: of each cell the histogram of gradients, then of each its lightness.

    Free of brightness, and of contrast as far as that is above the noise. Mirroring the crop permutes them.

    Args:
        crop: (S, S, 3) uint8 RGB.

    Raises:
        ValueError: `crop` is no such picture.
    """
    if (
        crop.dtype != np.uint8
        or crop.ndim != 3
        or crop.shape[2] != 3
        or crop.shape[0] != crop.shape[1]
        or not crop.size
    ):
        raise ValueError(f"an aligned crop is (S, S, 3) uint8; this is {crop.shape} {crop.dtype}")
    if crop.shape[0] != _SIDE:
        shrinks = crop.shape[0] > _SIDE
        crop = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.concatenate([_gradients(luma), _lightness(luma)]).astype(np.float32)


def _gradients(luma: np.ndarray) -> np.ndarray:
    """Square roots of the histograms, each against the energy of its neighbours and of the whole band."""
    x, y = (cv2.Scharr(luma, cv2.CV_32F, *order, scale=1 / 32)[_TOP:_BOTTOM] for order in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(x, y)
    place = angle * np.float32(_BINS / np.pi)  # a line has no sign: the circle goes round the bins twice
    lower = place.astype(np.int32)
    upper_part = (place - lower) * strength
    histograms = sum(
        np.bincount((_CELL_OF + bins % _BINS).ravel(), part.ravel(), _ROWS * _COLUMNS * _BINS)
        for bins, part in ((lower, strength - upper_part), (lower + 1, upper_part))
    )
    cells = histograms.reshape(_ROWS, _COLUMNS, _BINS) / _CELL**2
    energy = (cells**2).sum(-1)
    around = np.sqrt(np.maximum(cv2.blur(energy, (3, 3)), 0))  # a running sum may end a little below nothing
    return np.sqrt(np.maximum(cells, 0) / (around + np.sqrt(energy).mean() + 0.5)[..., None]).ravel()


def _lightness(luma: np.ndarray) -> np.ndarray:
    """Of each cell, in standard deviations of the face: dark lenses have few edges within."""
    face = luma[_FACE]
    cells = cv2.resize(luma[_TOP:_BOTTOM], (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return ((cells - face.mean()) / (face.std() + 8)).ravel()


@lru_cache(maxsize=1)
def _weights() -> np.ndarray:
    """(`COUNT` + 1,) float32, the last one the constant."""
    try:
        weights = np.load(WEIGHTS, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _broken(f"cannot be loaded: {error}") from error
    if weights.shape != (COUNT + 1,) or not np.isfinite(weights).all():
        raise _broken(f"are {weights.shape}, not ({COUNT + 1},), or not finite")
    weights.setflags(write=False)
    return weights


def _broken(what: str) -> InstallationError:
    return InstallationError(
        f"the weights that tell glasses, at {WEIGHTS}, {what}",
        hint="install facemix again: the file ships inside the package",
    )


@lru_cache(maxsize=8)
def eyewear_mask(side: int) -> np.ndarray:
    """Where in an aligned crop glasses usually are, (side, side) float32 in [0, 1]: lenses, bridge, and temples out to
    the crop's edges, with soft borders. Symmetric. Shared: not to be changed."""
    x, y = np.meshgrid(*[(np.arange(side, dtype=np.float32) + 0.5) / side] * 2)
    x = np.minimum(x, 1 - x)  # both halves are one
    offsets = (np.abs(at - middle) / reach for at, middle, reach in zip((x, y), _LENS_CENTRE, _LENS_RADII, strict=True))
    radius = sum(offset**_LENS_POWER for offset in offsets) ** (1 / _LENS_POWER)
    outside_lens = (radius - 1) * min(_LENS_RADII)
    above_or_below = np.maximum(_BAR[0] - y, y - _BAR[1])
    outside_bridge = np.maximum(above_or_below, _BRIDGE_FROM - x)
    outside_temple = np.maximum(above_or_below, x - _TEMPLE_TO)
    distance = np.minimum(outside_lens, np.minimum(outside_bridge, outside_temple))
    t = np.clip(0.5 - distance / _SOFT, 0, 1)
    mask = t * t * (3 - 2 * t)
    mask.setflags(write=False)
    return mask
