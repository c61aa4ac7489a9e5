"""Whose photograph a mix takes its detail from at each place, and how far it is trusted there.

A parent's photograph, brought to the shape of the mix, is trusted where it agrees with what the VAE draws there: their
structures correlate. Where a head is turned another way, a mouth open that is shut, hair over a brow, they do not, and
the VAE's picture stays. Where a parent is nearly alone there is nothing to disagree about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from facemix.imaging.bands import reduced
from facemix.mixing.recipe import Kept, Region, Trait
from facemix.mixing.regions import REGIONS, masks
from facemix.mixing.traits import AROUND, glasses_shares, kept_shares, trait_masks
from facemix.mixing.warp import FIELD, take

# How decidedly one parent is taken at a place: by its weight, by how well it agrees with the VAE there, by how much
# detail it has (a blurred photograph has none to give), and by a pattern that gives each parent places of its own.
_BY_WEIGHT, _BY_AGREEMENT, _BY_STRENGTH, _BY_PATTERN = 3.0, 4.0, 0.7, 2.4
_AGREES = (0.1, 0.5)  # correlations between which confidence rises from 0 to 1
_ALONE = (0.8, 1.0)  # weights between which it rises to 1, whatever agrees
_CHANGED = 16.0  # grey levels by which an edit changes the picture, from which detail fits it no more
_SURROUND, _NEAR, _NOISE = 5.0, 3.0, 9.0  # of structures, in cells of the field, and the variance that says nothing
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Choice:
    """At each of FIELD x FIELD places.

    Attributes:
        soft: shares of the parents in the middle bands, (N, FIELD, FIELD) float32, sums of 1.
        decided: the same in the finest band, where one of them has nearly all.
        confidence: (FIELD, FIELD) float32 in [0, 1].
    """

    soft: np.ndarray
    decided: np.ndarray
    confidence: np.ndarray


def shares_of(
    weights: Sequence[float],
    regions: Mapping[Region, Sequence[float]] | None = None,
    keep: Mapping[Trait, Kept] | None = None,
) -> np.ndarray:
    """The share of each parent in the shape and the base of a mix at each place: (N, FIELD, FIELD) float32, sums of 1.

    Args:
        weights: (N,), non-negative, sum 1; `regions`: the same in regions of the face, where they differ.
        keep: whose hair and background it has.
    """
    whole = np.asarray(weights, np.float32)
    shares = np.repeat(np.repeat(whole[:, None, None], FIELD, 1), FIELD, 2)
    for name, own in (regions or {}).items():
        shares += masks(FIELD)[REGIONS.index(name)] * (np.asarray(own, np.float32) - whole)[:, None, None]
    return kept_shares(np.maximum(shares, 0), keep or {}, FIELD)


def choose(
    mixed: np.ndarray,
    structures: Sequence[np.ndarray],
    way: np.ndarray,
    shares: np.ndarray,
    strengths: np.ndarray,
    *,
    photographed: np.ndarray,
    glasses: np.ndarray,
    keep: Mapping[Trait, Kept],
    change: np.ndarray | None = None,
) -> Choice:
    """See `Choice`.

    Args:
        mixed: (C, C, 3) float32, the VAE's picture of the mix.
        structures: of the parents' photographs, see `structure`.
        way: to the parents, see `facemix.mixing.warp.ways`.
        shares: see `shares_of`.
        strengths: (N,), root mean square of each parent's finest band, in grey levels.
        photographed: (N,) bool; those without a photograph have no finest band to give.
        glasses: (N,) bool, who wears any.
        keep: whose hair, glasses and background.
        change: by how many grey levels edits change the VAE's picture, (C, C); None for not at all.
    """
    here = structure(mixed)
    agreement = np.stack([_correlation(take(one, each), here) for one, each in zip(structures, way, strict=True)])
    with np.errstate(divide="ignore"):
        by_weight = np.log(shares)
    # As much on one side of a face as on the other, so that eyes stay a pair.
    liked = _BY_AGREEMENT * (agreement + agreement[..., ::-1]) / 2
    liked = liked + _BY_STRENGTH * np.log(2 + strengths)[:, None, None]
    soft = _softmax(by_weight + liked)
    fine = _BY_WEIGHT * by_weight + liked + _BY_PATTERN * _patterns(len(shares))
    silent = ~photographed[:, None, None] & (shares[photographed].sum(0) > 0)
    decided = _softmax(np.where(silent, -np.inf, fine))
    alone = _rise(shares.max(0), *_ALONE)
    confidence = alone + (1 - alone) * _rise((soft * agreement).sum(0), *_AGREES)
    covers = [trait_masks(FIELD)[trait] for trait in AROUND if keep.get(trait, "mixed") != "mixed"]
    soft, decided = (kept_shares(one, keep, FIELD) for one in (soft, decided))
    wearing = glasses_shares(shares.mean((1, 2)), glasses, keep.get("glasses"))
    if wearing is not None:
        cover = trait_masks(FIELD)["glasses"]
        soft, decided = (one + cover * (wearing[:, None, None] - one) for one in (soft, decided))
        covers.append(cover)
    for cover in covers:
        confidence = confidence + cover * (1 - confidence)
    if change is not None:
        levels = cv2.GaussianBlur(reduced(change, FIELD), (0, 0), 1.5)
        confidence = confidence * np.exp(-np.square(levels / _CHANGED))
    return Choice(soft, decided, confidence.astype(np.float32))


def structure(picture: np.ndarray) -> np.ndarray:
    """The brightness of a picture, (S, S, 3) float32, without what is wider than features: (FIELD, FIELD) float32."""
    luma = reduced(picture @ _LUMA, FIELD)
    return luma - cv2.GaussianBlur(luma, (0, 0), _SURROUND)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of two structures about each place, -1 to 1; 0 where both are nearly flat."""
    together, first, second = (cv2.GaussianBlur(one, (0, 0), _NEAR) for one in (a * b, a * a, b * b))
    return together / np.sqrt((first + _NOISE) * (second + _NOISE))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(0))
    return (powers / powers.sum(0)).astype(np.float32)


def _rise(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """From 0 at `low` to 1 at `high`, smoothly."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=8)
def _patterns(count: int) -> np.ndarray:
    """Smooth, from -1 to 1, for each parent, alike on both sides of a face, so that eyes stay a pair; of two parents
    one has what the other has not. (count, FIELD, FIELD) float32, read-only."""
    rng = np.random.default_rng(1)
    cells = rng.standard_normal((max(count - 1, 1), 6, 6)).astype(np.float32)
    found = [cv2.resize(one + one[:, ::-1], (FIELD, FIELD), interpolation=cv2.INTER_CUBIC) for one in cells]
    found = [np.tanh(1.5 * one / one.std()) for one in found]
    patterns = np.stack([found[0], -found[0], *found[1:]][:count])
    patterns.flags.writeable = False
    return patterns
