"""Builders of photographs as people send them: sideways, in odd modes, cut short, hostile.

Every function returns the bytes of a file. `pixels` is always (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

ORIENTATIONS = range(1, 9)


def scene(width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth picture that no rotation or mirroring maps onto itself: red grows to the right, green
    downwards, and a blue patch stands in the upper left corner."""
    x = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    blue = np.zeros((height, width))
    blue[: height // 3, : width // 3] = 255
    return np.stack([x, y, blue], axis=2).round().astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """What Pillow writes."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    """An ordinary JPEG, colour at full resolution."""
    return saved(Image.fromarray(pixels), "JPEG", **{"quality": 95, "subsampling": 0, **options})


def png(pixels: np.ndarray, **options: object) -> bytes:
    """An ordinary PNG."""
    return saved(Image.fromarray(pixels), "PNG", **options)


def webp(pixels: np.ndarray, **options: object) -> bytes:
    """A WebP, lossless unless asked otherwise."""
    return saved(Image.fromarray(pixels), "WEBP", **{"lossless": True, **options})


def exif_block(orientation: int, byte_order: str = ">") -> bytes:
    """The smallest EXIF block: a TIFF header and one entry, the orientation."""
    mark = b"MM" if byte_order == ">" else b"II"
    entry = struct.pack(byte_order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(byte_order + "HIH", 42, 8, 1) + entry + bytes(4)


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores the upright `pixels` under an EXIF orientation (EXIF 2.32, 4.6.4)."""
    stored = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }.get(orientation, lambda p: p)(pixels)
    return np.ascontiguousarray(stored)


def sideways_jpeg(pixels: np.ndarray, orientation: int, byte_order: str = ">") -> bytes:
    """A phone photo: the pixels lie as the sensor saw them and EXIF says how to hold them."""
    return jpeg(as_stored(pixels, orientation), exif=b"Exif\0\0" + exif_block(orientation, byte_order))


def sideways_png(pixels: np.ndarray, orientation: int) -> bytes:
    """The same as a PNG, with its EXIF after the pixels, where the format allows it."""
    head, end = png(as_stored(pixels, orientation)), png_chunk(b"IEND", b"")
    return head.removesuffix(end) + png_chunk(b"eXIf", exif_block(orientation)) + end


def sideways_webp(pixels: np.ndarray, orientation: int) -> bytes:
    """The same as a WebP."""
    return webp(as_stored(pixels, orientation), exif=exif_block(orientation))


def mpo(pixels: np.ndarray) -> bytes:
    """Two JPEGs in one file, as many phones write; the second is black."""
    second = Image.new("RGB", (pixels.shape[1], pixels.shape[0]))
    return saved(Image.fromarray(pixels), "MPO", save_all=True, append_images=[second], quality=95)


def cmyk_jpeg(pixels: np.ndarray, *, adobe: bool = True) -> bytes:
    """A JPEG in inks. Adobe's marker means that the inks are stored inverted; without it they are not."""
    image = Image.fromarray(pixels).convert("CMYK")
    if adobe:
        return saved(image, "JPEG", quality=95)
    # Pillow always inverts and writes the marker (APP14, 16 bytes), so invert once more and cut it out.
    data = saved(Image.fromarray(255 - np.asarray(image), mode="CMYK"), "JPEG", quality=95)
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 16 :]


def grey16_png(levels: np.ndarray) -> bytes:
    """A PNG with 16 bits of grey. levels: (H, W) uint16."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return raw_png(levels.shape[1], levels.shape[0], 16, 0, zlib.compress(rows))


def rgb16_png(levels: np.ndarray) -> bytes:
    """A PNG with 16 bits per channel. levels: (H, W, 3) uint16."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return raw_png(levels.shape[1], levels.shape[0], 16, 2, zlib.compress(rows))


def palette_png(pixels: np.ndarray, *, see_through: bool = True) -> bytes:
    """A PNG with a palette; the upper half is fully transparent if `see_through`."""
    if not see_through:
        return saved(Image.fromarray(pixels).quantize(255), "PNG")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[: len(alpha) // 2] = 0
    image = Image.fromarray(np.dstack([pixels, alpha]))
    return saved(image.quantize(255, method=Image.Quantize.FASTOCTREE), "PNG")


def rgba_png(pixels: np.ndarray, alpha: np.ndarray) -> bytes:
    """A PNG with an alpha channel. alpha: (H, W) uint8."""
    return png(np.dstack([pixels, alpha]))


def grey_alpha_png(grey: np.ndarray, alpha: np.ndarray) -> bytes:
    """A PNG of grey and alpha (LA), both (H, W) uint8."""
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    return saved(image, "PNG")


def one_bit_png(black_or_white: np.ndarray) -> bytes:
    """A PNG of one bit per pixel. black_or_white: (H, W) bool."""
    return saved(Image.fromarray(black_or_white), "PNG")


def animated_webp(first: np.ndarray, frames: int = 12) -> bytes:
    """A moving WebP whose first frame is `first`; the others are flat greys."""
    height, width = first.shape[:2]
    rest = [Image.new("RGB", (width, height), (n * 10,) * 3) for n in range(1, frames)]
    return saved(Image.fromarray(first), "WEBP", save_all=True, append_images=rest, lossless=True)


def animated_png(first: np.ndarray, frames: int = 3) -> bytes:
    """A moving PNG whose first frame is `first`."""
    height, width = first.shape[:2]
    rest = [Image.new("RGB", (width, height), (n * 10,) * 3) for n in range(1, frames)]
    return saved(Image.fromarray(first), "PNG", save_all=True, append_images=rest)


def heic(pixels: np.ndarray) -> bytes:
    """What an iPhone sends. Needs pillow-heif."""
    from pillow_heif import from_pillow

    buffer = BytesIO()
    from_pillow(Image.fromarray(pixels)).save(buffer, quality=90)
    return buffer.getvalue()


def avif(pixels: np.ndarray, **options: object) -> bytes:
    """An AVIF."""
    return saved(Image.fromarray(pixels), "AVIF", **{"quality": 90, **options})


def swapped_profile() -> bytes:
    """A valid RGB profile that takes the first channel for green and the second for red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4  # where each entry points to its data
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


def truncated(data: bytes, share: float = 0.5) -> bytes:
    """What arrives when a connection breaks."""
    return data[: int(len(data) * share)]


def text_named_jpg() -> bytes:
    """A text file that somebody has named .jpg."""
    return "Dear diary, today I renamed a text file to photo.jpg. Ünïcode too.\n".encode()


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def raw_png(width: int, height: int, bits: int, colour: int, idat: bytes, *chunks: bytes) -> bytes:
    """A PNG by hand: any header, any compressed pixels, further chunks between the two."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", idat), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def huge_png(side: int = 13_000) -> bytes:
    """A PNG bomb that is real all through: half a megabyte that decodes to `side` * `side` black pixels.

    The compressed form of one mebibyte of zeros is repeated, so that building the bomb costs nothing.
    """
    total = side * (1 + 3 * side)
    piece = 1 << 20
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(piece)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(total % piece)) + packer.flush()
    checksum = struct.pack(">HH", total % 65521, 1)  # Adler-32 of that many zeros
    return raw_png(side, side, 8, 2, b"\x78\xda" + block * (total // piece) + rest + checksum)


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header only claims its size."""
    return raw_png(width, height, 8, 2, zlib.compress(bytes(64)))


def claimed_jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    data = bytearray(jpeg(scene()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def claimed_webp(width: int, height: int) -> bytes:
    """A small WebP whose extended header claims another size (up to 2**24 on a side)."""
    data = bytearray(webp(scene(), exif=exif_block(1)))
    at = data.index(b"VP8X") + 8
    data[at + 4 : at + 10] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)
