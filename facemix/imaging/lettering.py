"""Text in pictures, in the one font that comes with Pillow (Aileron Regular), within the room there is."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache

from PIL import ImageFont

PAPER, INK, SOFT = "#f7f4ef", "#24211d", "#655e54"  # the colours of the pages

_LONGEST = 400  # characters that are looked at; no line here has room for more
# What the font lacks and a decomposition does not give.
_INSTEAD = str.maketrans(
    {"‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-", "×": "x", "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe"}
    | {"Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "Þ": "Th", "ı": "i"}
    | {"„": '"', "‚": "'", "€": "EUR"}
)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels."""
    return ImageFont.load_default(size)


@cache
def _glyphs() -> frozenset[str]:
    """The characters that the font can draw, of those that text here may have."""
    drawn = font(32)
    box = bytes(drawn.getmask("\uffff"))  # what it draws instead of any other
    candidates = map(chr, [*range(0x20, 0x7F), *range(0xA1, 0x180), *range(0x2010, 0x2040)])
    return frozenset(one for one in candidates if bytes(drawn.getmask(one)) != box)


def printable(text: str) -> str:
    """The text on one line, in characters that the font has: accents fall off, others become question marks."""
    text = " ".join(text[:_LONGEST].split()).translate(_INSTEAD)
    found = []
    for one in text:
        plain = one if one in _glyphs() else unicodedata.normalize("NFKD", one)
        plain = "".join(part for part in plain if not unicodedata.combining(part))
        found.append("".join(part if part in _glyphs() else "?" for part in plain))
    return "".join(found)


def shortened(text: str, size: int, room: float) -> str:
    """`printable` text, cut with an ellipsis where it would be wider than `room` pixels; empty where nothing fits."""
    text = printable(text)
    if _width(text, size) <= room:
        return text

    def cut(end: int) -> str:
        return text[:end].rstrip() + "…"

    end = bisect_right(range(len(text)), room, key=lambda end: _width(cut(end), size)) - 1
    return cut(end) if end >= 0 else ""


def wrapped(text: str, size: int, room: float, lines: int) -> list[str]:
    """`printable` text on at most `lines` lines no wider than `room` pixels; the last is cut where there is more."""
    words, found = printable(text).split(), []
    while words and len(found) < lines:
        last = len(found) == lines - 1
        taken = len(words) if last else 1
        while not last and taken < len(words) and _width(" ".join(words[: taken + 1]), size) <= room:
            taken += 1
        found.append(shortened(" ".join(words[:taken]), size, room))
        words = words[taken:]
    return found


def _width(text: str, size: int) -> float:
    return font(size).getlength(text)
