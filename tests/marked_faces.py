"""Smooth pictures with eyes, such as the model draws, for marking."""

import cv2
import numpy as np


def faces(count: int, side: int = 128) -> np.ndarray:
    """(count, side, side, 3) uint8: each another one."""
    chance = np.random.default_rng(3)
    made = []
    for _ in range(count):
        picture = cv2.resize(chance.normal(120, 45, (7, 7, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        for x in (0.35, 0.65):
            centre = round(x * side + chance.normal(0, 2)), round(0.42 * side)
            cv2.ellipse(picture, centre, (side // 12, side // 22), 0, 0, 360, (60, 40, 35), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (side // 2, round(0.72 * side)), (side // 7, side // 30), 0, 0, 360, (90, 50, 60), -1)
        made.append(cv2.GaussianBlur(picture, (0, 0), side / 90) + chance.normal(0, 1.5, picture.shape))
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)
