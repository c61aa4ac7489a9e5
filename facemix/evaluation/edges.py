"""Double edges: does a mid-point carry the contours of two people laid over each other?"""

from __future__ import annotations

import cv2
import numpy as np

from facemix.evaluation import metrics

# A parent that explains as much as the cross-fade itself does leaves nothing to tell apart.
_LEAST = 1e-9


def edges(picture: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 to the Laplacian of its brightness, (S, S) float64."""
    return cv2.Laplacian(metrics.brightness(picture), cv2.CV_64F, ksize=1)


def double_edges(middles: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """For every mid-point how much of its edges takes both of its ends to explain, against their cross-fade.

    Edges are Laplacians without their part along the mean one of all ends, that is, without what every aligned face
    has. By least squares, both ends' edges together explain a share of the energy of the mid-point's, and the better
    of the two by itself a smaller one. What the second adds, over what it adds for the cross-fade, is the figure: 1
    for a cross-fade, at whatever contrast; 0 for one parent's face, and 0 for a face whose contours lie elsewhere
    than either's.

    Args:
        middles, starts, ends: (P, S, S, 3) uint8.

    Returns:
        (P,) float64; NaN where ends are equal, or the mid-point has no edges of its own.
    """
    at_ends = [np.stack([edges(picture) for picture in pictures]) for pictures in (starts, ends)]
    shared = (at_ends[0].mean(0) + at_ends[1].mean(0)) / 2
    found = []
    for middle, *both in zip(middles, *at_ends, strict=True):
        target, a, b = (_without(one, shared) for one in (edges(middle), *both))
        added, whole = _added(target, a, b), _added((a + b) / 2, a, b)
        found.append(added / whole if whole > _LEAST else np.nan)
    return np.array(found)


def _without(picture: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """What of `picture` is at right angles to `shared`."""
    energy = float((shared**2).sum())
    return picture - shared * (float((picture * shared).sum()) / energy) if energy > _LEAST else picture


def _added(target: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Share of the target's energy that `a` and `b` explain together, less that which the better one explains."""
    energy, aa, bb, ab = (float((x * y).sum()) for x, y in ((target, target), (a, a), (b, b), (a, b)))
    ta, tb = float((target * a).sum()), float((target * b).sum())
    if min(energy, aa, bb) < _LEAST:
        return np.nan
    determinant = aa * bb - ab * ab
    if determinant < _LEAST * aa * bb:
        return 0.0  # one is a multiple of the other: nothing is added
    both = (bb * ta * ta - 2 * ab * ta * tb + aa * tb * tb) / determinant
    return (both - max(ta * ta / aa, tb * tb / bb)) / energy
