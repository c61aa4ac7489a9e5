"""A face that a person has placed by hand, where none is found: in a painting, in deep shadow, in light from the side.

The eyes and the middle of the mouth are given; what else is known of a face that was found is estimated from these
three points by the mean geometry of faces.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import combinations
from math import cos, hypot, inf, isfinite, nan, radians, sin
from typing import Any

import numpy as np

from facemix.errors import FacePlacementInvalid
from facemix.faces.align import TEMPLATE, Alignment, apply
from facemix.faces.finder import roll_degrees
from facemix.faces.types import Face

Point = tuple[float, float]

# A face may be cut by the photograph's edge: a point may lie outside by so much of the longer side.
MARGIN = 0.05
LEAST_APART = 1.0  # pixels
# Of the triangle of eyes and mouth. From the front its least angle is 55 degrees, and 15 with the head turned by 75.
LEAST_ANGLE = 15.0
_NAMES = ("the left eye", "the right eye", "the mouth")

_EYES, _MOUTH = TEMPLATE[:2].mean(0), TEMPLATE[2:].mean(0)
# The width of the mouth, over the distance between the eyes.
_MOUTH_WIDTH = (TEMPLATE[3, 0] - TEMPLATE[2, 0]) / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
# Means over 400 of the training photographs, in fractions of the aligned crop's side (`benchmarks/landmarks.py`).
_NOSE = (0.516 - _EYES[1]) / (_MOUTH[1] - _EYES[1])  # its height, as the share of the way from the eyes to the mouth
_BOX_CENTRE, _BOX_WIDTH, _BOX_HEIGHT = (0.5, 0.473), 0.877, 0.989


@dataclass(frozen=True)
class Placed:
    """Eyes and mouth, placed by hand.

    Left is left in the picture. Which of the eyes is given as which makes no difference, though: the side on which the
    mouth lies says which way up the face is, so that it may lean as it likes, or stand on its head.

    Attributes:
        left_eye, right_eye, mouth: (x, y) of the pupils and of the middle of the mouth, in pixels of the upright
            photograph as the file has it; x to the right, y down, (0, 0) the photograph's upper left corner.
    """

    left_eye: Point
    right_eye: Point
    mouth: Point

    def checked(self, width: int, height: int) -> Placed:
        """The same, if a face can have its eyes and mouth there.

        Args:
            width, height: of the upright photograph as the file has it.

        Raises:
            FacePlacementInvalid: a point is not finite, or farther outside the photograph than `MARGIN`; two are closer
                than `LEAST_APART`; all three are nearly in line (`LEAST_ANGLE`).
        """
        for name, (x, y) in zip(_NAMES, astuple(self), strict=True):
            if not (isfinite(x) and isfinite(y)):
                raise FacePlacementInvalid(
                    f"{name} is placed at ({x}, {y}), which is nowhere",
                    hint="give each point as two finite numbers: x to the right and y down, in pixels of the photo",
                )
            margin = MARGIN * max(width, height)
            if not (-margin <= x <= width + margin and -margin <= y <= height + margin):
                raise FacePlacementInvalid(
                    f"{name} is placed at {_written((x, y))}, outside the photo of {width} x {height} pixels",
                    hint="place it inside; coordinates are pixels of the upright photo, from its upper left corner",
                    **self._details(width, height),
                )
        for (name, one), (other_name, other) in combinations(zip(_NAMES, astuple(self), strict=True), 2):
            apart = hypot(one[0] - other[0], one[1] - other[1])
            if apart < LEAST_APART:
                raise FacePlacementInvalid(
                    f"{name} and {other_name} are placed {apart:.2g} pixels apart, at {_written(one)}",
                    hint="place each eye and the middle of the mouth on a point of its own",
                    **self._details(width, height),
                )
        angle = self._least_angle()
        if angle < LEAST_ANGLE:
            raise FacePlacementInvalid(
                f"the eyes and the mouth are placed nearly in line, at {', '.join(map(_written, astuple(self)))}: "
                f"the least angle between them is {angle:.1f} degrees, and {LEAST_ANGLE:.0f} are needed",
                hint="place one point on each eye and one on the middle of the mouth; in a face they make a triangle",
                **self._details(width, height),
            )
        return self

    def scaled(self, x: float, y: float) -> Placed:
        """The same face in a photograph that is `x` times as wide and `y` times as high."""
        return Placed(*((px * x, py * y) for px, py in astuple(self)))

    def landmarks(self) -> np.ndarray:
        """(5, 2) float32, as in `Face`: the eyes as they were placed, the mouth's corners beside its middle,
        parallel to the eyes, and the nose on the middle line. So they tell nothing of a turn of the head."""
        left, right, mouth = np.array(astuple(self), np.float64)
        across, down = right - left, mouth - (left + right) / 2
        if across[0] * down[1] - across[1] * down[0] < 0:  # else the face would be its own mirror image
            left, right, across = right, left, -across
        corner = across * _MOUTH_WIDTH / 2
        nose = (left + right) / 2 + down * _NOSE
        return np.stack([left, right, nose, mouth - corner, mouth + corner]).astype(np.float32)

    def face(self) -> Face:
        """The face as a detector might have reported it, in the same pixels; its score is NaN, as none has.

        Raises:
            ValueError: the points coincide, or one is not finite; see `checked`.
        """
        landmarks = self.landmarks()
        alignment = Alignment.from_landmarks(landmarks, 1)
        ((x, y),) = apply(alignment.inverse, np.array([_BOX_CENTRE]))
        half_width, half_height = _BOX_WIDTH / 2 / alignment.scale, _BOX_HEIGHT / 2 / alignment.scale
        # About the ellipse that the upright box surrounds: a box about the leaning box would be far too large.
        lean = radians(roll_degrees(landmarks))
        right = hypot(half_width * cos(lean), half_height * sin(lean))
        down = hypot(half_width * sin(lean), half_height * cos(lean))
        return Face((x - right, y - down, x + right, y + down), landmarks, score=nan)

    def _least_angle(self) -> float:
        """Of the triangle of the three points, in degrees."""
        points = np.array(astuple(self), np.float64)
        least = inf
        for at in range(3):
            one, other = points[at - 1] - points[at], points[at - 2] - points[at]
            least = min(least, np.degrees(np.arctan2(abs(one[0] * other[1] - one[1] * other[0]), one @ other)))
        return float(least)

    def _details(self, width: int, height: int) -> dict[str, Any]:
        places = {"left_eye": self.left_eye, "right_eye": self.right_eye, "mouth": self.mouth}
        return {"width": width, "height": height, **{name: list(point) for name, point in places.items()}}


def _written(point: Point) -> str:
    return f"({point[0]:.6g}, {point[1]:.6g})"
