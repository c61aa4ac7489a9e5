"""The small visible label: whoever sees the picture is told that a machine made it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from facemix.imaging.lettering import font

TEXT = "AI mix"
LEAST_SIDE = 96  # below that no text of this length can be read
_FINE = 4  # drawn so many times larger and reduced, for smooth edges
_PLATE, _INK = 20, 255  # grey levels: near black behind white is read on every ground
_PLATE_SHARE = 0.62  # how much of the picture the plate covers


@dataclass(frozen=True)
class _Stamp:
    """The label, and what becomes of each pixel below it: ``pixel * keep + add``."""

    margin: int  # pixels to the right of it and below
    keep: np.ndarray  # (h, w, 1) uint16, in 256ths
    add: np.ndarray  # (h, w, 1) uint16, in 256ths of a grey level


def label(frames: np.ndarray) -> None:
    """Writes the label into the bottom right corner of every frame, in place.

    Its letters are a twelfth of the shorter side high, capitals 7 pixels at 128; frames with a side shorter than
    `LEAST_SIDE` are left as they are.

    Args:
        frames: (N, H, W, 3) uint8 RGB.
    """
    bottom, right = frames.shape[1:3]
    if min(bottom, right) < LEAST_SIDE:
        return
    stamp = _stamp(min(bottom, right))
    bottom, right = bottom - stamp.margin, right - stamp.margin
    height, width = stamp.keep.shape[:2]
    place = frames[:, bottom - height : bottom, right - width : right]
    place[:] = (place * stamp.keep + stamp.add) >> 8


@lru_cache(8)
def _stamp(side: int) -> _Stamp:
    letters = font(round(_FINE * side / 13))
    left, top, right, bottom = letters.getbbox(TEXT)
    across, down = 0.32 * letters.size, 0.26 * letters.size  # of the plate around the letters
    width, height = right - left + 2 * across, bottom - top + 2 * down
    columns, rows = (int(-(-size // _FINE)) for size in (width, height))
    plate, ink = (Image.new("L", (columns * _FINE, rows * _FINE)) for _ in range(2))
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, plate.width - 1, plate.height - 1), 0.3 * plate.height, 255)
    ImageDraw.Draw(ink).text((plate.width / 2, plate.height / 2), TEXT, 255, letters, anchor="mm")
    covered, inked = (np.asarray(one.reduce(_FINE), np.float32)[..., None] / 255 for one in (plate, ink))
    covered = np.maximum(_PLATE_SHARE * covered, inked)
    # What is inked is all ink; between ink and plate the edge is theirs alone, never the picture's.
    grey = np.divide(inked * _INK + (covered - inked) * _PLATE, covered, out=np.zeros_like(covered), where=covered > 0)
    keep = np.rint(256 * (1 - covered))
    return _Stamp(
        max(2, round(side / 48)),
        keep.astype(np.uint16),
        np.rint((256 - keep) * grey).astype(np.uint16),
    )
