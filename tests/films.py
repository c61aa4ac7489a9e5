"""Films for the tests of animations, and what is read back of them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence

SKIN = (200, 150, 120)


def film(count: int, side: int = 64) -> list[np.ndarray]:
    """Skin with a dark bar that walks from left to right: every frame is unlike every other."""
    frames = []
    for number in range(count):
        frame = np.full((side, side, 3), SKIN, np.uint8)
        frame[:, :, 2] += np.linspace(0, 40, side).astype(np.uint8)[:, None]
        at = round((number + 0.5) * side / count)
        frame[:, max(0, at - 3) : at + 3] = (40, 60, 110)
        frames.append(frame)
    return frames


def pictures(data: bytes, folder: Path) -> list[np.ndarray]:
    """The frames of a GIF, WebP or MP4: (H, W, 3) uint8 RGB each."""
    if data[4:8] != b"ftyp":
        with Image.open(BytesIO(data)) as image:
            return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    (folder / "film.mp4").write_bytes(data)
    video, frames = cv2.VideoCapture(str(folder / "film.mp4")), []
    while (read := video.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    video.release()
    return frames


def milliseconds(data: bytes) -> list[int]:
    """How long each frame of a GIF or WebP stays."""
    with Image.open(BytesIO(data)) as image:
        found = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            found.append(frame.info["duration"])
        return found


def repeats(data: bytes) -> int | None:
    """How often a GIF or WebP says that it is shown: 0 for ever, None where nothing is said, and that is once."""
    with Image.open(BytesIO(data)) as image:
        return image.info.get("loop")


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in levels."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())
