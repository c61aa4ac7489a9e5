"""The nouns of this room. Coordinates are pixels of the upright image, x to the right, y down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

# Order of the five landmarks, as seen in the picture (not by the person): left means smaller x.
LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


@dataclass(frozen=True)
class Face:
    """One face as a detector reports it.

    Attributes:
        box: (x0, y0, x1, y1) in pixels; may reach beyond the image.
        landmarks: (5, 2) float32, ordered as `LANDMARK_NAMES` for an upright face.
        score: the detector's confidence, 0 to 1; NaN for a face that no detector has found.
    """

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    score: float

    @property
    def size(self) -> float:
        """Geometric mean of the box's sides, in pixels."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))

    def scaled(self, x: float, y: float) -> Face:
        """The same face in a photograph that is `x` times as wide and `y` times as high."""
        x0, y0, x1, y1 = self.box
        landmarks = (self.landmarks * np.array([x, y])).astype(np.float32)
        return Face((x0 * x, y0 * y, x1 * x, y1 * y), landmarks, self.score)


class FaceDetector(Protocol):
    """Anything that finds faces with five landmarks in an upright RGB array."""

    def detect(self, image: np.ndarray) -> list[Face]:
        """image: (H, W, 3) uint8 RGB. Returns faces by falling score; an empty list when there are none."""
        ...


class PixelSource(Protocol):
    """A photograph that can be had in more than one size, so that no more of it is decoded than is needed.

    Attributes:
        width, height: in pixels of its full size, upright; all coordinates are in these.
    """

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def pixels(self, side: float) -> np.ndarray:
        """(h, w, 3) uint8 RGB: the whole photograph, its longer side at least `side` pixels or its full size."""
        ...


@dataclass(frozen=True)
class Quality:
    """What the gates measured on one face.

    Attributes:
        score: the detector's confidence, 0 to 1; NaN for a face that no detector has found.
        face_pixels: inter-ocular distance or its frontal equivalent, in pixels of the photograph's full size.
        sharpness: 0 (flat) upwards; Laplacian energy of the aligned crop relative to its contrast.
        yaw: 0 frontal to 1 profile, estimated from the landmarks; NaN where the nose's place is not known.
        roll: degrees by which the face leans in the upright image, -180 to 180.
        brightness: mean luma of the crop, 0 to 1.
        photograph: how much the crop looks like a photograph of a face, 0 to 1; NaN where no gate has judged it.
        warnings: codes with a sentence each, for what is usable but will cost likeness.
    """

    score: float
    face_pixels: float
    sharpness: float
    yaw: float
    roll: float
    brightness: float
    warnings: tuple[tuple[str, str], ...] = field(default=())
    photograph: float = math.nan
