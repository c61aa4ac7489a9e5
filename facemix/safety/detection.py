"""Looking for the invisible mark in any picture: whole, mirrored, among others in a sheet, or cropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Literal

import cv2
import numpy as np

from facemix.safety.watermark import LEAST_SIDE, Watermark, chance, places

How = Literal["whole", "part", "mirrored", "cropped"]

# The probability that a picture without a mark passes, for each of the questions asked of it.
_LIMIT = 2.5e-5
_MOST_SIDE = 2048  # of a picture that is searched; larger ones are reduced
_MOST_SQUARES = 64  # frames of a strip or cells of a sheet
_MOST_CROPPED = 0.07  # share of a side that may be missing at one end
_STEP = 0.01
_FINER = np.arange(-0.005, 0.0051, 0.0025)
_CLOSEST = 5  # of the places looked at for a crop, how many are looked at for a recipe
_PAPER = np.array([247, 244, 239], np.int16)  # of `imaging/lettering.py`, what lies between the cells of a sheet
_PAPER_NEAR = 24  # grey levels


@dataclass(frozen=True)
class Mark:
    """A mark that was found.

    Attributes:
        recipe_hash: the recipe that it belongs to, of those that were known; None where it fits none of them.
        chance: the most that the probability can be of finding as much in a picture without a mark.
        how: where it was found.
    """

    recipe_hash: str | None
    chance: float
    how: How


def find_mark(
    watermark: Watermark, pixels: np.ndarray, known: Sequence[str] = (), codes: np.ndarray | None = None
) -> Mark | None:
    """The mark of this installation, with the recipe if it is among those known.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        known: hashes of recipes; for a hundred thousand their codes take about half a second.
        codes: `Watermark.codes` of these, where they have been computed before.
    """
    larger = max(pixels.shape[:2]) / _MOST_SIDE
    if larger > 1:
        smaller = [max(1, round(side / larger)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    codes = watermark.codes(known) if codes is None else codes
    readings, hows = [], []
    for number, square in enumerate(islice(_squares(pixels), _MOST_SQUARES)):
        for mirrored in (False, True):
            turned = square[:, ::-1] if mirrored else square
            readings.append(watermark.read(np.ascontiguousarray(turned)))
            hows.append("mirrored" if mirrored else "part" if number else "whole")
    return _surest(watermark, readings, hows, codes, known, len(readings)) or _cropped(watermark, pixels, codes, known)


def _surest(
    watermark: Watermark,
    readings: Sequence[np.ndarray],
    hows: Sequence[How],
    codes: np.ndarray,
    known: Sequence[str],
    looks: int,
) -> Mark | None:
    """The surest of what the readings amount to; one that names a recipe before all that name none.

    Args:
        looks: how many readings these were chosen from.
    """
    found = np.stack(readings)
    own = [chance(float(score), looks) for score in watermark.own_score(found)]
    if len(codes):
        scores = watermark.recipe_scores(found, codes)
        reading, recipe = divmod(int(scores.argmax()), len(codes))
        fits = chance(float(scores[reading, recipe]), looks * len(codes))
        if fits <= _LIMIT:
            return Mark(known[recipe], min(own[reading], fits), hows[reading])
    reading = int(np.argmin(own))
    return Mark(None, own[reading], hows[reading]) if own[reading] <= _LIMIT else None


def _cropped(watermark: Watermark, pixels: np.ndarray, codes: np.ndarray, known: Sequence[str]) -> Mark | None:
    """Takes the picture for a part of one that was marked, and tries which."""
    starts, ends, cosines = _windows()
    readings = []
    for mirrored in (False, True):
        turned = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
        scores = watermark.own_score(watermark.read(turned, cosines, cosines))
        for place in np.argsort(scores, axis=None)[::-1][:_CLOSEST]:
            down, across = divmod(int(place), scores.shape[1])
            readings.append(_nearer(watermark, turned, (starts[across], ends[across]), (starts[down], ends[down])))
    looks = 2 * (scores.size + _CLOSEST * len(_FINER) ** 4)
    return _surest(watermark, readings, ["cropped"] * len(readings), codes, known, looks)


def _nearer(
    watermark: Watermark, pixels: np.ndarray, across: tuple[float, float], down: tuple[float, float]
) -> np.ndarray:
    """The reading nearby that bears most of the installation's sign."""
    finer = [np.meshgrid(start + _FINER, end + _FINER, indexing="ij") for start, end in (across, down)]
    columns, rows = (places(starts.ravel(), ends.ravel()) for starts, ends in finer)
    found = watermark.read(pixels, columns, rows)
    return found.reshape(-1, found.shape[-1])[int(watermark.own_score(found).argmax())]


@lru_cache(1)
def _windows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    missing = np.arange(0, _MOST_CROPPED + _STEP / 2, _STEP)
    starts, ends = (one.ravel() for one in np.meshgrid(missing, 1 - missing, indexing="ij"))
    return starts, ends, places(starts, ends)


def _squares(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """The picture, then the frames of a strip, then the cells of a sheet."""
    yield pixels
    height, width = pixels.shape[:2]
    short, long = sorted((height, width))
    count = round(long / short)
    if 1 < count <= _MOST_SQUARES and abs(long / short - count) < 0.02 * count:
        edges = np.rint(np.linspace(0, long, count + 1)).astype(int)
        for start, end in pairwise(edges):
            yield pixels[:, start:end] if width > height else pixels[start:end]
    else:
        yield from _cells(pixels)


def _cells(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Squares on paper. A sheet's letters are joined to nothing and too small."""
    inked = (np.abs(pixels - _PAPER).max(-1) > _PAPER_NEAR).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(inked, connectivity=4)
    for left, top, width, height, area in boxes[1:]:
        square = abs(int(width) - int(height)) <= 2 and min(width, height) >= LEAST_SIDE // 2
        if square and area > 0.6 * width * height and (width, height) != pixels.shape[1::-1]:
            yield pixels[top : top + height, left : left + width]
