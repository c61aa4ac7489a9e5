"""Photographs as people have them: grey, old, dark, soft, noisy, in odd light, with dark glasses. None of them should
be refused for it.

Every change takes an aligned crop, (S, S, 3) uint8 RGB, and a generator of random numbers, and gives a crop of the same
shape.
"""

from __future__ import annotations

import cv2
import numpy as np

from facemix.evaluation.not_photographs import EYES, Kind


def grey(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def sepia(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An old print: brown, faded, with grain."""
    tone = np.array([1.0, rng.uniform(0.85, 0.95), rng.uniform(0.6, 0.85)])
    faded = grey(crop, rng).astype(np.float32) * tone * rng.uniform(0.75, 1.0) + rng.uniform(0, 40)
    return _bytes(faded + rng.normal(0, rng.uniform(0, 6), (*crop.shape[:2], 1)))


def light(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Too dark, too bright, or from one side."""
    side = crop.shape[0]
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    lit = 1 + rng.uniform(0, 1.2) * (x * np.cos(angle) + y * np.sin(angle))
    return _bytes((crop / 255.0) ** rng.uniform(0.45, 2.2) * lit[..., None] * 255)


def tint(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A wrong white balance, or coloured light."""
    mixed = crop.astype(np.float32) @ (np.eye(3) + rng.uniform(-0.35, 0.35, (3, 3)))
    return _bytes(mixed * rng.uniform(0.65, 1.25, 3) + rng.uniform(0, 25))


def blur(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 2.2) * crop.shape[0] / 128)


def compressed(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG of a low quality, in another size."""
    scale = rng.uniform(0.6, 1.6)
    data = cv2.imencode(".jpg", _resized(crop, scale), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 60))])[1]
    return _to(cv2.imdecode(data, cv2.IMREAD_COLOR), crop.shape[0])


def noise(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of a sensor in little light, in grey or in colour, fine or smeared by a camera."""
    grain = rng.normal(0, rng.uniform(3, 16), (*crop.shape[:2], 3 if rng.random() < 0.5 else 1)).astype(np.float32)
    if rng.random() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), 0.7).reshape(grain.shape) * 1.6
    return _bytes(crop + grain)


def small(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarged from few pixels."""
    return _to(_resized(crop, rng.uniform(0.22, 0.6)), crop.shape[0])


def sharpened(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    soft = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.7, 1.5)).astype(np.float32)
    return _bytes(crop + rng.uniform(0.4, 1.6) * (crop - soft))


def contrast(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat or hard."""
    return _bytes((crop.astype(np.float32) - 128) * rng.uniform(0.4, 1.6) + 128 + rng.uniform(-25, 25))


def saturation(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hsv = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.3, 1.9), 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def sunglasses(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark glasses, drawn over the eyes."""
    side, page = crop.shape[0], crop.copy()
    tone = tuple(int(value) for value in rng.integers(5, 60, 3))
    axes = (int(side * rng.uniform(0.13, 0.18)), int(side * rng.uniform(0.09, 0.13)))
    for x, y in EYES:
        cv2.ellipse(page, (int(side * x), int(side * (y + 0.02))), axes, 0, 0, 360, tone, -1, cv2.LINE_AA)
    cv2.line(page, (int(side * 0.36), int(side * 0.29)), (int(side * 0.64), int(side * 0.29)), tone, max(2, side // 50))
    return page


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _resized(crop: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _to(crop: np.ndarray, side: int) -> np.ndarray:
    shrinks = crop.shape[0] > side
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


ORDINARY: dict[str, Kind] = {
    "black and white": grey,
    "old print": sepia,
    "odd light": light,
    "odd colours": tint,
    "blurred": blur,
    "low JPEG quality": compressed,
    "noisy": noise,
    "enlarged from few pixels": small,
    "sharpened": sharpened,
    "flat or hard": contrast,
    "pale or strong colours": saturation,
    "sunglasses": sunglasses,
}
