"""What `facemix.mixing.carry` does to pixels, by OpenCV. `facemix.mixing.carry_torch` does the same."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from facemix.imaging import bands
from facemix.mixing.warp import FIELD, take

# A picture, (s, s, 3), or a field, (FIELD, FIELD), as these hold it: arrays here. What they are added to, multiplied
# with and clipped to works on tensors as well.
Held = Any


class Pixels:
    """Pictures are float32, but for photographs, which are uint8 until something is taken of them."""

    def held(self, values: np.ndarray) -> Held:
        """A picture, a field, or several fields, as the other methods take them."""
        return values

    def levels(self, picture: Held) -> np.ndarray:
        """(s, s, 3) uint8: rounded, and between black and white."""
        return cv2.add(picture, np.zeros_like(picture), dtype=cv2.CV_8U)

    def take(self, picture: Held, way: Held) -> Held:
        """See `facemix.mixing.warp.take`; of a picture or a field."""
        return take(picture, way)

    def weighted(self, picture: Held, values: Held) -> Held:
        """The picture times a smooth field at its pixels."""
        return bands.weighted(picture, values)

    def strength(self, picture: Held) -> Held:
        """Root mean square about each place of the field."""
        return bands.strength(picture, FIELD)

    def bands(self, picture: Held, count: int) -> list[Held]:
        """See `facemix.imaging.bands.bands`."""
        return bands.bands(picture, count)

    def joined(self, pyramid: list[Held]) -> Held:
        """See `facemix.imaging.bands.joined`."""
        return bands.joined(pyramid)

    def reduced(self, picture: Held, side: int) -> Held:
        """See `facemix.imaging.bands.reduced`."""
        return bands.reduced(picture, side)

    def enlarged(self, picture: Held, side: int) -> Held:
        """Cubic; the picture itself where it has that side."""
        if len(picture) == side:
            return picture
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)

    def finest(self, picture: Held) -> Held:
        """What a blur of three pixels takes of it."""
        return picture - cv2.GaussianBlur(picture, (3, 3), 0)
