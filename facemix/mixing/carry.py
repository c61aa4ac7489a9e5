"""Detail of the photographs, carried into the mix.

The VAE says what the mixed face looks like; the photographs say what its detail looks like. Each parent's photograph is
brought to the shape of the mix (`facemix.mixing.warp`). Then, by spatial frequency, at the model's own side C:

- *base*, what is wider than C / 32: the VAE's, plus what it had lost of each parent, by weight;
- *middle*: of the warped photographs, where they agree with the VAE's picture; nearly an average of them, since their
  features lie over one another;
- *fine*, what the VAE's raster does not hold: one parent at each place, since an average of two skins is neither.

Bands are joined in Laplacian pyramids (P. Burt, E. Adelson, "A Multiresolution Spline With Application to Image
Mosaics", 1983). A parent that is alone gives its photograph back, to the last bit, at a detail of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import cv2
import numpy as np

from facemix.imaging.enlarge import enlarge
from facemix.mixing.recipe import Region, Trait
from facemix.mixing.regions import REGIONS, masks
from facemix.mixing.traits import Kept, kept_weights, trait_masks
from facemix.mixing.warp import FIELD, dense, take, ways

_BASE = 4  # the base's side is the model's over this
# How decidedly one parent is taken at a place: by its weight, by how well it agrees with the VAE there, by how much
# detail it has (a blurred photograph has none to give), and by a pattern that gives each parent places of its own.
_BY_WEIGHT, _BY_AGREEMENT, _BY_STRENGTH, _BY_PATTERN = 3.0, 4.0, 0.7, 2.4
_AGREES = (0.1, 0.5)  # correlations between which confidence rises from 0 to 1
_ALONE = (0.8, 1.0)  # weights between which confidence rises to 1, whatever agrees
_CHANGED = 16.0  # grey levels by which an edit changes the picture, from which a photograph's detail fits it no more
_MOST_GAIN = 1.6  # what averaging cost of a band's strength is given back up to this factor
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Carry:
    """What is known of a mix's parents, once for all mixes of them. Not changed by use; safe for several threads."""

    def __init__(
        self,
        cuts: Sequence[np.ndarray | None],
        reconstructions: np.ndarray,
        shapes: np.ndarray,
        *,
        side: int | None = None,
        keep: Mapping[Trait, Kept] | None = None,
        glasses: Sequence[bool] | None = None,
    ) -> None:
        """
        Args:
            cuts: each parent's photograph, aligned as its crop is, (S, S, 3) uint8 RGB; None for one that has none.
            reconstructions: (N, C, C, 3) uint8, what the model decodes from each parent's latent.
            shapes: (N, 2, G, G) float32, see `facemix.vae.geometry`.
            side: S, at least C; None for that of the cuts, or C where there are none.
            keep: whose hair, glasses and background; see `facemix.mixing.recipe.Edits`.
            glasses: who wears any; None for nobody.

        Raises:
            ValueError: the numbers or shapes do not belong together.
        """
        crop = reconstructions.shape[1]
        sides = {len(cut) for cut in cuts if cut is not None}
        self.side = side or (sides.pop() if len(sides) == 1 else crop)
        if not len(cuts) == len(reconstructions) == len(shapes) or sides - {self.side} or self.side < crop:
            raise ValueError(
                f"{len(cuts)} cuts of sides {sorted(sides)} and {len(shapes)} shapes do not belong to "
                f"{len(reconstructions)} reconstructions of {crop} pixels at a side of {self.side}"
            )
        self.crop = crop
        self._keep = dict(keep or {})
        self._glasses = tuple(glasses or [False] * len(cuts))
        self._has_photo = np.array([cut is not None for cut in cuts])
        self._displacements = dense(shapes)
        self._whole = [
            np.ascontiguousarray(enlarge(rec, self.side) if cut is None else cut)
            for cut, rec in zip(cuts, reconstructions, strict=True)
        ]
        self._small = [_reduced(one, crop) for one in self._whole]
        self._lost = [
            _base(small) - _base(rec.astype(np.float32))
            for small, rec in zip(self._small, reconstructions, strict=True)
        ]
        self._luma = [_structure(one) for one in self._small]
        self._strength = [
            _strength(one.astype(np.float32) - _enlarged(small, self.side))
            for one, small in zip(self._whole, self._small, strict=True)
        ]

    def weights(self, weights: Sequence[float], regions: Mapping[Region, Sequence[float]] | None = None) -> np.ndarray:
        """The share of each parent at each place: (N, FIELD, FIELD) float32, sums of 1."""
        shares = np.asarray(weights, np.float32)[:, None, None] * np.ones((1, FIELD, FIELD), np.float32)
        covers = masks(FIELD)
        for name, own in (regions or {}).items():
            cover = covers[REGIONS.index(name)]
            shares += cover * (np.asarray(own, np.float32) - np.asarray(weights, np.float32))[:, None, None]
        for trait in ("hair", "background"):
            shares = kept_weights(shares, trait_masks(FIELD)[trait], self._keep.get(trait, "mixed"))
        return shares

    def ways(self, shares: np.ndarray, moved: np.ndarray | None = None) -> np.ndarray:
        """See `facemix.mixing.warp.ways`. shares: see `weights`. moved: (2, G, G), a difference of shapes."""
        return ways(self._displacements, shares, None if moved is None else dense(moved[None])[0])

    def frame(
        self,
        mixed: np.ndarray,
        weights: Sequence[float],
        *,
        detail: float = 1.0,
        regions: Mapping[Region, Sequence[float]] | None = None,
        change: np.ndarray | None = None,
        moved: np.ndarray | None = None,
    ) -> np.ndarray:
        """One mix with detail.

        Args:
            mixed: (C, C, 3) uint8, what the model decodes from the mixed latent.
            weights: (N,), non-negative, sum 1.
            detail: from 0, `mixed` enlarged, to 1.
            regions: weights of the parents in regions, where they differ.
            change: by how many grey levels edits along attributes, or a variation, change each pixel of the decode,
                (C, C) float32; detail is carried only where they change little. None where there are none.
            moved: by how much they change its shape, (2, G, G); None for not at all.

        Returns:
            (S, S, 3) uint8.
        """
        if detail == 0:
            return enlarge(mixed, self.side)
        shares = self.weights(weights, regions)
        way = self.ways(shares, moved)
        small = [take(one, each) for one, each in zip(self._small, way, strict=True)]
        soft, decided, confidence = self._choice(mixed, shares, way, change)
        trusted = detail * confidence
        middle = self._middle(mixed.astype(np.float32), small, soft, decided, shares, way, trusted, detail)
        if self.side == self.crop:
            return _pixels(middle)
        fine = self._fine(way, decided)
        fine *= cv2.resize(trusted * self._covered(shares), (self.side, self.side), interpolation=cv2.INTER_LINEAR)[
            ..., None
        ]
        fine += _enlarged(middle, self.side)
        return _pixels(fine)

    def confidence(
        self,
        mixed: np.ndarray,
        weights: Sequence[float],
        *,
        regions: Mapping[Region, Sequence[float]] | None = None,
        change: np.ndarray | None = None,
        moved: np.ndarray | None = None,
    ) -> np.ndarray:
        """How far the photographs are trusted at each place of a mix, (FIELD, FIELD) float32 in [0, 1]; elsewhere the
        VAE's picture stays. Arguments as for `frame`."""
        shares = self.weights(weights, regions)
        return self._choice(mixed, shares, self.ways(shares, moved), change)[2]

    # --- which parent, and how far it is trusted -----------------------------------------------------------

    def _choice(
        self, mixed: np.ndarray, shares: np.ndarray, way: np.ndarray, change: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shares of the parents in the middle bands and in the finest, (N, FIELD, FIELD) each, and the confidence."""
        here = _structure(mixed.astype(np.float32))
        agreement = np.stack([_correlation(take(luma, each), here) for luma, each in zip(self._luma, way, strict=True)])
        with np.errstate(divide="ignore"):
            by_weight = np.log(shares)
        # As much on one side of a face as on the other, so that eyes stay a pair.
        liking = _BY_AGREEMENT * (agreement + agreement[..., ::-1]) / 2 + _BY_STRENGTH * self._strengths()
        soft = _softmax(by_weight + liking)
        fine = _BY_WEIGHT * by_weight + liking + _BY_PATTERN * _patterns(len(shares))
        # Who has no photograph has no fine detail to give, as long as another has.
        silent = ~self._has_photo[:, None, None] & (shares[self._has_photo].sum(0) > 0)
        decided = _softmax(np.where(silent, -np.inf, fine))
        alone = _rise(shares.max(0), *_ALONE)
        agreed = _rise((soft * agreement).sum(0), *_AGREES)
        confidence = alone + (1 - alone) * agreed
        confidence = self._with_traits(shares, soft, decided, confidence)
        if change is not None:
            levels = cv2.GaussianBlur(_reduced(change, FIELD), (0, 0), 1.5)
            confidence = confidence * np.exp(-np.square(levels / _CHANGED))
        return soft, decided, confidence.astype(np.float32)

    def _with_traits(
        self, shares: np.ndarray, soft: np.ndarray, decided: np.ndarray, confidence: np.ndarray
    ) -> np.ndarray:
        """Lets one parent alone have what is kept whole, in place; returns the confidence."""
        found = trait_masks(FIELD)
        for trait in ("hair", "background"):
            kept = self._keep.get(trait, "mixed")
            if kept != "mixed":
                soft[:] = kept_weights(soft, found[trait], kept)
                decided[:] = kept_weights(decided, found[trait], kept)
                confidence = confidence + found[trait] * (1 - confidence)
        wearing = self._glasses_shares(shares.mean((1, 2)))
        if wearing is not None:
            cover = found["glasses"]
            soft[:] = soft + cover * (wearing[:, None, None] - soft)
            decided[:] = decided + cover * (wearing[:, None, None] - decided)
            confidence = confidence + cover * (1 - confidence)
        return confidence

    def _glasses_shares(self, weights: np.ndarray) -> np.ndarray | None:
        """Of the parents in the bands that show glasses, (N,); None where nothing has to be decided."""
        kept = self._keep.get("glasses")
        if kept == "mixed":
            return None
        if kept is not None:
            return np.eye(len(weights), dtype=np.float32)[kept]
        worn = np.array(self._glasses)
        if not worn[weights > 0].any():
            return None
        # Those who wear them decide from about a third on; the change is quick, so that hardly a mix wears half a pair.
        on = float(_rise(weights[worn].sum(), 0.3, 0.45))
        with_glasses, without = (np.where(chosen, weights, 0) ** 8 for chosen in (worn, ~worn))
        parts = [(on, with_glasses), (1 - on, without)]
        return np.sum([share * part / part.sum() for share, part in parts if share > 0], axis=0).astype(np.float32)

    def _strengths(self) -> np.ndarray:
        """How much detail each parent has, as logarithms, (N, 1, 1)."""
        return np.array([[[np.log(2.0 + strength.mean())]] for strength in self._strength], np.float32)

    def _covered(self, shares: np.ndarray) -> np.ndarray:
        """How much fine detail a mix has whose parents have not all a photograph."""
        return np.minimum(1, 2 * shares[self._has_photo].sum(0))

    # --- the bands -----------------------------------------------------------------------------------------

    def _middle(
        self,
        mixed: np.ndarray,
        small: Sequence[np.ndarray],
        soft: np.ndarray,
        decided: np.ndarray,
        shares: np.ndarray,
        way: np.ndarray,
        trusted: np.ndarray,
        detail: float,
    ) -> np.ndarray:
        """Base and middle bands together, (C, C, 3) float32."""
        ours, theirs = _bands(mixed), [_bands(one) for one in small]
        bands = []
        for level, (vae, photos) in enumerate(
            zip(ours[:-1], zip(*[one[:-1] for one in theirs], strict=True), strict=True)
        ):
            # The finer of the two bands is halfway to the finest.
            chosen = soft if level else (soft + decided) / 2
            trust = _at_side(trusted, len(vae))
            band = _joined(photos, chosen)
            bands.append(vae + trust * (band - vae))
        base = ours[-1]
        for lost, share, each in zip(self._lost, shares, way, strict=True):
            base = base + detail * _at_side(share, len(base)) * take(lost, each)
        for trait in ("hair", "background"):
            kept = self._keep.get(trait, "mixed")
            if kept != "mixed":
                cover = detail * _at_side(trait_masks(FIELD)[trait], len(base))
                base = base + cover * (theirs[kept][-1] - base)
        for band in reversed(bands):
            base = band + cv2.pyrUp(base, dstsize=(band.shape[1], band.shape[0]))
        return base

    def _fine(self, way: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """What the model's raster does not hold, (S, S, 3) float32: of one parent at each place."""
        joined: np.ndarray | None = None
        wanted = np.zeros((FIELD, FIELD), np.float32)
        for whole, strength, each, share in zip(self._whole, self._strength, way, decided, strict=True):
            if not share.any():
                continue
            part = take(whole, each).astype(np.float32)
            part *= _at_side(share, self.side)
            joined = part if joined is None else cv2.add(joined, part, dst=joined)
            wanted += share * take(strength, each)
        assert joined is not None  # shares sum to 1
        joined -= _enlarged(_reduced(joined, self.crop), self.side)
        gain = np.clip((wanted + 0.05) / (_strength(joined) + 0.05), 1, _MOST_GAIN)
        if gain.max() > 1 + 1e-3:
            joined *= _at_side(gain, self.side)
        return joined


def _joined(photos: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """One band of several, as strong as their mean is: an average of what differs is weaker than each."""
    side = len(photos[0])
    band = np.zeros_like(photos[0])
    wanted = np.zeros((FIELD, FIELD), np.float32)
    for photo, share in zip(photos, shares, strict=True):
        band += _at_side(share, side) * photo
        wanted += share * _strength(photo)
    gain = np.clip((wanted + 0.05) / (_strength(band) + 0.05), 1, _MOST_GAIN)
    return band * _at_side(gain, side)


def _bands(picture: np.ndarray) -> list[np.ndarray]:
    """The Laplacian pyramid from the model's side to the base."""
    found = []
    for _ in range(_BASE.bit_length() - 1):
        lower = cv2.pyrDown(picture)
        found.append(picture - cv2.pyrUp(lower, dstsize=(picture.shape[1], picture.shape[0])))
        picture = lower
    return [*found, picture]


def _base(picture: np.ndarray) -> np.ndarray:
    for _ in range(_BASE.bit_length() - 1):
        picture = cv2.pyrDown(picture)
    return picture


def _structure(picture: np.ndarray) -> np.ndarray:
    """The brightness of a picture at FIELD, without what is wider than features, (FIELD, FIELD) float32."""
    luma = _reduced(picture @ _LUMA, FIELD)
    return luma - cv2.GaussianBlur(luma, (0, 0), 5)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of two structures about each place, -1 to 1."""
    together, first, second = (cv2.GaussianBlur(one, (0, 0), 3) for one in (a * b, a * a, b * b))
    return together / np.sqrt((first + 9) * (second + 9))  # where both are nearly flat nothing agrees


def _strength(band: np.ndarray) -> np.ndarray:
    """The root mean square of a band about each place, (FIELD, FIELD) float32."""
    energy = _reduced(cv2.multiply(band, band), FIELD).mean(-1)
    return np.sqrt(np.maximum(cv2.GaussianBlur(energy, (0, 0), 2), 0))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(0))
    return (powers / powers.sum(0)).astype(np.float32)


def _rise(value: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _at_side(values: np.ndarray, side: int) -> np.ndarray:
    """Values on the grid at a picture's pixels, (side, side, 1)."""
    if side == FIELD:
        return values[..., None]
    return cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)[..., None]


def _reduced(picture: np.ndarray, side: int) -> np.ndarray:
    picture = picture.astype(np.float32, copy=False)
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)


def _pixels(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


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
