"""Finding every usable face of a photograph, whatever its size and whichever way up it is.

The detector is good at upright faces between 20 and 400 pixels. The finder brings photographs into that
range: it tries the plain photograph first, as small as suffices, and only when that fails a wide border (a face that
fills its frame), the other three quarter turns (a phone photo without orientation tag) and larger versions (small
faces in large photos). Each candidate is then looked at again, upright and centred, together with its mirror
image. That decides whether it is a face, and steadies its landmarks, on which everything after depends
(`docs/faces.md` gives the figures).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import cv2
import numpy as np

from facemix.faces.align import DETAIL, Alignment, apply
from facemix.faces.types import Face, FaceDetector, PixelSource

CANDIDATE = 0.25  # confidence in the photograph from which a place is looked at again
ACCEPT = 0.5  # confidence, upright and centred, from which a face is believed
SURE = 0.65  # confidence from which no further view of the photograph is tried
MAX_FACES = 12
_LARGER_SIDES = (1280, 2048)
_LEAST_SIDE = 256  # smaller photographs are enlarged to this
# Two looks at each face: (side of the view, zoom of the alignment). The detector scatters least when the eyes
# are .25 to .30 of the view apart.
_LOOKS = ((160, 0.74), (192, 0.64))
_LOOK_ACCEPT = 0.2
_TYPICAL_EYES_TO_MOUTH = 0.952  # of the inter-ocular distance, frontal; see TEMPLATE in align.py
_MIRRORED = [1, 0, 2, 4, 3]


@dataclass(frozen=True)
class Search:
    """What finding costs, and what it may miss.

    Attributes:
        sides: longer sides of the views of the plain photograph, in pixels, the cheapest first. The next one is tried
            where this one shows no sure face, or may have missed one worth finding.
        seen_eyes: distance of the eyes, in pixels of a view, from which the detector hardly misses a face.
        wanted_eyes: the same in pixels of the photograph, below which a missed face would be refused anyway.
        lesser: beside a face that is alone in a view, one so many times smaller is not searched for.
        detail: pixels of the photograph that a look needs for one of its own.
    """

    sides: tuple[int, ...] = (320, 640)
    seen_eyes: float = 12.0
    wanted_eyes: float = 14.0
    lesser: float = 2.0
    detail: float = DETAIL

    def shows_all(self, scale: float, largest: float) -> bool:
        """Whether a view has shown every face worth finding.

        scale: pixels of the view per pixel of the photograph. largest: the largest distance of the eyes found, in
        pixels of the photograph.
        """
        return scale * max(self.wanted_eyes, largest / self.lesser) >= self.seen_eyes


# One large view and every pixel decoded: what the quicker search is measured against.
THOROUGH = Search(sides=(640,), detail=inf)


class FaceFinder:
    """Finds, orders and refines faces with any `FaceDetector`."""

    def __init__(self, detector: FaceDetector, search: Search = Search()) -> None:
        self._detector = detector
        self._search = search

    def find(self, image: np.ndarray | PixelSource) -> list[Face]:
        """Returns at most `MAX_FACES` faces in pixels of the photograph, largest first.

        image: (H, W, 3) uint8 RGB, or a photograph that makes its pixels as large as they are asked for.
        """
        photo = _Whole(image) if isinstance(image, np.ndarray) else image
        best = self._plain(photo)
        if _confidence(best) < SURE:
            for view in _other_views(photo, self._search.sides):
                faces = self._believed(photo, view)
                if _confidence(faces) > _confidence(best):
                    best = faces
                if _confidence(best) >= SURE:
                    break
        return sorted(best, key=lambda face: -face.size)[:MAX_FACES]

    def _plain(self, photo: PixelSource) -> list[Face]:
        """Faces of the photograph as it stands, in views that grow until none worth finding can have been missed."""
        search, longest = self._search, _longest(photo)
        found: list[Face] = []
        for side in dict.fromkeys(_shown_side(side, longest) for side in search.sides):
            found = _distinct(found + self._believed(photo, _View(photo, side=side), found))
            if (
                _confidence(found) >= SURE
                and len(found) == 1
                and search.shows_all(side / longest, eye_distance(found[0]))
            ):
                break
        return found

    def _believed(self, photo: PixelSource, view: _View, known: Sequence[Face] = ()) -> list[Face]:
        """What a second look confirms of the faces that a view shows, without the sure ones already known."""
        known = [face for face in known if face.score >= SURE]
        candidates = sorted(view.detect(self._detector), key=lambda face: -face.score)
        candidates = [face for face in candidates if not any(_same(face, other) for other in known)]
        looked_at = (self._look_again(photo, face) for face in candidates[: 2 * MAX_FACES])
        return _distinct([face for face in looked_at if face is not None and face.score >= ACCEPT])

    def _look_again(self, photo: PixelSource, face: Face) -> Face | None:
        """Looks again at one candidate, upright and centred. None when no face is there after all.

        The score of what is returned is the confidence of the last look, the lesser of the plain and the
        mirrored one: a pattern that resembles a face from one side only is not one.
        """
        for side, zoom in _LOOKS:
            try:
                alignment = Alignment.from_landmarks(face.landmarks, side, zoom=zoom)
            except ValueError:
                return None
            view = alignment.crop_of(photo, detail=self._search.detail, outside="black")
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


class _Whole:
    """A photograph that is there already."""

    def __init__(self, image: np.ndarray) -> None:
        self._image = image
        self.height, self.width = image.shape[:2]

    def pixels(self, side: float) -> np.ndarray:
        return self._image


class _View:
    """The photograph turned, scaled and bordered, with the way back to its own pixels."""

    def __init__(self, photo: PixelSource, *, side: int, quarter_turns: int = 0, border: float = 0.0) -> None:
        width, height = photo.width, photo.height
        longest = max(height, width)
        # Small photographs are hardly enlarged: that adds no face, only cost.
        self._scale = min(side / (1 + 2 * border), max(longest, _LEAST_SIDE)) / longest
        self._turns = quarter_turns
        interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        new = (max(1, round(width * self._scale)), max(1, round(height * self._scale)))
        scaled = cv2.resize(photo.pixels(max(new)), new, interpolation=interpolation)
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


def _other_views(photo: PixelSource, sides: Sequence[int]) -> Iterator[_View]:
    smallest, *larger = sides
    largest = sides[-1]
    yield _View(photo, side=smallest, border=0.4)  # a face that fills its frame is large in a small view too
    for turns in (1, 3, 2):
        yield _View(photo, side=largest, quarter_turns=turns)
    for side in larger:
        yield _View(photo, side=side, border=0.4)
    smaller = largest
    for side in _LARGER_SIDES:
        if _longest(photo) > smaller:
            yield _View(photo, side=side)
        smaller = side


def _shown_side(side: int, longest: int) -> int:
    """A view beyond a photograph's own size would show the same again."""
    return min(side, max(longest, _LEAST_SIDE))


def _longest(photo: PixelSource) -> int:
    return max(photo.width, photo.height)


def _confidence(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def eye_distance(face: Face) -> float:
    """Inter-ocular distance in pixels, or what it would be frontally: a turned head narrows it but not its height."""
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    eyes_to_mouth = float(np.linalg.norm(face.landmarks[:2].mean(0) - face.landmarks[3:].mean(0)))
    return max(eyes, eyes_to_mouth / _TYPICAL_EYES_TO_MOUTH)


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
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(face: Face, other: Face) -> bool:
    apart = np.linalg.norm(face.landmarks.mean(0) - other.landmarks.mean(0))
    return bool(apart <= 0.25 * other.size)
