"""Finding every usable face of a photograph, whatever its size and whichever way up it is.

The detector is good at upright faces between 20 and 400 pixels. The finder brings photographs into that
range: it tries the plain photograph first, and only when that fails a wide border (a face that fills its
frame), the other three quarter turns (a phone photo without orientation tag) and larger versions (small
faces in large photos). Each candidate is then looked at again, upright and centred, together with its mirror
image. That decides whether it is a face, and steadies its landmarks, on which everything after depends
(`docs/faces.md` gives the figures).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from facemix.faces.align import Alignment, apply
from facemix.faces.types import Face, FaceDetector

CANDIDATE = 0.25  # confidence in the photograph from which a place is looked at again
ACCEPT = 0.5  # confidence, upright and centred, from which a face is believed
SURE = 0.65  # confidence from which no further view of the photograph is tried
MAX_FACES = 12
_WORKING_SIDE = 640
_LARGER_SIDES = (1280, 2048)
_LEAST_SIDE = 256  # smaller photographs are enlarged to this
# Two looks at each face: (side of the view, zoom of the alignment). The detector scatters least when the eyes
# are .25 to .30 of the view apart.
_LOOKS = ((160, 0.74), (192, 0.64))
_LOOK_ACCEPT = 0.2
_MIRRORED = [1, 0, 2, 4, 3]


class FaceFinder:
    """Finds, orders and refines faces with any `FaceDetector`."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def find(self, image: np.ndarray) -> list[Face]:
        """image: (H, W, 3) uint8 RGB. Returns at most `MAX_FACES` faces in image pixels, largest first."""
        best: list[Face] = []
        for view in _views(image):
            candidates = sorted(view.detect(self._detector), key=lambda face: -face.score)
            looked_at = (self._look_again(image, face) for face in candidates[: 2 * MAX_FACES])
            faces = _distinct([face for face in looked_at if face is not None and face.score >= ACCEPT])
            if _confidence(faces) > _confidence(best):
                best = faces
            if _confidence(best) >= SURE:
                break
        return sorted(best, key=lambda face: -face.size)[:MAX_FACES]

    def _look_again(self, image: np.ndarray, face: Face) -> Face | None:
        """Looks again at one candidate, upright and centred. None when no face is there after all.

        The score of what is returned is the confidence of the last look, the lesser of the plain and the
        mirrored one: a pattern that resembles a face from one side only is not one.
        """
        for side, zoom in _LOOKS:
            try:
                alignment = Alignment.from_landmarks(face.landmarks, side, zoom=zoom)
            except ValueError:
                return None
            view = alignment.crop(image, outside="black")
            plain = self._central(view)
            mirror = self._central(np.ascontiguousarray(view[:, ::-1]))
            if plain is None or mirror is None:
                return None
            unmirrored = mirror.landmarks[_MIRRORED]
            unmirrored = np.stack([side - unmirrored[:, 0], unmirrored[:, 1]], axis=1)
            landmarks = apply(alignment.inverse, (plain.landmarks + unmirrored) / 2)
            face = Face(face.box, landmarks.astype(np.float32), min(plain.score, mirror.score))
        return face

    def _central(self, view: np.ndarray) -> Face | None:
        middle = view.shape[0] / 2
        faces = [
            face
            for face in self._detector.detect(view)
            if face.score >= _LOOK_ACCEPT and face.box[0] < middle < face.box[2] and face.box[1] < middle < face.box[3]
        ]
        return max(faces, key=lambda face: face.score, default=None)


class _View:
    """The photograph turned, scaled and bordered, with the way back to its own pixels."""

    def __init__(self, image: np.ndarray, *, side: int, quarter_turns: int = 0, border: float = 0.0) -> None:
        height, width = image.shape[:2]
        longest = max(height, width)
        # Small photographs are hardly enlarged: that adds no face, only cost.
        self._scale = min(side / (1 + 2 * border), max(longest, _LEAST_SIDE)) / longest
        self._turns = quarter_turns
        interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        new = (max(1, round(width * self._scale)), max(1, round(height * self._scale)))
        scaled = cv2.resize(image, new, interpolation=interpolation)
        self._factor = np.array([new[0] / width, new[1] / height])
        turned = np.rot90(scaled, quarter_turns)
        self._pad = round(border * max(new))
        if self._pad:
            pad = [(self._pad, self._pad), (self._pad, self._pad), (0, 0)]
            turned = np.pad(turned, pad)
        self._new = new
        self._pixels = np.ascontiguousarray(turned)

    def detect(self, detector: FaceDetector) -> list[Face]:
        found = []
        for face in detector.detect(self._pixels):
            # A face that lies on its side in this view is another view's to report: its landmarks are poor.
            if face.score < CANDIDATE or abs(roll_degrees(face.landmarks)) > 50:
                continue
            corners = np.array(face.box, np.float64).reshape(2, 2)
            corners = self._back(corners)
            low, high = corners.min(0), corners.max(0)
            box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
            found.append(Face(box, self._back(face.landmarks).astype(np.float32), face.score))
        return found

    def _back(self, points: np.ndarray) -> np.ndarray:
        x, y = (np.asarray(points, np.float64) - self._pad).T
        width, height = self._new
        # np.rot90 turns counter-clockwise; these undo none, one, two or three of its quarter turns.
        undone = ((x, y), (width - y, x), (width - x, height - y), (y, height - x))
        return np.stack(undone[self._turns % 4], axis=1) / self._factor


def _views(image: np.ndarray) -> Iterator[_View]:
    longest = max(image.shape[:2])
    yield _View(image, side=_WORKING_SIDE)
    yield _View(image, side=_WORKING_SIDE, border=0.4)
    for turns in (1, 3, 2):
        yield _View(image, side=_WORKING_SIDE, quarter_turns=turns)
    smaller = _WORKING_SIDE
    for side in _LARGER_SIDES:
        if longest > smaller:
            yield _View(image, side=side)
        smaller = side


def _confidence(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def roll_degrees(landmarks: np.ndarray) -> float:
    """How far the face leans: 0 upright, positive clockwise as seen, in (-180, 180]."""
    eyes = (landmarks[0] + landmarks[1]) / 2
    mouth = (landmarks[3] + landmarks[4]) / 2
    down = mouth - eyes
    return float(np.degrees(np.arctan2(-down[0], down[1])))


def _distinct(faces: list[Face]) -> list[Face]:
    """Removes a face whose landmarks, once refined, turned out to be those of a more confident one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        centre = face.landmarks.mean(0)
        if all(np.linalg.norm(centre - other.landmarks.mean(0)) > 0.25 * other.size for other in kept):
            kept.append(face)
    return kept
