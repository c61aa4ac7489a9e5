"""The picture that other sites show beside a link (Open Graph, https://ogp.me)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from facemix.imaging.enlarge import enlarge
from facemix.imaging.lettering import INK, PAPER, SOFT, font, wrapped

PREVIEW_SIZE = (1200, 630)  # width and height in pixels, as the large sites ask for

_MARGIN = 64
_FACE = PREVIEW_SIZE[1] - 2 * _MARGIN
_LEFT = _MARGIN + _FACE + 60  # of the text
_ROOM = PREVIEW_SIZE[0] - _LEFT - _MARGIN
_FINE = 4  # shapes are drawn so many times larger and reduced: Pillow draws without smooth edges

_TEAL, _TERRACOTTA, _OPACITY = "#1c6f68", "#a84d20", 0.82  # the discs of the wordmark, as on the pages


def preview_card(picture: np.ndarray, *, title: str, lines: Sequence[str] = ()) -> np.ndarray:
    """The face at the left; at the right the wordmark, a title of up to three lines, and up to four smaller lines.

    Each of `lines` may wrap; what is too long is cut with an ellipsis.

    Args:
        picture: (S, S, 3) uint8 RGB.

    Returns:
        (630, 1200, 3) uint8 RGB.

    Raises:
        ValueError: a picture of another shape or type.
    """
    card = Image.new("RGB", PREVIEW_SIZE, PAPER)
    face = Image.fromarray(enlarge(picture, _FACE))
    card.paste(face, (_MARGIN, _MARGIN), _rounded(_FACE, radius=26))
    _wordmark(card, _LEFT, _MARGIN + 34)
    draw = ImageDraw.Draw(card)

    heading = wrapped(title, 58, _ROOM, 3)
    small = [words for line in lines for words in wrapped(line, 29, _ROOM, 2)][:4]
    y = _MARGIN + _FACE - len(small) * 42 - (18 if small else 0) - len(heading) * 68
    for words in heading:
        draw.text((_LEFT, y), words, INK, font(58), anchor="la")
        y += 68
    y += 18
    for words in small:
        draw.text((_LEFT, y), words, SOFT, font(29), anchor="la")
        y += 42
    return np.asarray(card)


def _rounded(side: int, radius: int) -> Image.Image:
    """A mask of a square with round corners."""
    large = Image.new("L", (side * _FINE, side * _FINE))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, side * _FINE - 1, side * _FINE - 1), radius * _FINE, 255)
    return large.resize((side, side), Image.Resampling.BOX)


def _wordmark(card: Image.Image, x: int, middle: int) -> None:
    """Two discs, the second over the first, and the name."""
    radius = 34
    for colour, centre in ((_TEAL, x + radius), (_TERRACOTTA, x + 2 * radius)):
        disc = Image.new("L", (2 * radius * _FINE, 2 * radius * _FINE))
        ImageDraw.Draw(disc).ellipse((0, 0, disc.width - 1, disc.height - 1), round(255 * _OPACITY))
        card.paste(colour, (centre - radius, middle - radius), disc.reduce(_FINE))
    ImageDraw.Draw(card).text((x + 3 * radius + 22, middle), "facemix", INK, font(50), anchor="lm")
