"""Does a result look like the portrait of an identity document, or is one asked for?

A mix of two people on a passport may let both of them pass. So a picture is refused that fits such a document as it is:
the whole head, with room above it, upright and frontal, with a closed or hardly open mouth, before a plain light
background. The crop that facemix mixes ends at the hairline, so what comes out of an ordinary photograph is none; faces
placed by hand, and pictures that show more around a face, can be. The rule looks at where the head lies in the picture,
whatever its size.

What asks for such a picture in words is refused as well (`document_word`).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from facemix.errors import DocumentStyle
from facemix.faces.align import TEMPLATE
from facemix.faces.finder import roll_degrees
from facemix.faces.types import FaceDetector
from facemix.safety.document_words import ANYWHERE, WORDS

# A head in units of the distance of the eyes: they lie half way between crown and chin, and a head is about three
# quarters as wide as it is high (L. Farkas, "Anthropometry of the Head and Face", 1994).
_EYES_TO_CROWN = _EYES_TO_CHIN = 1.75
_HALF_WIDTH = 1.25
_EYES_TO_MOUTH = 0.952  # as `TEMPLATE` has it; a turned head narrows the eyes' distance but not this
_HAIR = 1.12  # of these measures: what hair adds

LIGHT = 0.55  # least luma of the background, 0 to 1
NEAR = 0.08  # of the full scale: so far from the background's median a pixel may lie in every channel
PLAIN = 0.90  # least share of such pixels
ROOM = 0.02  # least room above the head, of the picture's height
FRONTAL = 0.35  # most yaw, 0 to 1
UPRIGHT = 10.0  # most roll, degrees
NEUTRAL = 1.05  # most width of the mouth, in distances of the eyes
_HEADS, _ACROSS = (0.85, 0.7, 0.5), 0.8  # of a portrait's height: the head, and its width
_BAND = 0.06  # of a side: how wide the strips are in which a background is first looked for
_SIDE, _BORDER, _SURE = 192, 32, 0.3  # how a face is looked for

HINT = (
    "identity documents need an unchanged photograph of one person: let the picture show less than the whole head, "
    "or another background or expression"
)


@dataclass(frozen=True)
class DocumentFigures:
    """What was measured of one picture.

    Attributes:
        light: luma of the background's median colour, 0 to 1.
        plain: share of the background's pixels that lie close to it, 0 to 1.
        room: from the upper edge to the crown, over the picture's height; below 0 where the head is cut off.
        inside: whether chin and both sides of the head lie in the picture.
        yaw: 0 frontal to 1 profile.
        roll: degrees by which the head leans.
        mouth: its width over the distance of the eyes.
    """

    light: float
    plain: float
    room: float
    inside: bool
    yaw: float
    roll: float
    mouth: float

    @property
    def document(self) -> bool:
        """Whether it could be put on an identity document."""
        return (
            self.light >= LIGHT
            and self.plain >= PLAIN
            and self.room >= ROOM
            and self.inside
            and self.yaw <= FRONTAL
            and abs(self.roll) <= UPRIGHT
            and self.mouth <= NEUTRAL
        )


def document_style(frame: np.ndarray, landmarks: np.ndarray | None = None) -> DocumentFigures:
    """Measures one picture.

    Args:
        frame: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) in its pixels, as `facemix.faces.types.LANDMARK_NAMES`; None takes the places to which
            alignment brings them in a crop.
    """
    height, width = frame.shape[:2]
    points = _template(height, width) if landmarks is None else np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    unit = max(float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(mouth - eyes)) / _EYES_TO_MOUTH, 1e-6)
    down = (mouth - eyes) / max(float(np.linalg.norm(mouth - eyes)), 1e-6)
    crown, chin = eyes - _EYES_TO_CROWN * unit * down, eyes + _EYES_TO_CHIN * unit * down
    middle = (crown + chin) / 2
    inside = chin[1] <= height and middle[0] - _HALF_WIDTH * unit >= 0 and middle[0] + _HALF_WIDTH * unit <= width
    background = _around(height, width, middle, unit, chin[1])
    light, plain = _plainness(frame[background][None]) if background.any() else (np.zeros(1), np.zeros(1))
    return DocumentFigures(
        light=float(light[0]),
        plain=float(plain[0]),
        room=float(crown[1]) / height,
        inside=bool(inside),
        yaw=_yaw(points, unit),
        roll=roll_degrees(points),
        mouth=float(np.linalg.norm(points[4] - points[3])) / unit,
    )


def refuse_document(frames: np.ndarray, detector: FaceDetector) -> None:
    """Refuses pictures that could be put on an identity document.

    Most have no plain light background and cost next to nothing; in the others a face is looked for, which takes some
    milliseconds each.

    Args:
        frames: (N, H, W, 3) uint8 RGB.

    Raises:
        DocumentStyle: one of them could; its ``details`` have the ``frame`` and the figures.
    """
    for index in np.flatnonzero(maybe_document(frames)):
        landmarks = _landmarks(frames[index], detector)
        if landmarks is None:
            continue
        found = document_style(frames[index], landmarks)
        if found.document:
            raise DocumentStyle(
                f"the result shows a whole head before a plain light background ({100 * found.plain:.0f} % of it "
                f"even, {100 * found.room:.0f} % of the height above the head)",
                hint=HINT,
                frame=int(index),
                plain=round(found.plain, 3),
                room=round(found.room, 3),
            )


def refuse_document_within(picture: np.ndarray, landmarks: np.ndarray, detector: FaceDetector) -> None:
    """Refuses a larger picture out of which a document's portrait could be cut: `refuse_document` of it all, and of
    portraits' frames about the head, as tight and as wide as documents have them.

    Args:
        picture: (H, W, 3) uint8 RGB.
        landmarks: (5, 2), about where its face has them, in its pixels.

    Raises:
        DocumentStyle: one could.
    """
    for left, top, right, bottom in [(0, 0, picture.shape[1], picture.shape[0]), *_portraits(picture, landmarks)]:
        refuse_document(picture[None, top:bottom, left:right], detector)


def _portraits(picture: np.ndarray, landmarks: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Frames about a head, as far as they lie in the picture: left, top, right, bottom in pixels."""
    height, width = picture.shape[:2]
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    unit = max(float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(mouth - eyes)) / _EYES_TO_MOUTH)
    crown, head = eyes[1] - _EYES_TO_CROWN * unit, (_EYES_TO_CROWN + _EYES_TO_CHIN) * unit
    found = []
    for share in _HEADS:
        high = head / share
        wide, top = _ACROSS * high, crown - (high - head) / 3
        box = (eyes[0] - wide / 2, top, eyes[0] + wide / 2, top + high)
        left, top, right, bottom = (round(float(one)) for one in np.clip(box, 0, [width, height, width, height]))
        if min(right - left, bottom - top) > 2:
            found.append((left, top, right, bottom))
    return found


def maybe_document(frames: np.ndarray) -> np.ndarray:
    """Whether the upper edge and the upper halves of both sides are one light colour: (N, H, W, 3) to (N,) bool."""
    height, width = frames.shape[1:3]
    band = max(2, round(_BAND * min(height, width)))
    strips = (frames[:, :band], frames[:, band : height // 2, :band], frames[:, band : height // 2, -band:])
    # Every second pixel each way says as much.
    light, plain = _plainness(np.concatenate([one[:, ::2, ::2].reshape(len(frames), -1, 3) for one in strips], axis=1))
    return (light >= LIGHT) & (plain >= PLAIN)


def refuse_document_words(texts: Iterable[str], *, where: str) -> None:
    """Refuses prompts and names that ask for a document's portrait.

    Raises:
        DocumentStyle: one does; the message has the words.
    """
    for text in texts:
        found = document_word(text)
        if found is not None:
            raise DocumentStyle(
                f"{found!r} asks for the portrait of an identity document",
                hint="facemix makes none: describe the face, not what it is for",
                where=where,
                word=found,
            )


def document_word(text: str) -> str | None:
    """The first word or phrase in `text` that names an identity document, as it stands in the list; None without.

    Case, accents and what lies between words make no difference. Words count whole, but in scripts that are written
    without spaces.
    """
    folded = _folded(text)
    for word, original in _ANYWHERE.items():
        if word in folded:
            return original
    match = _PATTERN.search(folded)
    return _WHOLE[match[0]] if match else None


def _folded(text: str) -> str:
    """Small letters without accents, and one space for whatever else stands between them."""
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS)
    bare = "".join(one for one in decomposed if unicodedata.category(one) not in ("Mn", "Cf"))
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())


# Letters that Unicode does not take apart into a plain one and an accent.
_LETTERS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d"})
_WHOLE = {_folded(word): word for word in WORDS}
_ANYWHERE = {_folded(word): word for word in ANYWHERE}
_PATTERN = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, _WHOLE), key=len, reverse=True))})\b")


def _template(height: int, width: int) -> np.ndarray:
    left, right, left_mouth, right_mouth = TEMPLATE
    nose = (TEMPLATE[:2].mean(0) + TEMPLATE[2:].mean(0)) / 2
    return np.stack([left, right, nose, left_mouth, right_mouth]) * [width, height]


def _around(height: int, width: int, middle: np.ndarray, unit: float, chin: float) -> np.ndarray:
    """Which pixels lie beside or above the head, hair and all, and not below its chin: (H, W) bool."""
    y, x = np.mgrid[:height, :width] + 0.5
    half_width, half_height = _HAIR * _HALF_WIDTH * unit, _HAIR * _EYES_TO_CROWN * unit
    outside = np.hypot((x - middle[0]) / half_width, (y - middle[1]) / half_height) > 1
    return outside & (y < middle[1])


def _plainness(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of (N, P, 3) uint8: luma of the median colour, and the share of pixels close to it, (N,) each."""
    median = np.median(pixels, axis=1).astype(np.float32)
    near = (np.abs(pixels.astype(np.float32) - median[:, None]) <= NEAR * 255).all(-1)
    return median @ np.array([0.299, 0.587, 0.114], np.float32) / 255, near.mean(1)


def _yaw(points: np.ndarray, unit: float) -> float:
    """Sideways shift of the nose from the middle line, over half the distance of the eyes."""
    across = (points[1] - points[0]) / max(float(np.linalg.norm(points[1] - points[0])), 1e-6)
    middle = (points[:2].mean(0) + points[3:].mean(0)) / 2
    return min(abs(float((points[2] - middle) @ across)) / (unit / 2), 1.0)


def _landmarks(frame: np.ndarray, detector: FaceDetector) -> np.ndarray | None:
    """The landmarks of the surest face, (5, 2) in pixels of the frame; None where there is none."""
    height, width = frame.shape[:2]
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    view = np.pad(resized, [(_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)])
    best = max(detector.detect(view), key=lambda face: face.score, default=None)
    if best is None or not best.score >= _SURE or not all(map(math.isfinite, best.landmarks.ravel())):
        return None
    return (best.landmarks - _BORDER) * [width / size[0], height / size[1]]
