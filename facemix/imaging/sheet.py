"""A grid of faces as one picture, with names for its rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from facemix.imaging.enlarge import check_square
from facemix.imaging.lettering import INK, PAPER, SOFT, font, shortened, wrapped

_MOST_TITLE_LINES = 2
_MOST_CAPTION_LINES = 4


def labelled_sheet(
    cells: Sequence[Sequence[np.ndarray]] | np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    title: str | None = None,
    caption: str = "",
) -> np.ndarray:
    """Faces on paper: columns named above, rows named at the left, a title over all and a caption below.

    Nothing overlaps: what is too long for its place is cut with an ellipsis, a column's name at the width of its
    faces, a row's at one and a quarter of it; the title takes up to two lines, the caption four.

    Args:
        cells: rows of (S, S, 3) uint8 RGB, all of one size and each row as long; or one (R, C, S, S, 3) array.
        row_labels: a name for each row; empty ones take no room.
        column_labels: a name for each column; likewise.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: no cells, rows of different lengths, cells of different sizes, or another number of names.
    """
    rows, columns, side = _shape(cells, row_labels, column_labels)
    text = max(11, 6 + side // 16)  # size of the labels' font, in pixels
    large, line = round(1.6 * text), round(1.4 * text)
    margin, gap = max(10, side // 8), max(4, side // 16)

    names = [shortened(label, text, 1.25 * side) for label in row_labels]
    widest = max(font(text).getlength(name) for name in names)
    left = margin + (round(widest) + gap if widest else 0)
    width = left + columns * (side + gap) - gap + margin
    heading = wrapped(title or "", large, width - 2 * margin, _MOST_TITLE_LINES)
    head = margin + (len(heading) * round(1.25 * large) + gap if heading else 0)
    top = head + (line + gap // 2 if any(column_labels) else 0)
    foot = wrapped(caption, text, width - 2 * margin, _MOST_CAPTION_LINES)
    bottom = top + rows * (side + gap) - gap
    height = bottom + (gap + len(foot) * line if foot else 0) + margin

    paper = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(paper)
    for number, words in enumerate(heading):
        draw.text((margin, margin + number * round(1.25 * large)), words, INK, font(large), anchor="la")
    across = [left + column * (side + gap) for column in range(columns)]
    down = [top + row * (side + gap) for row in range(rows)]
    for x, label in zip(across, column_labels, strict=True):
        draw.text((x + side / 2, top - gap), shortened(label, text, side), INK, font(text), anchor="ms")
    for y, name, row in zip(down, names, cells, strict=True):
        draw.text((left - gap, y + side / 2), name, INK, font(text), anchor="rm")
        for x, cell in zip(across, row, strict=True):
            paper.paste(Image.fromarray(np.ascontiguousarray(cell)), (x, y))
    for number, words in enumerate(foot):
        draw.text((margin, bottom + gap + number * line), words, SOFT, font(text), anchor="la")
    return np.asarray(paper)


def _shape(
    cells: Sequence[Sequence[np.ndarray]] | np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str]
) -> tuple[int, int, int]:
    if not len(cells) or not len(cells[0]):
        raise ValueError("a sheet needs at least one cell")
    rows, columns = len(cells), len(cells[0])
    if any(len(row) != columns for row in cells):
        raise ValueError(f"rows of {sorted({len(row) for row in cells})} cells; they must be as long as each other")
    if (len(row_labels), len(column_labels)) != (rows, columns):
        raise ValueError(f"{len(row_labels)} and {len(column_labels)} names for {rows} rows and {columns} columns")
    for row in cells:
        for cell in row:
            check_square(cell)
    sides = {len(cell) for row in cells for cell in row}
    if len(sides) != 1:
        raise ValueError(f"cells of {sorted(sides)} pixels; they must be of one size")
    return rows, columns, sides.pop()
