"""The classical morph, as what results of the photographs' own size are measured against: landmarks, their Delaunay
triangulation, an affine map for each triangle, and a cross-dissolve. No part of facemix uses it.

T. Beier, S. Neely, "Feature-Based Image Metamorphosis", 1992, is the idea; in triangles it is what face_morpher and
WebMorph do.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facemix.evaluation.ways import Parents
from facemix.faces.align import TEMPLATE

BORDER = 5  # points along each side of the picture, corners included


def feature_points() -> np.ndarray:
    """(74, 2) float64, crop fractions: where a mean face has what landmark detectors mark with 68 points, and a few on
    cheeks and forehead: brows, eyes, nose, lips, and the outline from temple to temple."""
    (left, eyes), (right, _), (_, mouth), _ = TEMPLATE
    middle = (left + right) / 2
    parts = []
    for side, inner in ((left, 1), (right, -1)):
        parts.append(_arc((side, eyes), (0.068, 0.030), 0, 360, 8))
        # From the inner end to the outer one.
        across = np.linspace(0.085, -0.125, 5)
        lift = np.array([0.068, 0.092, 0.100, 0.094, 0.066])
        parts.append(np.stack([side + inner * across, eyes - lift], axis=1))
    down = np.linspace(eyes, 0.53, 4)
    parts.append(np.stack([np.full(4, middle), down], axis=1))  # bridge to tip
    parts.append(_arc((middle, 0.545), (0.095, 0.045), 170, 10, 7))  # wings and base of the nose
    parts.append(_arc((middle, mouth), (0.172, 0.066), 0, 360, 12))  # outer edge of the lips
    parts.append(np.array([[middle + x, mouth + 0.005] for x in (-0.09, 0.0, 0.09)]))  # where they meet
    parts.append(_arc((middle, eyes + 0.06), (0.435, 0.62), 190, -10, 17))  # cheeks and chin
    parts.append(np.array([[0.5 + x, y] for x in (-0.2, 0.0, 0.2) for y in (0.06,)]))  # forehead
    parts.append(np.array([[left - 0.03, 0.52], [right + 0.03, 0.52]]))  # cheeks
    return np.clip(np.concatenate(parts), 0.01, 0.99)


def landmarks(fields: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The same points in each parent, (N, 2) float64 in crop fractions, border points last: those are its own corners
    and sides.

    fields: from a place half-way between the parents to that in each (`facemix.evaluation.ways.Carrying.fields`).
    """
    points = feature_points()
    side = len(fields[0])
    at = (points * side - 0.5).astype(np.float32)
    found = []
    for field in fields:
        moved = cv2.remap(field, at[:, None, 0], at[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = np.clip(points + moved[:, 0], 0.002, 0.998)
        found.append(np.concatenate([inside, border_points()]))
    return found


def border_points() -> np.ndarray:
    """(4 x (BORDER - 1), 2): corners and sides of the unit square, which no morph moves."""
    along = np.linspace(0, 1, BORDER)[:-1]
    low, high = np.zeros_like(along), np.ones_like(along)
    sides = [(along, low), (high, along), (1 - along, high), (low, 1 - along)]
    return np.concatenate([np.stack(pair, axis=1) for pair in sides])


def triangles(points: np.ndarray) -> np.ndarray:
    """The Delaunay triangulation of (N, 2) points in the unit square: (T, 3) indices, none without an area."""
    scale = 4096  # OpenCV's own tolerances are in pixels
    places = (points * scale).astype(np.float32)
    division = cv2.Subdiv2D((-1, -1, scale + 3, scale + 3))
    for x, y in places:
        division.insert((float(x), float(y)))
    corners = division.getTriangleList().reshape(-1, 3, 2)
    apart = ((corners[:, :, None] - places) ** 2).sum(-1)
    inside = apart.min(-1).max(-1) < 1  # the rest hang on corners that OpenCV adds outside
    found = apart[inside].argmin(-1)
    return found[np.abs(_areas(points[found])) > 1e-7]


class Morph:
    """Two photographs, (S, S, 3) uint8, and the same (N, 2) points in each, crop fractions."""

    def __init__(self, cuts: np.ndarray, points: Sequence[np.ndarray]) -> None:
        self._cuts = cuts
        self._points = points
        self._triangles = triangles((points[0] + points[1]) / 2)

    def frame(self, share: float) -> np.ndarray:
        """(S, S, 3) uint8: the first at share 0, the second at 1, both bit for bit."""
        first, second = self.warped(share)
        return np.floor((1 - share) * first.astype(np.float32) + share * second + 0.5).clip(0, 255).astype(np.uint8)

    def warped(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Both photographs, (S, S, 3) uint8, in the geometry between them."""
        side = self._cuts.shape[1]
        between = (1 - share) * self._points[0] + share * self._points[1]
        which = _cover(between[self._triangles], side)
        axis = (np.arange(side) + 0.5) / side
        x, y = np.meshgrid(axis, axis)
        found = []
        for cut, points in zip(self._cuts, self._points, strict=True):
            if np.array_equal(points, between):
                found.append(cut)
                continue
            a = _affine(between[self._triangles], points[self._triangles])[which]
            at_x = (a[..., 0, 0] * x + a[..., 0, 1] * y + a[..., 0, 2]) * side - 0.5
            at_y = (a[..., 1, 0] * x + a[..., 1, 1] * y + a[..., 1, 2]) * side - 0.5
            maps = at_x.astype(np.float32), at_y.astype(np.float32)
            found.append(cv2.remap(cut, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))
        return found[0], found[1]


def morphed(parents: Parents, fields: Sequence[np.ndarray]) -> Morph:
    """The morph of two people, with landmarks from the correspondence that the carry itself uses."""
    return Morph(parents.cuts, landmarks(fields))


def _arc(centre: tuple[float, float], half: tuple[float, float], start: float, end: float, count: int) -> np.ndarray:
    """Points on an ellipse, degrees counted from the right and downwards being negative; a whole turn has no end."""
    degrees = np.linspace(start, end, count, endpoint=abs(end - start) < 360)
    angle = np.radians(degrees)
    return np.stack([centre[0] + half[0] * np.cos(angle), centre[1] + half[1] * np.sin(angle)], axis=1)


def _areas(corners: np.ndarray) -> np.ndarray:
    """Twice the signed areas of (T, 3, 2) corners."""
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def _cover(corners: np.ndarray, side: int) -> np.ndarray:
    """(side, side) int32: the triangle that each pixel lies in. Neighbours agree along their edge, so that a pixel on
    it may be either's."""
    which = np.full((side, side), -1, np.int32)
    for number, triangle in enumerate(np.round((corners * side - 0.5) * 16).astype(np.int32)):
        cv2.fillConvexPoly(which, triangle, number, shift=4)
    missing = which < 0
    if missing.any():  # slivers between rounded edges
        _, nearest = cv2.distanceTransformWithLabels(
            missing.astype(np.uint8), cv2.DIST_L1, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        known = np.zeros(nearest.max() + 1, np.int32)
        known[nearest[~missing]] = which[~missing]
        which = known[nearest]
    return which


def _affine(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The maps of (T, 3, 2) triangles to others: (T, 2, 3)."""
    homogeneous = np.concatenate([source, np.ones((*source.shape[:2], 1))], axis=2)
    return np.linalg.solve(homogeneous, target).transpose(0, 2, 1)
