"""Heat maps over a face: colours that everybody can tell apart, the face in grey beneath, and what the colours mean."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from facemix.imaging.enlarge import enlarge
from facemix.imaging.lettering import INK, PAPER, SOFT, font, shortened

SIDE = 256
# Cividis in equal steps: from blue to yellow, rising evenly in lightness, and nearly the same to people who see no
# difference between red and green (J. Nuñez et al., "Optimizing colormaps with consideration for color vision
# deficiency", 2018).
_CIVIDIS = tuple(
    bytes.fromhex(colour)
    for colour in ["00204d", "00336f", "39486b", "575c6d", "707173", "8a8779", "a69d75", "c4b56c", "e4cf5b", "ffea46"]
)
_COVER = 0.62  # of the face; less, and its own light and shade would be read as heat
_GREY = (0.25, 0.9)  # darkest and brightest of the face beneath
_BAR, _TEXT = 10, 13


def colours(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1], of any shape, to (..., 3) float32 RGB in [0, 255]."""
    channels = np.transpose([list(colour) for colour in _CIVIDIS])
    places, clipped = np.linspace(0, 1, len(_CIVIDIS)), np.clip(values, 0, 1)
    return np.stack([np.interp(clipped, places, channel) for channel in channels], -1).astype(np.float32)


def heat(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A face in grey with values laid over it.

    Args:
        picture: (S, S, 3) uint8 RGB.
        values: (S, S) in [0, 1].

    Returns:
        (S, S, 3) uint8.
    """
    low, high = _GREY
    grey = low + (high - low) * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    mixed = _COVER * colours(values) + (1 - _COVER) * 255 * grey
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def labelled(picture: np.ndarray, values: np.ndarray, *, title: str, low: str, high: str) -> np.ndarray:
    """`heat` at `SIDE` pixels with a title above it and a bar below it that says what its colours mean.

    Args:
        picture, values: as for `heat`.
        title: one line; what is too long is cut with an ellipsis.
        low, high: what stands at the ends of the bar.

    Returns:
        (H, `SIDE`, 3) uint8.
    """
    # Smooth maps may be enlarged by any filter; the face by the one that all pictures are.
    large = cv2.resize(values.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    face = heat(enlarge(picture, SIDE), large)
    head, foot = round(1.8 * _TEXT), _BAR + round(2.0 * _TEXT)
    paper = Image.new("RGB", (SIDE, head + SIDE + foot), PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((4, head / 2), shortened(title, _TEXT, SIDE - 8), INK, font(_TEXT), anchor="lm")
    paper.paste(Image.fromarray(face), (0, head))
    grey = np.full((_BAR, SIDE - 8, 3), 128, np.uint8)  # so that the bar has the colours that the face has
    top = head + SIDE + 4
    paper.paste(Image.fromarray(heat(grey, np.broadcast_to(np.linspace(0, 1, SIDE - 8), grey.shape[:2]))), (4, top))
    below = top + _BAR + 3
    draw.text((4, below), shortened(low, _TEXT - 2, SIDE / 2 - 8), SOFT, font(_TEXT - 2), anchor="la")
    draw.text((SIDE - 4, below), shortened(high, _TEXT - 2, SIDE / 2 - 8), SOFT, font(_TEXT - 2), anchor="ra")
    return np.asarray(paper)
