"""From untrusted bytes to every face with its crop: one function, so that whoever asks looks in the same way.

A JPEG is decoded no larger than detection and the crops need: most portraits of twelve megapixels at a quarter or a
half, and only where a face is small in its photograph once more and larger. Coordinates are always in pixels of the
upright photograph as the file has it, whatever was decoded of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from facemix.errors import FaceError, FaceNotFound
from facemix.faces.align import Alignment
from facemix.faces.finder import FaceFinder
from facemix.faces.placed import Placed
from facemix.faces.quality import measure, refusal
from facemix.faces.types import Face, Quality
from facemix.imaging.decode import DecodeLimits, Photograph

# A JPEG costs nearly as much at an eighth as at a quarter; what the looks at most portraits need is decoded at once.
FIRST_SIDE = 640


@dataclass(frozen=True)
class FoundFace:
    """One face of a photograph, with what the gates say of it.

    `crop` is the aligned square crop, (S, S, 3) uint8 RGB. `refusal` holds the error that mixing this face
    would raise, or None. `figures` is what the caller wanted measured on the crop, or None.
    """

    index: int
    face: Face
    quality: Quality
    crop: np.ndarray
    refusal: FaceError | None = None
    figures: np.ndarray | None = None


@dataclass(frozen=True)
class Look:
    """What was seen in one photograph.

    Attributes:
        width, height: of the upright photograph as the file has it; the faces' coordinates are in these pixels, their
            figures in those of the full size (at most `DecodeLimits.max_side`).
        notes: what was done to decode it, one plain sentence each.
        faces: largest first, at least one.
        credentials: the content credentials that the file brought along, as text, where whoever looked has read them.
    """

    width: int
    height: int
    notes: tuple[str, ...]
    faces: tuple[FoundFace, ...]
    credentials: str | None = None


def look(
    data: bytes,
    limits: DecodeLimits,
    finder: FaceFinder,
    crop_size: int,
    *,
    placed: Placed | None = None,
    where: str | None = None,
    gate: AbstractContextManager[object] | None = None,
    figures: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Look:
    """All faces of a photograph, largest first, with their crops and what the gates say.

    Args:
        data: the untrusted bytes.
        limits: what is accepted.
        finder: finds the faces.
        crop_size: side of the crops in pixels.
        placed: the only face, placed by hand; none is looked for then.
        where: which input this is; every error carries it.
        gate: entered around each decoding, to bound how many run at once. Entered more than once, so it must be
            reusable: a lock or a semaphore is.
        figures: measured on every crop that is not refused.

    Raises:
        ImageError: the bytes are no usable image.
        FaceNotFound: there is no face in it.
        FacePlacementInvalid: no face can be where one was placed.
    """
    photo = Photograph(data, limits, where=where, gate=gate)
    width, height = photo.sent
    try:
        faces = _found(photo, finder) if placed is None else [_as_placed(photo, placed)]
    except FaceError as error:
        if where is not None:
            error.at(where)
        raise
    found = []
    for index, face in enumerate(faces):
        crop = Alignment.from_landmarks(face.landmarks, crop_size).crop_of(photo)
        quality = measure(face, crop, nose=placed is None)
        as_sent = face.scaled(width / photo.width, height / photo.height)
        refused = refusal(quality)
        measured = None if figures is None or refused is not None else figures(crop)
        found.append(FoundFace(index, as_sent, quality, crop, refused, measured))
    return Look(width, height, photo.notes, tuple(found))


def _found(photo: Photograph, finder: FaceFinder) -> list[Face]:
    photo.pixels(FIRST_SIDE)
    faces = finder.find(photo)
    if not faces:
        width, height = photo.sent
        raise FaceNotFound(
            f"no face was found in this photo of {width} x {height} pixels",
            hint="use a photo that shows one face clearly, from the front, well lit and not covered",
        )
    return faces


def _as_placed(photo: Photograph, placed: Placed) -> Face:
    width, height = photo.sent
    return placed.checked(width, height).scaled(photo.width / width, photo.height / height).face()
