"""What happens to pictures on their way, for measuring what a mark survives. Only NumPy and OpenCV, so that other
marks can be measured in environments of their own."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Attack = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def through(kind: str, quality: int) -> Attack:
    """Saved and read again."""
    flag = cv2.IMWRITE_JPEG_QUALITY if kind == ".jpg" else cv2.IMWRITE_WEBP_QUALITY

    def attack(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        written = cv2.imencode(kind, np.ascontiguousarray(pixels[..., ::-1]), [flag, quality])[1]
        return np.ascontiguousarray(cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1])

    return attack


def scaled(factor: float) -> Attack:
    def attack(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        side = round(len(pixels) * factor)
        return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)

    return attack


def cropped(share: float) -> Attack:
    """So much of each side is missing, at whichever end."""

    def attack(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        side = len(pixels)
        kept = round(side * (1 - share))
        top, left = chance.integers(0, side - kept + 1, 2)
        return np.ascontiguousarray(pixels[top : top + kept, left : left + kept])

    return attack


def brighter(factor: float) -> Attack:
    return lambda pixels, chance: np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)


def noisy(deviation: float) -> Attack:
    def attack(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        return np.clip(np.rint(pixels + chance.normal(0, deviation, pixels.shape)), 0, 255).astype(np.uint8)

    return attack


def blurred(deviation: float) -> Attack:
    return lambda pixels, chance: cv2.GaussianBlur(pixels, (0, 0), deviation)


def mirrored(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1])


def after(*attacks: Attack) -> Attack:
    """One after the other."""

    def attack(pixels: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        for one in attacks:
            pixels = one(pixels, chance)
        return pixels

    return attack


ATTACKS: dict[str, Attack] = {
    "nothing": lambda pixels, chance: pixels,
    "JPEG 50": through(".jpg", 50),
    "half size": scaled(0.5),
    "half size, then JPEG 50": after(scaled(0.5), through(".jpg", 50)),
    "JPEG 50, then half size": after(through(".jpg", 50), scaled(0.5)),
    "JPEG 30": through(".jpg", 30),
    "WebP 60": through(".webp", 60),
    "twice the size, then JPEG 75": after(scaled(2), through(".jpg", 75)),
    "brighter by a fifth": brighter(1.2),
    "darker by a fifth": brighter(0.8),
    "noise of 5 levels": noisy(5),
    "blur of 1 pixel": blurred(1),
    "mirrored": mirrored,
    "5 % cut off": cropped(0.05),
    "5 % cut off, then JPEG 75": after(cropped(0.05), through(".jpg", 75)),
    "15 % cut off": cropped(0.15),
}
