"""A face that was found before, cut out of its photograph at any side; and the whole photograph at a bounded size.

Both begin with the bytes again, since no photograph's pixels are kept between a look and a cut.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from math import isnan

import cv2
import numpy as np

from facemix.faces.align import Alignment, native_side
from facemix.faces.look import FIRST_SIDE
from facemix.faces.types import Face
from facemix.imaging.decode import DecodeLimits, Photograph
from facemix.imaging.pixels import fit


def cut(
    data: bytes,
    limits: DecodeLimits,
    face: Face,
    side: int,
    *,
    where: str | None = None,
    gate: AbstractContextManager[object] | None = None,
) -> np.ndarray:
    """The aligned square crop of one face, at another side than the model's: (side, side, 3) uint8 RGB.

    It shows what `FoundFace.crop` shows, and at that crop's side it is that crop: bit for bit, unless the finder had
    more of a JPEG decoded than the crop needs, or the photograph is larger than `limits.max_side`. What lies outside
    the photograph mirrors its edge. Beyond the face's `native_side` there is no more to show, and the cut is enlarged.

    Args:
        data: the untrusted bytes.
        limits: what is accepted. Past `max_side` only what would else be enlarged is decoded.
        face: as `look` gives it, found or placed by hand: in pixels of the upright photograph as the file has it.
        side: in pixels, at least 1.
        where: which input this is; every error carries it.
        gate: entered around each decoding, to bound how many run at once.

    Raises:
        ImageError: the bytes are no usable image.
        ValueError: the landmarks coincide.
    """
    photo = Photograph(data, limits, where=where, gate=gate)
    width, height = photo.sent
    if native_side(face.landmarks) * photo.width / width < side and photo.width < width:
        photo = Photograph(data, replace(limits, max_side=None), where=where, gate=gate)
    there = face.scaled(photo.width / width, photo.height / height)
    alignment = Alignment.from_landmarks(there.landmarks, side)
    # Who looks for a face decodes at least so much, and the crop is made of that; where one was placed, nobody looked.
    least = 0 if isnan(face.score) else FIRST_SIDE
    photo.pixels(max(least, alignment.needed(photo)))
    return alignment.crop_of(photo)


def whole(
    data: bytes,
    limits: DecodeLimits,
    side: int,
    *,
    where: str | None = None,
    gate: AbstractContextManager[object] | None = None,
) -> np.ndarray:
    """The upright photograph, (h, w, 3) uint8 RGB, reduced by area averaging so that its longer side has at most `side`
    pixels, and at most `limits.max_side`. Never enlarged; of a JPEG no more is decoded than that.

    Args:
        data, limits, where, gate: see `cut`.
        side: in pixels, at least 1.

    Raises:
        ImageError: the bytes are no usable image.
    """
    photo = Photograph(data, limits, where=where, gate=gate)
    pixels = photo.pixels(side)
    width, height = fit(photo.width, photo.height, side)
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
