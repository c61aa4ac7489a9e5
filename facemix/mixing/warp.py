"""From the shapes of the parents to the way from each place of a mix to the same place in each of them."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

FIELD = 64  # rows and columns on which ways are computed; they are smooth, and enlarged where they are used
_ROUNDS = 5  # of the fixed point; shapes bend so little that each gains about a digit


def dense(shapes: np.ndarray) -> np.ndarray:
    """Shapes on their control points, (N, 2, G, G), to displacements at the middles of a grid's cells, (N, FIELD,
    FIELD, 2) float32, x before y, in fractions of the crop's side. Cubic, as the network was trained."""
    rows = _cubic(shapes.shape[-1])
    return np.ascontiguousarray(np.moveaxis(rows @ shapes @ rows.T, 1, -1), np.float32)


def ways(displacements: np.ndarray, weights: np.ndarray, moved: np.ndarray | None = None) -> np.ndarray:
    """For each place of the mix, how far from there the same place of each parent lies.

    The shape of the mix is the weighted mean of its parents'. A place x of the mix shows the point u of the mean face
    with x = u + d(u), d being the mix's displacement; a parent shows it at u + d_i(u). What is returned is
    d_i(u) - d(u), so that a parent that is alone is not moved at all, whatever rounding does to u.

    Args:
        displacements: of the parents, (N, FIELD, FIELD, 2); see `dense`.
        weights: (N, FIELD, FIELD), non-negative, sums of 1: they may differ from place to place.
        moved: by how much the mix's shape differs from the mean, (FIELD, FIELD, 2); None for not at all.

    Returns:
        (N, FIELD, FIELD, 2) float32, in fractions of the crop's side.
    """
    mean = np.einsum("nyx,nyxc->yxc", weights, displacements)
    if moved is not None:
        mean = mean + moved
    middles = _middles()
    point = middles
    for _ in range(_ROUNDS):
        point = middles - _at(mean, point)
    there = _at(np.concatenate([displacements, mean[None]]).transpose(1, 2, 0, 3).reshape(FIELD, FIELD, -1), point)
    there = there.reshape(FIELD, FIELD, -1, 2).transpose(2, 0, 1, 3)
    return there[:-1] - there[-1]


def take(picture: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The picture as it looks from the mix: at each place, what lies the way's length from there.

    Args:
        picture: (S, S) or (S, S, channels), uint8 or float32.
        way: (FIELD, FIELD, 2); see `ways`.

    Returns:
        As `picture`, of its type; itself, value for value, where the way is 0. What lies outside mirrors the edge.
    """
    side = len(picture)
    pixels = side * way
    if side != FIELD:
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    pixels += _places(side)
    return cv2.remap(picture, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values on the grid, (FIELD, FIELD, C), at points in fractions of the side, (FIELD, FIELD, 2), bilinearly."""
    where = (FIELD * points - 0.5).astype(np.float32)
    # OpenCV takes four channels at once, and no more.
    parts = [
        cv2.remap(
            np.ascontiguousarray(values[..., start : start + 2], np.float32),
            where[..., 0],
            where[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for start in range(0, values.shape[-1], 2)
    ]
    return np.concatenate(parts, axis=-1)


@lru_cache(maxsize=1)
def _middles() -> np.ndarray:
    middles = (np.arange(FIELD, dtype=np.float32) + 0.5) / FIELD
    return np.stack(np.meshgrid(middles, middles), axis=-1)


@lru_cache(maxsize=2)
def _places(side: int) -> np.ndarray:
    """Of each pixel, (side, side, 2) float32, x before y."""
    return np.stack(np.meshgrid(*[np.arange(side, dtype=np.float32)] * 2), axis=-1)


@lru_cache(maxsize=4)
def _cubic(points: int) -> np.ndarray:
    """Keys' cubic convolution with a = -0.75 from so many control points, the outermost at 0 and 1, to a grid's cells
    as PyTorch's bicubic interpolation with aligned corners gives them: (FIELD, points) float32."""
    # The rows are those of its own enlargement, from the first place to the last.
    at = np.arange(FIELD) * (points - 1) / (FIELD - 1)
    first = np.floor(at).astype(int)
    rows = np.zeros((FIELD, points))
    for offset in (-1, 0, 1, 2):
        t = np.abs(at - first - offset)
        near, far = ((1.25 * t - 2.25) * t) * t + 1, -0.75 * (((t - 5) * t + 8) * t - 4)
        column = np.clip(first + offset, 0, points - 1)
        np.add.at(rows, (np.arange(FIELD), column), np.where(t <= 1, near, np.where(t < 2, far, 0)))
    return rows.astype(np.float32)
