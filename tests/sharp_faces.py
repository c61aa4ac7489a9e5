"""Faces with skin, drawn at any size, and what a model of few pixels keeps of them. Nobody's photographs."""

from __future__ import annotations

import cv2
import numpy as np
from portraits import LANDMARKS, portrait

from facemix.faces.align import TEMPLATE, Alignment
from facemix.imaging.bands import reduced


def drawn(side: int, *, seed: int = 0, skin: float = 9.0, shift: float = 0.0, colour=(205, 160, 135)) -> np.ndarray:
    """A face where alignment puts one, with pores, brows and a patterned ground: (side, side, 3) uint8.

    Args:
        skin: strength of the pores, in grey levels.
        shift: by how much of the side all features lie farther right.
    """
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    x = x - shift
    face = np.empty((side, side, 3), np.float32)
    face[:] = np.array([90, 110, 130]) + 25 * np.sin(9 * x + seed)[..., None]
    inside = np.clip((1 - np.hypot((x - 0.5) / 0.42, (y - 0.5) / 0.56)) * 12, 0, 1)[..., None]
    face += inside * (np.array(colour, np.float32) - face)
    for across, down in TEMPLATE[:2]:
        face -= 120 * _spot(x, y, across, down, 0.055, 0.028)
        face -= 70 * _spot(x, y, across, down - 0.075, 0.09, 0.014)
    mouth = TEMPLATE[2:].mean(0)
    face -= np.array([30, 90, 80]) * _spot(x, y, *mouth, 0.15, 0.03)
    pores = rng.standard_normal((side, side)).astype(np.float32)
    pores -= cv2.GaussianBlur(pores, (0, 0), 2)
    face += skin * pores[..., None]
    return np.clip(np.rint(face), 0, 255).astype(np.uint8)


def astronaut(side: int) -> np.ndarray:
    """scikit-image's portrait, aligned: (side, side, 3) uint8."""
    return Alignment.from_landmarks(LANDMARKS, side).crop(portrait())


def as_the_model_draws(cut: np.ndarray, crop: int) -> np.ndarray:
    """What is left of a cut in so many pixels, and a little less: (crop, crop, 3) uint8."""
    return np.rint(cv2.GaussianBlur(reduced(cut, crop), (0, 0), 1.2)).astype(np.uint8)


def faded(pictures: np.ndarray, weights) -> np.ndarray:
    """Pictures laid over each other: (N, C, C, 3) to (C, C, 3), uint8."""
    return np.rint(np.tensordot(np.asarray(weights, np.float64), pictures, 1)).astype(np.uint8)


def finest(picture: np.ndarray) -> np.ndarray:
    """What a picture has that half its pixels could not hold, in the middle of the face: (s, s) float32."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = len(grey)
    band = grey - cv2.GaussianBlur(grey, (0, 0), 2)
    return band[side // 4 : -side // 4, side // 4 : -side // 4]


def _spot(x: np.ndarray, y: np.ndarray, across: float, down: float, wide: float, high: float) -> np.ndarray:
    return np.exp(-(((x - across) / wide) ** 4) - ((y - down) / high) ** 4)[..., None]
