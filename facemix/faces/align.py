"""From landmarks to the square crop, and back.

One similarity transform (rotation, uniform scale, shift; never a shear or a mirror, which would change the
face) takes eyes and mouth to fixed places. Training and serving both come through `Alignment.crop`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from facemix.faces.types import PixelSource

# Where eyes and mouth corners come to lie, as fractions of the crop's side. The frame is as wide as the
# training photographs allow: forehead to chin with some hair and background.
TEMPLATE = np.array([[0.293, 0.306], [0.707, 0.306], [0.330, 0.700], [0.670, 0.700]], np.float64)
# The nose moves sideways when the head turns, so it has no say in the alignment.
_ALIGNED = (0, 1, 3, 4)
_SUPERSAMPLE = 2
DETAIL = 1.5  # pixels of the photograph that one of the crop needs; the training photographs have 1.25 of them


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform, (2, 3) float64, that takes `source` to `target`, both (N, 2).

    Closed form of the two-dimensional orthogonal Procrustes problem without reflection
    (S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991).

    Raises:
        ValueError: the source points coincide, or a coordinate is not finite.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("a coordinate is not finite: no transform is defined")
    source_mean, target_mean = source.mean(0), target.mean(0)
    s, t = source - source_mean, target - target_mean
    spread = (s**2).sum()
    if spread < 1e-9:
        raise ValueError("the points coincide: no transform is defined")
    a = (s * t).sum() / spread
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / spread
    linear = np.array([[a, -b], [b, a]])
    return np.concatenate([linear, (target_mean - linear @ source_mean)[:, None]], axis=1)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Applies a (2, 3) affine matrix to (N, 2) points."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


@dataclass(frozen=True)
class Alignment:
    """The transform from photograph to crop, kept so that its inverse can paste a result back.

    Attributes:
        matrix: (2, 3) float64; photograph pixels to crop pixels. Coordinates are continuous: the centre of
            the first pixel is (0.5, 0.5), so that the transform means the same at every crop size.
        size: side of the crop in pixels.
    """

    matrix: np.ndarray
    size: int

    @classmethod
    def from_landmarks(cls, landmarks: np.ndarray, size: int, *, zoom: float = 1.0) -> Alignment:
        """landmarks: (5, 2) in photograph pixels. `zoom` below 1 shows more around the face.

        Raises:
            ValueError: the landmarks coincide.
        """
        target = ((TEMPLATE - 0.5) * zoom + 0.5) * size
        return cls(similarity(np.asarray(landmarks)[list(_ALIGNED)], target), size)

    @property
    def scale(self) -> float:
        """Crop pixels per photograph pixel."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def inverse(self) -> np.ndarray:
        """(2, 3) float64: crop pixels to photograph pixels."""
        return cv2.invertAffineTransform(self.matrix)

    def resized(self, size: int) -> Alignment:
        """The same view at another crop size."""
        return Alignment(self.matrix * (size / self.size), size)

    def crop(self, image: np.ndarray, *, outside: Literal["mirror", "black"] = "mirror") -> np.ndarray:
        """Cuts the aligned square out of (H, W, 3) uint8; returns (size, size, 3) uint8.

        Large photographs are first reduced by area averaging and the crop is drawn at twice its size and
        averaged, so that fine texture does not alias. What lies outside the photograph mirrors its edge,
        or is black (for the detector, whose landmarks a mirrored piece of face misleads).
        """
        size = self.size * _SUPERSAMPLE
        matrix = self.matrix * _SUPERSAMPLE
        image, matrix = _reduced_region(image, matrix, size)
        if outside == "mirror" and min(image.shape[:2]) == 1:
            # A single row or column has nothing to mirror; OpenCV 5 would search for it without end.
            height, width = image.shape[:2]
            image = cv2.copyMakeBorder(image, 0, int(height == 1), 0, int(width == 1), cv2.BORDER_REPLICATE)
        drawn = cv2.warpAffine(
            image,
            _corner_to_centre(matrix),
            (size, size),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101 if outside == "mirror" else cv2.BORDER_CONSTANT,
        )
        return cv2.resize(drawn, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def crop_of(
        self,
        photo: PixelSource,
        *,
        detail: float = DETAIL,
        outside: Literal["mirror", "black"] = "mirror",
    ) -> np.ndarray:
        """`crop` out of a photograph of which no more is decoded than `detail` of its pixels for one of the crop."""
        pixels = photo.pixels(self.needed(photo, detail))
        height, width = pixels.shape[:2]
        factor = np.array([photo.width / width, photo.height / height])
        matrix = np.concatenate([self.matrix[:, :2] * factor, self.matrix[:, 2:]], axis=1)
        return Alignment(matrix, self.size).crop(pixels, outside=outside)

    def needed(self, photo: PixelSource, detail: float = DETAIL) -> float:
        """The longer side, in pixels, at which a photograph has `detail` of them for one of the crop, or all it has."""
        longest = max(photo.width, photo.height)
        return min(longest, longest * self.scale * detail)


def mean_landmarks(size: int) -> np.ndarray:
    """About where the landmarks of an aligned face lie in a crop of `size` pixels: (5, 2) float64, ordered as
    `LANDMARK_NAMES`."""
    left, right, left_mouth, right_mouth = TEMPLATE
    return size * np.stack([left, right, TEMPLATE.mean(0), left_mouth, right_mouth])


def native_side(landmarks: np.ndarray) -> float:
    """The side in pixels at which the crop of a face has those of its photograph: larger, it is only enlarged.

    landmarks: (5, 2) in pixels of that photograph, as in `Face`.

    Raises:
        ValueError: the landmarks coincide.
    """
    return 1 / Alignment.from_landmarks(landmarks, 1).scale


def _reduced_region(image: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that the crop needs, reduced until the warp no longer has to shrink it."""
    height, width = image.shape[:2]
    corners = apply(cv2.invertAffineTransform(matrix), np.array([[0, 0], [size, 0], [0, size], [size, size]]))
    margin = 0.1 * (corners.max(0) - corners.min(0)).max() + 2
    x0, y0 = np.clip(np.floor(corners.min(0) - margin), 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0) + margin), [x0 + 1, y0 + 1], [width, height]).astype(int)
    region = image[y0:y1, x0:x1]
    matrix = np.concatenate([matrix[:, :2], (matrix[:, :2] @ [x0, y0] + matrix[:, 2])[:, None]], axis=1)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale >= 1:
        return np.ascontiguousarray(region), matrix
    new_width = max(1, round(region.shape[1] * scale))
    new_height = max(1, round(region.shape[0] * scale))
    factor = np.array([region.shape[1] / new_width, region.shape[0] / new_height])
    reduced = cv2.resize(region, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return reduced, np.concatenate([matrix[:, :2] * factor, matrix[:, 2:]], axis=1)


def _corner_to_centre(matrix: np.ndarray) -> np.ndarray:
    """OpenCV counts pixel centres at whole numbers; the alignment counts them at halves."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return shifted
