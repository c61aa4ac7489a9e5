"""Tells what kind of file some bytes are by how they begin, never by a name or a declared type."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

Kind = Literal["JPEG", "PNG", "WebP", "HEIC", "AVIF"]

HEAD = 512  # bytes that are looked at

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BINARY = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"II*\0\x10\0\0\0CR", "a camera RAW photograph (CR2)"),
    (b"II*\0", "a TIFF or a camera RAW photograph"),
    (b"MM\0*", "a TIFF or a camera RAW photograph"),
    (b"IIU\0", "a camera RAW photograph (RW2)"),
    (b"IIRO", "a camera RAW photograph (ORF)"),
    (b"IIRS", "a camera RAW photograph (ORF)"),
    (b"FUJIFILMCCD-RAW", "a camera RAW photograph (RAF)"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\0\0\x01\xba", "a video (MPEG)"),
    (b"FLV\x01", "a video (Flash)"),
    (b"OggS", "a sound or video file (Ogg)"),
    (b"ID3", "a sound file (MP3)"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


@dataclass(frozen=True)
class Sniffed:
    """What the bytes look like.

    Attributes:
        kind: one of the kinds that may be decoded, or None.
        name: the kind in words with its article, for a sentence: "a JPEG", "a PDF document", "text".
    """

    kind: Kind | None
    name: str


def sniff(data: bytes) -> Sniffed:
    """Looks at the first `HEAD` bytes. Knows nothing of whether the rest holds together."""
    head = bytes(data[:HEAD])
    if head.startswith(b"\xff\xd8\xff"):
        return Sniffed("JPEG", "a JPEG")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Sniffed("PNG", "a PNG")
    if head.startswith(b"RIFF"):
        return _riff(head)
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    text = _as_text(head)
    if text is not None:
        return Sniffed(None, _name_text(text))
    for magic, name in _BINARY:
        if head.startswith(magic):
            return Sniffed(None, name)
    if head.startswith(b"BM") and len(head) > 14:
        return Sniffed(None, "a BMP")
    return Sniffed(None, f"of an unknown kind (it begins with the bytes {head[:4].hex(' ')})")


def _riff(head: bytes) -> Sniffed:
    form = head[8:12]
    if form == b"WEBP":
        return Sniffed("WebP", "a WebP")
    names = {b"AVI ": "a video (AVI)", b"WAVE": "a sound file (WAV)"}
    return Sniffed(None, names.get(form, "a RIFF file without an image"))


def _iso_media(head: bytes) -> Sniffed:
    """HEIC, AVIF, CR3 and most videos share one container; the brands tell them apart."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    # The generic brands `mif1` and `msf1` say only "images inside"; the compatible brands say which.
    brands = [major] + [head[at : at + 4] for at in range(16, size - 3, 4)]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return Sniffed("AVIF", "an AVIF")
        if brand in _HEIF_BRANDS:
            return Sniffed("HEIC", "a HEIC")
    if major in (b"mif1", b"msf1"):
        return Sniffed("HEIC", "a HEIC")
    if major == b"crx ":
        return Sniffed(None, "a camera RAW photograph (CR3)")
    return Sniffed(None, "a video (MP4 or QuickTime)")


def _as_text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ""
    try:
        # An incremental decoder forgives a character that `HEAD` cuts in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c in "\t\r\n\f" for c in text) else None


def _name_text(text: str) -> str:
    text = text.lstrip().lower()
    if text.startswith("%pdf"):
        return "a PDF document"
    if "<svg" in text:
        return "an SVG drawing"
    if text.startswith("<") and ("<html" in text or "<!doctype html" in text):
        return "a web page (HTML)"
    if text.startswith("data:"):
        return "text: a data URI, not the bytes that it stands for"
    if text.startswith(("/9j/", "ivborw0kggo", "uklgr")):
        return "text: an image still in base64, not the bytes that it stands for"
    return "not an image: it begins with text"
