"""Whose photograph a mix takes its detail from at each place, and how far it is trusted there.

A parent's photograph, brought to the shape of the mix, is taken where it agrees with what the VAE draws there: where
their structures correlate. It is trusted where they are also about equally strong. Where a mouth is open that is shut,
hair over a brow, they are not, and the VAE's picture stays. Where a parent is nearly alone there is nothing to disagree
about.

Of heads that are turned differently one shows its cheek where the other shows what lies behind it
(`facemix.mixing.turning`): there the head is taken, and what the VAE lost of the background does not come back. Beside
all of them background is one parent's, as around the face.

Over the whole face each parent gets places in proportion to its weight, so that nobody prevails by a photograph of more
contrast; only a photograph that hardly fits the mix anywhere gets fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from facemix.imaging.bands import reduced
from facemix.imaging.smooth import rise
from facemix.mixing.recipe import Kept, Region, Trait
from facemix.mixing.regions import REGIONS, masks
from facemix.mixing.traits import AROUND, glasses_shares, kept_shares, trait_masks
from facemix.mixing.warp import FIELD, take

# How decidedly one parent is taken at a place: by its weight, by how well it agrees with the VAE there, and by a
# pattern that gives each parent places of its own.
_BY_WEIGHT, _BY_AGREEMENT, _BY_PATTERN = 3.0, 4.0, 2.4
_BY_STRENGTH = 0.7  # power of a photograph's fine detail by which it gets places: a blurred one has little to give
_FITS = (0.0, 0.3)  # between which confidence rises from 0 to 1
_ALONE = (0.8, 1.0)  # weights between which it rises to 1, whatever agrees
_CHANGED = 16.0  # grey levels by which an edit changes the picture, from which detail fits it no more
_SURROUND = 5.0  # cells of the field: what is wider is no structure
# Where structures are compared, in cells of the field, and the variance that says nothing: to choose, and to trust.
_CHOSEN_NEAR, _CHOSEN_NOISE = 3.0, 9.0
_TRUSTED_NEAR, _TRUSTED_NOISE = 2.0, 60.0
# Mean agreements over the face between which a photograph gets from a tenth of its places to all of them: below, it
# shows a head that is turned another way.
_SUITS, _LEAST_PLACES = (0.3, 0.5), 0.1
# How decidedly hair and background are one parent's where nobody says whose: by its weight, and by how well they agree
# with what the VAE draws there.
_AROUND_BY_WEIGHT, _AROUND_BY_AGREEMENT = 8.0, 20.0
# How decidedly what lies behind a head is not taken where others have theirs: between two who are even never, and it
# comes back as these lose weight.
_BY_BEHIND = 12.0
_BESIDE = (0.5, 0.0)  # weight of those who have a head there, between which background becomes one parent's
_ROUNDS = 6  # in which the places are shared out
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Choice:
    """At each of FIELD x FIELD places.

    Attributes:
        soft: shares of the parents in the middle bands, (N, FIELD, FIELD) float32, sums of 1.
        decided: the same in the finest band, where one of them has nearly all.
        confidence: (FIELD, FIELD) float32 in [0, 1].
        around: (N,) float32, sum 1: of the parents in the hair and background, where nobody says whose it has.
        behind: how far each parent shows there what lies behind its head, where others of weight show theirs:
            (N, FIELD, FIELD) float32 in [0, 1].
    """

    soft: np.ndarray
    decided: np.ndarray
    confidence: np.ndarray
    around: np.ndarray
    behind: np.ndarray


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
    ranks: np.ndarray,
    heads: np.ndarray,
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
        ranks: (N,) int, each parent's among them by anything but their order, so that this makes no difference.
        heads: where each parent's photograph shows its head, see `facemix.mixing.turning.heads`.
        keep: whose hair, glasses and background.
        change: by how many grey levels edits change the VAE's picture, (C, C); None for not at all.
    """
    here = structure(mixed)
    agreement, fit, head = (np.zeros_like(shares) for _ in range(3))  # of no account where a parent has no share
    for index in np.flatnonzero(shares.any((1, 2))):
        there = take(structures[index], way[index])
        agreement[index], fit[index] = _correlation(there, here), _fit(there, here)
        head[index] = take(heads[index], way[index])
    headed = (shares * head).sum(0)
    behind = np.maximum(headed - head, 0) * (shares > 0)
    with np.errstate(divide="ignore"):
        by_weight = np.log(shares)
    # As much on one side of a face as on the other, so that eyes stay a pair.
    liked = _BY_AGREEMENT * (agreement + agreement[..., ::-1]) / 2 - _BY_BEHIND * behind
    face = _face()
    places = _LEAST_PLACES + (1 - _LEAST_PLACES) * rise((agreement * face).sum((1, 2)), *_SUITS)
    # A photograph of more contrast is seen more in as many places.
    seen = np.array([np.sqrt((np.square(one) * face).sum()) for one in structures]) + 1
    soft = _shared_out(by_weight + liked, shares, places / seen)
    fine = _BY_WEIGHT * by_weight + liked + _BY_PATTERN * _patterns(len(shares))[ranks]
    silent = ~photographed[:, None, None] & (shares[photographed].sum(0) > 0)
    given = np.where(silent, 0, shares)
    sharp = np.power(2 + strengths, _BY_STRENGTH)
    decided = _shared_out(np.where(silent, -np.inf, fine), given / given.sum(0), places / seen * sharp)
    alone = rise(shares.max(0), *_ALONE)
    confidence = alone + (1 - alone) * rise((soft * fit).sum(0), *_FITS)
    around = _around(shares, agreement)
    for trait in AROUND:
        if trait not in keep:
            cover = trait_masks(FIELD)[trait]
            soft, decided = (one + cover * (around[:, None, None] - one) for one in (soft, decided))
            confidence = confidence + cover * (1 - confidence)
    if "background" not in keep:
        beside = _within() * rise(headed, *_BESIDE)
        soft, decided = (one + beside * (around[:, None, None] - one) for one in (soft, decided))
    covers = [trait_masks(FIELD)[trait] for trait in AROUND if keep.get(trait, "mixed") != "mixed"]
    soft, decided = (kept_shares(one, keep, FIELD) for one in (soft, decided))
    # By whose eyes they are, wherever hair or background come from.
    eyes = masks(FIELD)[REGIONS.index("eyes")]
    wearing = glasses_shares((shares * eyes).sum((1, 2)) / eyes.sum(), glasses, keep.get("glasses"))
    if wearing is not None:
        cover = trait_masks(FIELD)["glasses"]
        soft, decided = (one + cover * (wearing[:, None, None] - one) for one in (soft, decided))
        covers.append(cover)
    for cover in covers:
        confidence = confidence + cover * (1 - confidence)
    if change is not None:
        levels = cv2.GaussianBlur(reduced(change, FIELD), (0, 0), 1.5)
        confidence = confidence * np.exp(-np.square(levels / _CHANGED))
    found = (one.astype(np.float32) for one in (soft, decided, confidence, around, behind))
    return Choice(*found)


def structure(picture: np.ndarray) -> np.ndarray:
    """The brightness of a picture, (S, S, 3) float32, without what is wider than features: (FIELD, FIELD) float32."""
    luma = reduced(picture @ _LUMA, FIELD)
    return luma - cv2.GaussianBlur(luma, (0, 0), _SURROUND)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of two structures about each place, -1 to 1; 0 where both are nearly flat."""
    together, first, second = _moments(a, b, _CHOSEN_NEAR)
    return together / np.sqrt((first + _CHOSEN_NOISE) * (second + _CHOSEN_NOISE))


def _fit(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How much two structures are the same about each place, -1 to 1: also in strength, and 1 where both are flat. The
    structural term of SSIM (Wang, Bovik, Sheikh and Simoncelli 2004) with that of contrast in it."""
    together, first, second = _moments(a, b, _TRUSTED_NEAR)
    return (2 * together + _TRUSTED_NOISE) / (first + second + _TRUSTED_NOISE)


def _moments(a: np.ndarray, b: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    together, first, second = (cv2.GaussianBlur(one, (0, 0), near) for one in (a * b, a * a, b * b))
    return together, first, second


def _around(shares: np.ndarray, agreement: np.ndarray) -> np.ndarray:
    """See `Choice.around`."""
    cover = sum(trait_masks(FIELD)[trait] for trait in AROUND)
    weights, agreed = ((one * cover).sum((1, 2)) / cover.sum() for one in (shares, agreement))
    with np.errstate(divide="ignore"):
        return _softmax(_AROUND_BY_WEIGHT * np.log(weights) + _AROUND_BY_AGREEMENT * agreed)


def _shared_out(scores: np.ndarray, shares: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Shares by their scores, but over the face as much of each parent as it has a share in, times its places.

    Iterative scaling (W. Deming, F. Stephan, "On a Least Squares Adjustment of a Sampled Frequency Table", 1940).
    """
    face = _face()
    wanted = places * (shares * face).sum((1, 2))
    wanted = wanted / wanted.sum()
    found = _softmax(scores)
    for _ in range(_ROUNDS):
        got = (found * face).sum((1, 2))
        # Who has next to nothing of the face, and all of some region beside it, is left as it is.
        scale = np.where((wanted > 1e-6) & (got > 1e-6), wanted / np.maximum(got, 1e-6), 1)
        found = found * scale[:, None, None]
        found = found / found.sum(0)
    return found


@lru_cache(maxsize=1)
def _face() -> np.ndarray:
    """How much of the face each place is, (FIELD, FIELD) float32, sum 1."""
    return _within() / _within().sum()


@lru_cache(maxsize=1)
def _within() -> np.ndarray:
    """How much of each place is face, (FIELD, FIELD) float32 in [0, 1]."""
    return sum(masks(FIELD)[REGIONS.index(name)] for name in ("eyes", "nose", "mouth", "skin"))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(0))
    return (powers / powers.sum(0)).astype(np.float32)


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
