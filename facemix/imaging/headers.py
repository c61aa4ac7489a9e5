"""Walks a container (JPEG, PNG, WebP) without decoding it.

Two things come out: what the program wants to know before any memory is spent (size, orientation, colour
profile), and a *payload*: the same picture rewritten without metadata. Only the payload is given to the
decoder, so that comments, compressed text, EXIF trees and thumbnails of strangers are never parsed by it.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from facemix.errors import ImageCorrupt, ImageUnsupported

MAX_SEGMENTS = 4096  # of a JPEG; cameras write a few dozen
MAX_SCANS = 64  # of a JPEG; encoders write up to about twenty, hostile files thousands
MAX_ICC_BYTES = 4 * 1024 * 1024

SAVE_AGAIN = "open it in an image viewer, save it again as JPEG or PNG, and send that file"


@dataclass(frozen=True)
class Header:
    """What a container says of its picture.

    Attributes:
        width, height: of the stored picture in pixels, before it is turned upright; both at least 1.
        payload: the picture without metadata, for the decoder.
        exif: the EXIF block beginning with its TIFF header, or None. Untrusted.
        icc: the colour profile, or None. Untrusted.
        frames: how many pictures the file says it holds.
        bits: per channel.
        inverted: whether CMYK inks are stored upside down, as Adobe does.
        notes: sentences on what was left out.
    """

    width: int
    height: int
    payload: bytes
    exif: bytes | None = None
    icc: bytes | None = None
    frames: int = 1
    bits: int = 8
    inverted: bool = True
    notes: tuple[str, ...] = ()


def corrupt(kind: str, why: str) -> ImageCorrupt:
    return ImageCorrupt(f"the {kind} is damaged: {why}", hint=SAVE_AGAIN)


def tiff_value(block: bytes, tag: int) -> int | None:
    """Reads one whole number from the first directory of a TIFF block (EXIF and MPF are such blocks).

    Never raises: None stands for absent, of another type, or damaged.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    try:
        if order is None or struct.unpack_from(order + "H", block, 2)[0] != 42:
            return None
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            found, kind, values = struct.unpack_from(order + "HHI", block, at)
            if found == tag:
                layout = {1: "B", 3: "H", 4: "I"}.get(kind)
                if layout is None or values != 1:
                    return None
                return struct.unpack_from(order + layout, block, at + 8)[0]
    except struct.error:  # the block ends before what it promises
        pass
    return None


# --- JPEG --------------------------------------------------------------------------------------------------

_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _APP15, _COM = (
    0xD8,
    0xD9,
    0xDA,
    0xE0,
    0xE1,
    0xE2,
    0xEE,
    0xEF,
    0xFE,
)
_SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SOF_DECODABLE = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; Huffman or arithmetic
# Inside compressed data 0xFF is followed by 0x00, a restart marker or fill; anything else is a new segment.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MPF_IMAGES = 0xB001


def read_jpeg(data: bytes) -> Header:
    """Walks the segments up to the end of the first picture; what follows (a second frame, a video) is cut.

    Raises:
        ImageCorrupt: the segments do not hold together, or are hostile in number.
        ImageUnsupported: a lossless, hierarchical or 12-bit JPEG.
    """
    kept = [data[:2]]
    frame: tuple[int, int] | None = None
    exif: bytes | None = None
    profile: dict[int, bytes] = {}
    profile_parts = 0
    adobe = False
    frames = 1
    scans = segments = 0
    at = 2
    while True:
        found = _MARKER.search(data, at)  # skips fill bytes, and the junk that some programs leave
        if found is None:
            break  # cut short; the decoder says whether enough is there
        at = found.start()
        marker = data[at + 1]
        if marker == _EOI:
            kept.append(data[at : at + 2])
            break
        if marker in (0x01, _SOI):
            raise corrupt("JPEG", f"a marker 0x{marker:02x} stands at byte {at:,}, where none may")
        segments += 1
        if segments > MAX_SEGMENTS:
            raise corrupt("JPEG", f"it has more than {MAX_SEGMENTS:,} segments")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise corrupt("JPEG", f"it ends inside the segment at byte {at:,} of {len(data):,}")
        body = data[at + 4 : end]
        if marker in _SOF:
            if frame is not None:
                raise corrupt("JPEG", "it states its size twice")
            frame = _jpeg_frame(marker, body)
            kept.append(data[at:end])
        elif marker == _SOS:
            scans += 1
            if frame is None:
                raise corrupt("JPEG", "its pixels begin before its size is stated")
            if scans > MAX_SCANS:
                raise corrupt("JPEG", f"it has more than {MAX_SCANS} scans")
            after = _MARKER.search(data, end)
            end = after.start() if after else len(data)
            kept.append(data[at:end])
        elif marker == _APP1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile[body[12]] = body[14:]
            profile_parts = body[13]
        elif marker == _APP2 and body.startswith(b"MPF\0"):
            frames = max(1, tiff_value(body[4:], _MPF_IMAGES) or 1)
        elif marker in (_APP0, _APP14):
            adobe = adobe or (marker == _APP14 and body.startswith(b"Adobe"))
            kept.append(data[at:end])
        elif not (_APP0 <= marker <= _APP15 or marker == _COM):
            kept.append(data[at:end])  # tables that the decoder needs
        at = end
    if frame is None:
        raise corrupt("JPEG", f"it ends after {len(data):,} bytes, before its size is stated")
    icc, notes = None, ()
    if profile:
        whole = sorted(profile) == list(range(1, profile_parts + 1))
        icc, notes = _usable_icc(b"".join(profile[part] for part in sorted(profile)) if whole else None)
    return Header(*frame, b"".join(kept), exif=exif, icc=icc, frames=frames, inverted=adobe, notes=notes)


def _jpeg_frame(marker: int, body: bytes) -> tuple[int, int]:
    if len(body) < 6:
        raise corrupt("JPEG", "its frame header is too short")
    bits, height, width, channels = struct.unpack_from(">BHHB", body)
    if marker not in _SOF_DECODABLE or bits != 8:
        raise ImageUnsupported(
            f"the JPEG is of a rare kind (frame type 0x{marker:02x}, {bits} bits per channel)",
            hint="save it as an ordinary 8-bit JPEG or as PNG, and send that file",
        )
    if channels not in (1, 3, 4):
        raise corrupt("JPEG", f"it has {channels} channels; 1, 3 or 4 are possible")
    if width == 0 or height == 0:
        raise corrupt("JPEG", f"its header says {width} x {height} pixels")
    return width, height


def _usable_icc(profile: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    if not profile or len(profile) > MAX_ICC_BYTES:
        return None, ("its colour profile is damaged or too large and was ignored",)
    return profile, ()


# --- PNG ---------------------------------------------------------------------------------------------------

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def read_png(data: bytes) -> Header:
    """Walks the chunks; the payload keeps only size, palette, transparency and pixels.

    Raises:
        ImageCorrupt: cut short, a wrong checksum in a chunk that matters, or an impossible header.
    """
    header: bytes | None = None
    palette = transparency = exif = icc = None
    pixels: list[bytes] = []
    notes: tuple[str, ...] = ()
    frames = 1
    at = len(_PNG_SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise corrupt("PNG", f"it is cut short after {len(data):,} bytes")
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise corrupt("PNG", f"it is cut short after {len(data):,} bytes")
        body = data[at + 8 : end - 4]
        matters = name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
        if matters and zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise corrupt("PNG", f"the checksum of the chunk at byte {at:,} is wrong")
        if (header is None) != (name == b"IHDR"):
            raise corrupt("PNG", "it does not begin with its one header")
        if name == b"IHDR":
            header = body
            _check_png_header(header)
        elif name == b"PLTE":
            palette = palette or body
        elif name == b"tRNS":
            transparency = transparency or body
        elif name == b"IDAT":
            pixels.append(body)
        elif name == b"eXIf":
            exif = exif or body
        elif name == b"iCCP" and icc is None:
            icc, notes = _usable_icc(_inflate_icc(body))
        elif name == b"acTL" and length >= 4:
            frames = max(1, int.from_bytes(body[:4], "big"))
        elif name == b"IEND":
            break
        at = end
    width, height, bits, colour = struct.unpack_from(">IIBB", header)
    if not pixels:
        raise corrupt("PNG", "it holds no pixels")
    if transparency is not None and colour in (0, 2) and bits not in (1, 8):
        # The decoder compares the one transparent colour after it has changed the scale of the pixels.
        transparency = None
        notes += (f"the one colour that its {bits} bits mark as transparent was kept",)
    parts = [_PNG_SIGNATURE, png_chunk(b"IHDR", header)]
    if palette is not None and colour == 3:
        parts.append(png_chunk(b"PLTE", palette))
    if transparency is not None:
        parts.append(png_chunk(b"tRNS", transparency))
    parts += [png_chunk(b"IDAT", b"".join(pixels)), png_chunk(b"IEND", b"")]
    return Header(width, height, b"".join(parts), exif=exif, icc=icc, frames=frames, bits=bits, notes=notes)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return b"".join((struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(name + body))))


def _check_png_header(header: bytes) -> None:
    if len(header) != 13:
        raise corrupt("PNG", f"its header has {len(header)} bytes instead of 13")
    width, height, bits, colour = struct.unpack_from(">IIBB", header)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise corrupt("PNG", f"its header says {width} x {height} pixels")
    if bits not in _PNG_DEPTHS.get(colour, ()):
        raise corrupt("PNG", f"its header says {bits} bits with colour type {colour}, which cannot be")


def _inflate_icc(body: bytes) -> bytes | None:
    _, _, packed = body.partition(b"\0")
    try:
        unpacker = zlib.decompressobj()
        profile = unpacker.decompress(packed[1:], MAX_ICC_BYTES + 1)
    except zlib.error:
        return None
    return profile


# --- WebP --------------------------------------------------------------------------------------------------


def read_webp(data: bytes) -> Header:
    """Walks the RIFF chunks.

    Raises:
        ImageCorrupt: cut short, or without a picture.
    """
    total = 8 + int.from_bytes(data[4:8], "little")
    if total > len(data):
        raise corrupt("WebP", f"it is cut short: {len(data):,} of {total:,} bytes are there")
    size: tuple[int, int] | None = None
    exif = icc = None
    notes: tuple[str, ...] = ()
    frames = 0
    at = 12
    while at + 8 <= total:
        name = data[at : at + 4]
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > total:
            raise corrupt("WebP", f"it ends inside the chunk at byte {at:,}")
        if at == 12:
            size = _webp_size(name, data[at + 8 : at + 18])
        if name == b"ANMF":
            frames += 1
        elif name == b"EXIF":
            exif = exif or data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        elif name == b"ICCP" and icc is None:
            icc, notes = _usable_icc(data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)
    if size is None:
        raise corrupt("WebP", "it does not begin with a picture")
    if 0 in size:
        raise corrupt("WebP", f"its header says {size[0]} x {size[1]} pixels")
    return Header(*size, data[:total], exif=exif, icc=icc, frames=max(frames, 1), notes=notes)


def _webp_size(name: bytes, head: bytes) -> tuple[int, int] | None:
    if name == b"VP8X" and len(head) >= 10:
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if name == b"VP8 " and len(head) >= 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        (packed,) = struct.unpack_from("<I", head, 1)
        return 1 + (packed & 0x3FFF), 1 + ((packed >> 14) & 0x3FFF)
    return None
