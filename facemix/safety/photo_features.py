"""What can be measured on one aligned crop that tells a photograph of a face from something else.

Numbers about texture, edges, grey levels, colour and where light and dark lie. Nothing here needs the model, so it is
measured where the photograph is looked at.
"""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 128  # measured at one size, whatever the model's crop
_BANDS = 3
_GRID = 4  # regions of texture, per side
_LUMA, _CHROMA = 16, 8  # sides of the small pictures
_TINY = 1e-3
_INNER = (slice(24, 116, 2), slice(24, 104, 2))  # the face without hair and background, every second pixel


def features(crop: np.ndarray) -> np.ndarray:
    """(F,) float32, finite; crop: (S, S, 3) uint8 RGB."""
    if crop.shape[0] != SIDE:
        shrinks = crop.shape[0] > SIDE
        crop = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    lab = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2LAB)
    grey = np.ascontiguousarray(lab[..., 0])
    luma, chroma = grey.astype(np.float32), lab[..., 1:].astype(np.float32) - 128
    parts = [*_texture(luma), _edges(grey), _levels(grey), *_colour(luma, chroma), *_layout(luma, chroma)]
    return np.concatenate(parts).astype(np.float32)


def _texture(luma: np.ndarray) -> list[np.ndarray]:
    """Of three bands, in each region: the energy against the whole's contrast, and how much of it is in few edges."""
    contrast = float(luma.std()) + 1.0
    parts, level = [], luma
    for _ in range(_BANDS):
        low = cv2.GaussianBlur(level, (0, 0), 1.0)
        band = np.abs(level - low)
        energy = cv2.resize(band, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        squares = cv2.resize(band * band, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        parts.append(np.log(energy.ravel() / contrast + _TINY))
        parts.append(np.log(np.sqrt(squares.ravel()) / (energy.ravel() + 0.05) + _TINY))
        level = cv2.resize(low, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return parts


def _edges(grey: np.ndarray) -> np.ndarray:
    """How much is flat, how strong the strongest edges are, and how far they all run the same way."""
    x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125)
    y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    strength = cv2.magnitude(x, y)
    ranked = np.sort(strength.ravel())
    fine = np.bincount(cv2.absdiff(grey, cv2.medianBlur(grey, 3)).ravel(), minlength=256)
    shares = np.searchsorted(ranked, (0.25, 0.5, 1, 2, 4, 8, 16, 32)) / ranked.size
    still = np.cumsum(fine)[[0, 1, 3, 7]] / grey.size
    tails = np.log(ranked[[int(share * (ranked.size - 1)) for share in (0.1, 0.5, 0.9, 0.98, 0.998)]] + 0.1)
    # The doubled angle of a gradient is that of its square as a complex number, the fourfold that of its fourth power.
    double = (x * x - y * y, 2 * x * y)
    weight = strength + _TINY
    twice = np.hypot((double[0] / weight).sum(), (double[1] / weight).sum())
    cubed = weight**3
    fourfold = np.hypot(((double[0] ** 2 - double[1] ** 2) / cubed).sum(), (2 * double[0] * double[1] / cubed).sum())
    return np.concatenate([shares, still, tails, np.array([twice, fourfold]) / weight.sum()])


def _levels(grey: np.ndarray) -> np.ndarray:
    """How grey levels are used: few of them in a drawing, the ends of the range in ink on paper."""
    shares = np.bincount(grey.ravel(), minlength=256) / grey.size
    used = shares[shares > 0]
    ranked = np.sort(shares)[::-1]
    entropy = -float((used * np.log(used)).sum())
    return np.array(
        [entropy, ranked[:4].sum(), ranked[:16].sum(), shares[:6].sum(), shares[250:].sum(), len(used) / 256]
    )


def _colour(luma: np.ndarray, chroma: np.ndarray) -> list[np.ndarray]:
    """How colourful the face is, how its colour varies over it, coarse and fine, and how colour goes with light."""
    inner, light = chroma[_INNER].reshape(-1, 2), luma[_INNER].ravel()
    strength = np.hypot(inner[:, 0], inner[:, 1])
    fine = np.abs(chroma - cv2.blur(chroma, (3, 3)))[_INNER]
    spread = inner.std(0)
    columns = np.column_stack([light, inner])
    centred = columns - columns.mean(0)
    covariance = centred.T @ centred / len(centred)
    scale = np.sqrt(np.diag(covariance)) + 1.0
    related = (covariance / scale[:, None] / scale)[np.triu_indices(3, 1)]
    figures = [luma.mean() / 255, luma.std() / 64, *(spread / 16), strength.mean() / 32]
    figures += [float(np.log(fine.mean() + 0.05)), float(strength.max()) / 64]
    return [np.array(figures), related]


def _layout(luma: np.ndarray, chroma: np.ndarray) -> list[np.ndarray]:
    """Where it is light and dark, free of brightness and contrast; where the colour differs from the face's own; and
    how far the left half is from the mirror of the right."""
    small = cv2.resize(luma, (_LUMA, _LUMA), interpolation=cv2.INTER_AREA)
    small = (small - small.mean()) / (small.std() + 4.0)
    tint = cv2.resize(chroma, (_CHROMA, _CHROMA), interpolation=cv2.INTER_AREA)
    tint = tint - np.median(tint[2:6, 2:6].reshape(-1, 2), 0)
    rows = np.abs(small - small[:, ::-1]).reshape(4, -1).mean(1)
    return [small.ravel(), np.hypot(tint[..., 0], tint[..., 1]).ravel() / 16, rows]
