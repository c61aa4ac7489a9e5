"""A stand-in for what photographs of few pixels lack: fine texture on a face, known exactly."""

from __future__ import annotations

import cv2
import numpy as np

from facemix.evaluation.face_sharpness import oval
from facemix.imaging.arrays import luma

_LEVELS = 6.0  # root mean square, of 255; pores and stubble in a sharp portrait have some 3 to 10
# In pixels of the picture. Between the two Gaussians lie lines of about 2 to 6 pixels.
_FINE, _COARSE = 0.7, 1.6


def texture(side: int, seed: tuple[int, ...]) -> np.ndarray:
    """Band-limited noise in the face's oval: (side, side) float32, levels of 255, root mean square 6 where it is full.

    It belongs to one photograph: drawn in the photograph's own pixels, it moves with the face wherever that is warped,
    and no two people have the same, as nobody shares their pores.
    """
    noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    band = cv2.GaussianBlur(noise, (0, 0), _FINE) - cv2.GaussianBlur(noise, (0, 0), _COARSE)
    return band * np.float32(_LEVELS / band.std()) * oval(side).astype(np.float32)


def textured(cut: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """(S, S, 3) uint8 with that texture on it, equal in all channels."""
    added = cut + texture(cut.shape[0], seed)[..., None]
    return np.clip(np.rint(added), 0, 255).astype(np.uint8)


def kept(middles: tuple[np.ndarray, np.ndarray], parents: tuple[np.ndarray, np.ndarray]) -> float:
    """Energy of the texture in a mid-point over the mean of its parents': 1 is all of it.

    Whatever differs for the texture's sake counts, at its right place or not.

    Args:
        middles: a mid-point of the textured photographs and the same of the plain ones, (S, S, 3) uint8 each.
        parents: both textured photographs and both plain ones, (2, S, S, 3) uint8 each.
    """
    energies = [_difference(with_, without) for with_, without in zip(*parents, strict=True)]
    return _difference(*middles) / float(np.mean(energies))


def _difference(with_: np.ndarray, without: np.ndarray) -> float:
    return float(np.mean(((luma(with_) - luma(without)).astype(np.float64) ** 2) * oval(with_.shape[0])))
