"""Results become files. The same pixels give the same bytes, and nothing but pixels goes in."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from facemix.errors import RequestInvalid

MediaType = Literal["image/png", "image/jpeg", "image/webp"]

# The first extension of each is the one that downloads are given.
MEDIA_TYPES: dict[MediaType, tuple[str, ...]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
}
_LONGEST_SIDE = {"image/jpeg": 65_500, "image/webp": 16_383}  # what the formats themselves can hold
# Chosen by `benchmarks/bench_photos.py`: what costs little time for its size.
_WEBP_METHOD = 0
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER_AVG"):  # older releases always take the filter "sub"
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]


def media_type_for_path(path: str | Path) -> MediaType:
    """Chooses the media type by the path's extension, in upper or lower case.

    Raises:
        RequestInvalid: the extension is none of `MEDIA_TYPES`.
    """
    extension = Path(path).suffix.lower()
    for media_type, extensions in MEDIA_TYPES.items():
        if extension in extensions:
            return media_type
    known = ", ".join(name for extensions in MEDIA_TYPES.values() for name in extensions)
    said = f"ends in {extension!r}" if extension else "has no extension"
    raise RequestInvalid(f"the output {str(path)!r} {said}", hint=f"end the name in one of {known}")


def longest_side(media_type: MediaType) -> int:
    """How many pixels a side of a picture may have, as far as the format itself goes."""
    return _LONGEST_SIDE.get(media_type, 2**31 - 1)


def encode_image(pixels: np.ndarray, media_type: MediaType, quality: int = 92) -> bytes:
    """Encodes one picture without any metadata.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        media_type: one of `MEDIA_TYPES`.
        quality: 1 to 100, for JPEG and WebP; PNG loses nothing and takes no notice.

    Raises:
        RequestInvalid: an unknown media type, a quality out of range, or a side longer than the format can hold.
        ValueError: `pixels` has another shape or type (a mistake of the program, not of a person).
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"pixels must be (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    if not 1 <= quality <= 100:
        raise RequestInvalid(f"the quality is {quality}", hint="choose a quality from 1 to 100")
    longest = max(pixels.shape[:2])
    if longest > _LONGEST_SIDE.get(media_type, longest):
        raise RequestInvalid(
            f"the result is {pixels.shape[1]} x {pixels.shape[0]} pixels; {media_type} holds at most "
            f"{_LONGEST_SIDE[media_type]:,} on a side",
            hint="ask for fewer frames, or for PNG",
        )
    if media_type == "image/png":
        return _opencv(".png", pixels, _PNG)
    if media_type == "image/jpeg":
        # Colour at full resolution from 90 up, where people expect no visible loss.
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if quality >= 90 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        factors = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        return _opencv(".jpg", pixels, factors)
    if media_type == "image/webp":
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=_WEBP_METHOD)
        return buffer.getvalue()
    raise RequestInvalid(
        f"images of the type {media_type!r} cannot be written",
        hint=f"ask for one of {', '.join(MEDIA_TYPES)}",
    )


def encode_mask(mask: np.ndarray) -> bytes:
    """A mask as a PNG: white, with the mask as its opacity.

    Args:
        mask: (H, W) numbers from 0 to 1.
    """
    alpha = np.rint(255 * mask).astype(np.uint8)
    buffer = BytesIO()
    Image.merge("LA", (Image.new("L", alpha.shape[::-1], 255), Image.fromarray(alpha))).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(pixels: np.ndarray, media_type: MediaType = "image/png") -> str:
    """The picture as text for a page: ``data:image/png;base64,...``. Raises what `encode_image` raises."""
    return f"data:{media_type};base64,{base64.b64encode(encode_image(pixels, media_type)).decode('ascii')}"


def _opencv(extension: str, pixels: np.ndarray, parameters: list[int]) -> bytes:
    # OpenCV writes PNG several times faster than Pillow, and the same JPEG with less to do around it; it wants BGR.
    written, buffer = cv2.imencode(extension, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), parameters)
    if not written:
        raise ValueError(f"OpenCV could not write {extension} of {pixels.shape}")
    return buffer.tobytes()
