"""Bands of spatial frequency, for pictures that are joined band by band."""

from __future__ import annotations

import cv2
import numpy as np


def bands(picture: np.ndarray, count: int) -> list[np.ndarray]:
    """The Laplacian pyramid (P. Burt, E. Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983): `count` bands
    from the finest on, each half as wide as the one before, and what is left below them.

    picture: (S, S) or (S, S, channels) float32.
    """
    found = []
    for _ in range(count):
        lower = cv2.pyrDown(picture)
        found.append(picture - _doubled(lower, picture))
        picture = lower
    return [*found, picture]


def lowest(picture: np.ndarray, count: int) -> np.ndarray:
    """What `bands` leaves below `count` bands."""
    for _ in range(count):
        picture = cv2.pyrDown(picture)
    return picture


def joined(pyramid: list[np.ndarray]) -> np.ndarray:
    """The picture of which these are the bands."""
    picture = pyramid[-1]
    for band in pyramid[-2::-1]:
        picture = band + _doubled(picture, band)
    return picture


def reduced(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture at `side` x `side`, float32, by area averaging; itself where it has that side."""
    picture = picture.astype(np.float32, copy=False)
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def spread(values: np.ndarray, side: int) -> np.ndarray:
    """Smooth values, (s, s), at a picture's pixels: (side, side, 1) float32."""
    values = values.astype(np.float32, copy=False)
    if len(values) != side:
        values = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)
    return values[..., None]


def weighted(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The picture, (S, S, 3) of any type, times smooth values, (s, s), at its pixels: (S, S, 3) float32."""
    # Three alike and one call: NumPy would go through the channels of each pixel by itself, six times as slowly.
    at_pixels = spread(values, len(picture))
    return cv2.multiply(picture, cv2.merge([at_pixels] * 3), dtype=cv2.CV_32F)


def strength(band: np.ndarray, side: int) -> np.ndarray:
    """The root mean square of a band, (S, S, channels), about each place: (side, side) float32."""
    energy = reduced(cv2.multiply(band, band), side).mean(-1)
    return np.sqrt(np.maximum(cv2.GaussianBlur(energy, (0, 0), side / 32), 0))


def _doubled(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    return cv2.pyrUp(picture, dstsize=(like.shape[1], like.shape[0]))
