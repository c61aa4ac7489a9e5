"""How far a head is turned, and where a photograph shows what lies behind it.

Alignment puts the eyes of everybody in the same places, so the more a head is turned, the nearer its far outline comes
to the nose: in a profile half of the crop is background where a frontal face has its cheek. Shapes are too smooth to
bring such an outline to the other; but they say how far a head is turned, and with that where it ends.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from facemix.faces.align import TEMPLATE
from facemix.imaging.smooth import rise
from facemix.mixing.warp import FIELD

_NOSE = (0.5, 0.55)  # the tip's place in the mean face, in fractions of the side
# Heights, and how far from the middle a frontal face ends there, in fractions of the side: without the ears, which are
# no more of a face than hair is. `benchmarks.sharp_turned --outlines` measures them, and by how much that shrinks (the
# chin's, at the crop's edge, is a guess).
_HEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_HALF = (0.38, 0.36, 0.33, 0.27, 0.20, 0.12)
_BY_TURN = 1.66
_SOFT = 0.05  # half the width of an outline: it is known no better
# However far a head is turned, both of its eyes are seen: from which height to which this ceases to hold, and how far
# from the middle they reach.
_EYES_UNTIL, _EYES = (0.38, 0.5), 0.27


def turns(displacements: np.ndarray) -> np.ndarray:
    """By how much the nose lies further to the right than the eyes do, from where the mean face has them.

    Args:
        displacements: of shapes, (N, FIELD, FIELD, 2); see `facemix.mixing.warp.dense`.

    Returns:
        (N,) float32, in fractions of the side; about 0.36 times what the landmarks say in distances of the eyes.
    """
    across = np.asarray(displacements, np.float32)[..., 0]
    nose, left, right = (across[:, int(y * FIELD), int(x * FIELD)] for x, y in (_NOSE, *TEMPLATE[:2]))
    return nose - (left + right) / 2


def heads(turned: np.ndarray) -> np.ndarray:
    """How far each place of the crops shows a head, by how far these are turned: (N, FIELD, FIELD) float32 in [0, 1].

    turned: (N,), see `turns`.
    """
    across, half, least = _grid()
    turned = np.asarray(turned, np.float32)[:, None, None]
    sides = [
        rise(np.maximum(half - _BY_TURN * np.maximum(sign * turned, 0), least) - sign * across, -_SOFT, _SOFT)
        for sign in (1, -1)
    ]
    return (sides[0] * sides[1]).astype(np.float32)


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of each column from the middle, (1, FIELD); and of each row where a frontal face ends, and where any
    does at the nearest, (FIELD, 1). Fractions of the side."""
    middles = (np.arange(FIELD, dtype=np.float32) + 0.5) / FIELD
    half = np.interp(middles, _HEIGHTS, _HALF).astype(np.float32)
    least = _EYES * rise(middles, *_EYES_UNTIL[::-1])
    return middles[None] - 0.5, half[:, None], least[:, None]
