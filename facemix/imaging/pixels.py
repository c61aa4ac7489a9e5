"""A picture as its plugin opened it becomes an upright 8-bit RGB array in sRGB, and says what was done."""

from __future__ import annotations

from io import BytesIO
from math import ceil

import numpy as np
from PIL import Image, ImageChops, ImageCms

from facemix.imaging.headers import Header, tiff_value

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored back"),
    3: (Image.Transpose.ROTATE_180, "rotated upright"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "mirrored back"),
    5: (Image.Transpose.TRANSPOSE, "rotated upright and mirrored back"),
    6: (Image.Transpose.ROTATE_270, "rotated upright"),
    7: (Image.Transpose.TRANSVERSE, "rotated upright and mirrored back"),
    8: (Image.Transpose.ROTATE_90, "rotated upright"),
}
_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_ON_ITS_SIDE = (5, 6, 7, 8)


def to_pixels(
    image: Image.Image, header: Header, kind: str, accepted: tuple[int, int], side: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """`accepted` is the full size that is given; of a JPEG, a smaller one with a longer side of at least `side` is."""
    notes = list(header.notes)
    if header.frames > 1:
        notes.append(f"the first of {header.frames} frames was used")
    if kind == "JPEG":
        image.draft(None, fit(*accepted, max(1, ceil(min(side, max(accepted))))))
    image.load()
    if image.mode == "CMYK" and not header.inverted:
        image = ImageChops.invert(image)  # the plugin takes every file for an Adobe one
    image = _flatten(image, header.bits, notes)
    if accepted != (header.width, header.height):
        if max(image.size) >= max(accepted):
            image = image.resize(accepted, Image.Resampling.BOX)
        notes.append(f"reduced from {header.width} x {header.height} to {accepted[0]} x {accepted[1]} pixels")
    image = _to_srgb(image, header.icc, notes)
    image = _turn_upright(image, header.exif, notes)
    return np.array(image), tuple(notes)


def fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    longer = max(width, height)
    if longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def _flatten(image: Image.Image, bits: int, notes: list[str]) -> Image.Image:
    """Brings any mode to 8 bits without alpha: mode L, RGB or CMYK."""
    if bits == 16:
        notes.append("converted from 16 bits per channel")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).clip(0, 65535).astype(np.uint32)
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        return _on_white(image, notes)
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode != "LA":
        image = image.convert("RGBA")
    alpha = image.getchannel("A")
    mode, white = ("L", 255) if image.mode == "LA" else ("RGB", (255, 255, 255))
    opaque = image.convert(mode)
    if alpha.getextrema()[0] == 255:
        return opaque
    flat = Image.new(mode, image.size, white)
    flat.paste(opaque, mask=alpha)
    notes.append("transparent parts were put on white")
    return flat


def _to_srgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    if icc is not None:
        try:
            converted, said = _apply_profile(image, icc)
        except Exception:  # whatever a broken profile makes of the library, the pixels are still good
            converted, said = None, "its colour profile cannot be read and was ignored"
        if said:
            notes.append(said)
        if converted is not None:
            return converted
    if image.mode == "CMYK":
        notes.append("converted from CMYK")
    return image if image.mode == "RGB" else image.convert("RGB")  # which copies even what is RGB already


def _apply_profile(image: Image.Image, icc: bytes) -> tuple[Image.Image | None, str | None]:
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    space = profile.profile.xcolor_space.strip()
    if space != _PROFILE_SPACE[image.mode]:
        return None, f"its colour profile is for {space} and was ignored"
    name = " ".join((profile.profile.profile_description or "unnamed").split())[:60]
    if name.lower().startswith("srgb"):
        return None, None  # nearly every camera; converting would only add rounding
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return converted, f"colours were converted from the profile {name!r} to sRGB"


def _orientation(exif: bytes | None) -> int | None:
    return tiff_value(exif, _ORIENTATION_TAG) if exif else None


def on_its_side(exif: bytes | None) -> bool:
    """Whether turning upright exchanges width and height."""
    return _orientation(exif) in _ON_ITS_SIDE


def _turn_upright(image: Image.Image, exif: bytes | None, notes: list[str]) -> Image.Image:
    orientation = _orientation(exif)
    if orientation is None or orientation in (0, 1):  # some programs write 0 for "not known"
        return image
    if orientation not in _UPRIGHT:
        notes.append(f"its EXIF orientation is {orientation}, which means nothing, and was ignored")
        return image
    method, done = _UPRIGHT[orientation]
    notes.append(f"{done} by its EXIF orientation")
    return image.transpose(method)
