"""Untrusted bytes become an upright 8-bit RGB array, or a typed refusal. Nothing else sees the bytes.

The order is the safety: length, kind, container, size, and only then memory is spent on pixels. Pillow's
plugins are called by class for the kind that the bytes announce, so that none of its other decoders is ever
tried, and neither its warnings nor its global pixel limit take part in the decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from math import inf

import numpy as np
from PIL import AvifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

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
)
from facemix.imaging.pixels import fit, on_its_side, to_pixels
from facemix.imaging.sniff import Kind, sniff
from facemix.settings import MEBIBYTE, Settings

PIXEL_CEILING = 178_956_970  # beyond it Pillow refuses by itself, in words of its own

_READERS = {"JPEG": read_jpeg, "PNG": read_png, "WebP": read_webp}


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
    """Decodes one photograph, whole.

    Args:
        data: the untrusted bytes.
        limits: what is accepted.
        where: which input this is; every error carries it.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageTooManyPixels, ImageTooSmall, ImageCorrupt: as their
            names say.
        InstallationError: HEIC is allowed, but its decoder is not installed.
    """
    photo = Photograph(data, limits, where=where)
    return DecodedImage(photo.pixels(), photo.format, photo.notes)


class Photograph:
    """Accepted bytes, decoded only when pixels are asked for and no larger than that.

    A JPEG gives its half, quarter or eighth for a fraction of the time of the whole; other formats are decoded whole.
    Not for several threads at once.

    Args:
        data: the untrusted bytes.
        limits: what is accepted; checked here, before any pixel is decoded.
        where: which input this is; every error carries it.
        gate: entered around each decoding, to bound how many run at once.

    Attributes:
        width, height: of the upright photograph in pixels, reduced to `limits.max_side`. Its full size.
        sent: width and height of the upright photograph as the file has it.
        format: see `DecodedImage`.
        notes: see `DecodedImage`; empty until pixels were asked for.

    Raises:
        FacemixError: what `decode_image` raises; damage may show only in `pixels`.
    """

    def __init__(
        self,
        data: bytes,
        limits: DecodeLimits = DecodeLimits(),
        *,
        where: str | None = None,
        gate: AbstractContextManager[object] | None = None,
    ) -> None:
        self._where, self._gate = where, gate or nullcontext()
        self._size: tuple[int, int] | None = None
        self._image: Image.Image | None = None
        self._pixels: np.ndarray | None = None
        self.notes: tuple[str, ...] = ()
        with _named(where):
            self.format: Kind = _accepted_kind(data, limits)
        with self._refusals():
            if self.format in _READERS:
                self._header = _READERS[self.format](data)
            else:
                self._image = _open(self.format, data)  # parses the container; no pixels yet
                self._header = _header_of(self._image)
            self._size = self._header.width, self._header.height
            _check_size(*self._size, limits)
            self._accepted = fit(*self._size, limits.max_side or max(self._size))
            turned = on_its_side(self._header.exif)
            self.width, self.height = self._accepted[::-1] if turned else self._accepted
            self.sent = self._size[::-1] if turned else self._size

    def pixels(self, side: float = inf) -> np.ndarray:
        """(h, w, 3) uint8 RGB, upright: the whole photograph, its longer side at least `side` pixels or its full size.

        What is there already is given again where it is large enough; the bytes and the calls decide, nothing else.
        """
        if self._pixels is None or max(self._pixels.shape[:2]) < min(side, max(self._accepted)):
            with self._gate, self._refusals():
                self._pixels, self.notes = self._decode(side)
        return self._pixels

    def _decode(self, side: float) -> tuple[np.ndarray, tuple[str, ...]]:
        image, self._image = self._image or _open(self.format, self._header.payload), None
        if image.size != self._size:
            raise _undecodable(self.format)
        return to_pixels(image, self._header, self.format, self._accepted, side)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Whatever goes wrong on the way from bytes to pixels becomes a typed refusal that says where."""
        with _named(self._where):
            try:
                yield
            except FacemixError:
                raise
            except (MemoryError, Image.DecompressionBombError) as error:
                shape = f"an image of {self._size[0]} x {self._size[1]} pixels" if self._size else f"the {self.format}"
                raise ImageTooManyPixels(
                    f"{shape} cannot be decoded here: it needs more memory than there is",
                    hint="reduce the photograph to fewer pixels and send it again",
                ) from error
            except Exception as error:
                # Hostile bytes have made Pillow raise nearly every built-in exception; all mean the same here.
                raise _undecodable(self.format) from error


@contextmanager
def _named(where: str | None) -> Iterator[None]:
    """Puts the name of the input on every error about it."""
    try:
        yield
    except FacemixError as error:
        if where is not None:
            error.at(where)
        raise


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
