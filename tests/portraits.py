"""Photographs to mix: scikit-image's public-domain portrait of an astronaut, and what can be made of it.

All functions return (H, W, 3) uint8 RGB. The rectangles and points are where the eyes and the mouth are by eye.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import skimage.data

# Where the five landmarks of `portrait()` are: x, y, in the order of `facemix.faces.types.LANDMARK_NAMES`.
LANDMARKS = np.array([[203, 103], [248, 104], [224, 125], [204, 144], [242, 145]], np.float64)


@functools.cache
def _portrait() -> np.ndarray:
    return skimage.data.astronaut()


def portrait() -> np.ndarray:
    """The portrait, 512 x 512, with one face whose eyes are 45 pixels apart."""
    return _portrait().copy()


def head() -> np.ndarray:
    """Its upper part, 300 x 300: the face alone, small enough for many tests."""
    return np.ascontiguousarray(_portrait()[:300, 80:380])


def other() -> np.ndarray:
    """A visibly different face: `head`, mirrored, wider, and in other colours."""
    wider = cv2.resize(_portrait()[:300, 80:380][:, ::-1], (345, 300), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray((wider[..., [2, 0, 1]].astype(np.float32) * 0.75 + 40).clip(0, 255).astype(np.uint8))


def crowd() -> np.ndarray:
    """Two faces: `head` and to the right of it `other` at half its size."""
    small = cv2.resize(other(), (172, 150), interpolation=cv2.INTER_AREA)
    both = np.full((300, 490, 3), 120, np.uint8)
    both[:, :300] = head()
    both[100:250, 310:482] = small
    return both


def far_away() -> np.ndarray:
    """A face far too small to be mixed: its eyes are 6 pixels apart."""
    photo = np.full((600, 600, 3), 150, np.uint8)
    photo[200:240, 200:240] = cv2.resize(head(), (40, 40), interpolation=cv2.INTER_AREA)
    return photo


def cat() -> np.ndarray:
    """No face of a person."""
    return skimage.data.cat().copy()
