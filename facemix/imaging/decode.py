"""Untrusted bytes become an upright 8-bit RGB array, or a typed refusal. Nothing else sees the bytes.

The order is the safety: length, kind, container, size, and only then memory is spent on pixels. Pillow's
plugins are called by class for the kind that the bytes announce, so that none of its other decoders is ever
tried, and neither its warnings nor its global pixel limit take part in the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import AvifImagePlugin, Image, ImageChops, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from facemix.errors import (
    FacemixError,
    ImageCorrupt,
    ImageEmpty,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageTooSmall,
    ImageUnsupported,
    InstallationError,
)
from facemix.imaging.headers import (
    MAX_ICC_BYTES,
    SAVE_AGAIN,
    Header,
    read_jpeg,
    read_png,
    read_webp,
    tiff_value,
)
from facemix.imaging.sniff import Kind, sniff
from facemix.settings import MEBIBYTE, Settings

PIXEL_CEILING = 178_956_970  # beyond it Pillow refuses by itself, in words of its own

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
_READERS = {"JPEG": read_jpeg, "PNG": read_png, "WebP": read_webp}
_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


# Both serving and training reduce photographs to this before they look for faces: beyond it there is only memory to
# lose.
WORKING_SIDE = 4096


@dataclass(frozen=True)
class DecodeLimits:
    """What is accepted.

    Attributes:
        max_bytes: longest file, in bytes.
        max_pixels: width times height, from the header; more than `PIXEL_CEILING` is never accepted.
        allow_heif: whether HEIC is decoded (needs the extra ``facemix[heif]``).
        allow_avif: whether AVIF is decoded.
        min_side: the shorter side must have at least so many pixels.
        max_side: if set, the result is reduced so that its longer side has at most so many pixels.
    """

    max_bytes: int = 10 * MEBIBYTE
    max_pixels: int = 50_000_000
    allow_heif: bool = False
    allow_avif: bool = False
    min_side: int = 32
    max_side: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> DecodeLimits:
        return cls(
            max_bytes=settings.max_upload_bytes,
            max_pixels=settings.max_image_pixels,
            allow_heif=settings.allow_heif,
            allow_avif=settings.allow_avif,
        )


@dataclass(frozen=True)
class DecodedImage:
    """A photograph ready to be looked at.

    Attributes:
        pixels: (H, W, 3) uint8 RGB in sRGB, C-contiguous, upright.
        format: "JPEG", "PNG", "WebP", "HEIC" or "AVIF".
        notes: what was done to get there, one plain sentence each.
    """

    pixels: np.ndarray
    format: str
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, limits: DecodeLimits = DecodeLimits(), *, where: str | None = None) -> DecodedImage:
    """Decodes one photograph.

    Args:
        data: the untrusted bytes.
        limits: what is accepted.
        where: which input this is; every error carries it.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageTooManyPixels, ImageTooSmall, ImageCorrupt: as their
            names say.
        InstallationError: HEIC is allowed, but its decoder is not installed.
    """
    try:
        return _decode(data, limits)
    except FacemixError as error:
        if where is not None:
            error.at(where)
        raise


def _decode(data: bytes, limits: DecodeLimits) -> DecodedImage:
    kind = _accepted_kind(data, limits)
    size = None
    try:
        if kind in _READERS:
            header = _READERS[kind](data)
            size = header.width, header.height
            _check_size(*size, limits)
            image = _open(kind, header.payload)
            if image.size != size:
                raise _undecodable(kind)
        else:
            image = _open(kind, data)  # parses the container; no pixels yet
            size = image.size
            _check_size(*size, limits)
            header = _header_of(image)
        pixels, notes = _to_pixels(image, header, kind, limits.max_side)
    except FacemixError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        shape = f"an image of {size[0]} x {size[1]} pixels" if size else f"the {kind}"
        raise ImageTooManyPixels(
            f"{shape} cannot be decoded here: it needs more memory than there is",
            hint="reduce the photograph to fewer pixels and send it again",
        ) from error
    except Exception as error:
        # Hostile bytes have made Pillow raise nearly every built-in exception; all mean the same here.
        raise _undecodable(kind) from error
    return DecodedImage(pixels, kind, notes)


def _accepted_kind(data: bytes, limits: DecodeLimits) -> Kind:
    if not data:
        raise ImageEmpty("the file has 0 bytes", hint="choose the photograph again; the upload may have failed")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"the file has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted",
            hint="save the photograph smaller or with stronger JPEG compression, and send that file",
            bytes=len(data),
            max_bytes=limits.max_bytes,
        )
    found = sniff(data)
    kind, name = found.kind, found.name
    if kind is None:
        raise ImageUnsupported(
            f"the file is {name}; photographs are accepted as {_accepted_names(limits)}",
            hint="save or export the photograph as JPEG, and send that file",
            looks_like=name,
        )
    for gated, allowed, setting in (
        ("HEIC", limits.allow_heif, "FACEMIX_ALLOW_HEIF"),
        ("AVIF", limits.allow_avif, "FACEMIX_ALLOW_AVIF"),
    ):
        if kind == gated and not allowed:
            raise ImageUnsupported(
                f"the file is {name} photograph, which is not accepted here",
                hint=f"save it as JPEG and send that file (operators: {setting}=true accepts {kind})",
                looks_like=name,
            )
    return kind


def _accepted_names(limits: DecodeLimits) -> str:
    names = ["JPEG", "PNG", "WebP"] + ["HEIC"] * limits.allow_heif + ["AVIF"] * limits.allow_avif
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _check_size(width: int, height: int, limits: DecodeLimits) -> None:
    cap = min(limits.max_pixels, PIXEL_CEILING)
    if width * height > cap:
        raise ImageTooManyPixels(
            f"the image is {width} x {height} pixels, {width * height:,} in all; at most {cap:,} are accepted",
            hint="reduce the photograph to fewer pixels and send it again; 2,000 on a side are plenty",
            width=width,
            height=height,
            max_pixels=cap,
        )
    if min(width, height) < limits.min_side:
        raise ImageTooSmall(
            f"the image is {width} x {height} pixels; each side needs at least {limits.min_side}",
            hint="send the photograph in its original size, not a thumbnail",
            width=width,
            height=height,
            min_side=limits.min_side,
        )


def _open(kind: Kind, payload: bytes) -> Image.Image:
    """Opens with the one plugin of this kind. `Image.open` would consult warnings and a global limit."""
    if kind == "HEIC":
        return _open_heif(payload)
    plugin = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
        "AVIF": AvifImagePlugin.AvifImageFile,
    }[kind]
    return plugin(BytesIO(payload))


def _open_heif(payload: bytes) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise InstallationError(
            "HEIC is allowed by FACEMIX_ALLOW_HEIF, but its decoder is not installed",
            hint="operators: pip install facemix[heif]; until then, save the photograph as JPEG",
        ) from error
    return HeifImageFile(BytesIO(payload))


def _header_of(image: Image.Image) -> Header:
    """For the containers that their own library has walked."""
    icc = image.info.get("icc_profile")
    return Header(
        *image.size,
        payload=b"",
        exif=(image.info.get("exif") or b"").removeprefix(b"Exif\0\0"),
        icc=icc if icc and len(icc) <= MAX_ICC_BYTES else None,
        frames=getattr(image, "n_frames", 1),
    )


def _undecodable(kind: str) -> ImageCorrupt:
    return ImageCorrupt(f"the {kind} cannot be decoded: it is damaged or cut short", hint=SAVE_AGAIN)


# --- pixels ------------------------------------------------------------------------------------------------


def _to_pixels(
    image: Image.Image, header: Header, kind: str, max_side: int | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    notes = list(header.notes)
    if header.frames > 1:
        notes.append(f"the first of {header.frames} frames was used")
    if max_side is not None and kind == "JPEG":
        image.draft(None, _fit(header.width, header.height, max_side))
    image.load()
    if image.mode == "CMYK" and not header.inverted:
        image = ImageChops.invert(image)  # the plugin takes every file for an Adobe one
    image = _flatten(image, header.bits, notes)
    if max_side is not None and max(header.width, header.height) > max_side:
        width, height = _fit(header.width, header.height, max_side)
        image = image.resize((width, height), Image.Resampling.BOX)
        notes.append(f"reduced from {header.width} x {header.height} to {width} x {height} pixels")
    image = _to_srgb(image, header.icc, notes)
    image = _turn_upright(image, header.exif, notes)
    return np.array(image), tuple(notes)


def _fit(width: int, height: int, max_side: int) -> tuple[int, int]:
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
    return image.convert("RGB")


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


def _turn_upright(image: Image.Image, exif: bytes | None, notes: list[str]) -> Image.Image:
    orientation = tiff_value(exif, _ORIENTATION_TAG) if exif else None
    if orientation is None or orientation in (0, 1):  # some programs write 0 for "not known"
        return image
    if orientation not in _UPRIGHT:
        notes.append(f"its EXIF orientation is {orientation}, which means nothing, and was ignored")
        return image
    method, done = _UPRIGHT[orientation]
    notes.append(f"{done} by its EXIF orientation")
    return image.transpose(method)
