"""Detail of the photographs, carried into the mix.

The VAE says what the mixed face looks like; the photographs say what its detail looks like. Each parent's photograph is
brought to the shape of the mix (`facemix.mixing.warp`). Then, by spatial frequency, at the model's own side C:

- *base*, what is wider than C / 32: the VAE's, plus what it had lost of each parent, by weight;
- *middle*: of the warped photographs, where they agree with the VAE's picture (`facemix.mixing.choice`); nearly an
  average of them, since their features lie over one another;
- *fine*, what the VAE's raster does not hold: one parent at each place, since an average of two skins is neither.

Bands are joined as in P. Burt, E. Adelson, "A Multiresolution Spline With Application to Image Mosaics" (1983). A
parent that is alone gives its photograph back, to the last bit, at a detail of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from facemix.imaging.bands import bands, joined, lowest, reduced, spread, strength
from facemix.imaging.enlarge import resized
from facemix.mixing.choice import Choice, choose, shares_of, structure
from facemix.mixing.recipe import Kept, Region, Trait
from facemix.mixing.traits import AROUND, trait_masks
from facemix.mixing.warp import FIELD, dense, take, ways

_BANDS = 2  # between the base and the model's side
_MOST_GAIN = 1.6  # what averaging cost of a band's strength is given back up to this factor


class Carry:
    """What is known of a mix's parents, once for all mixes of them. Not changed by use; safe for several threads.

    Attributes:
        side: of the results, S; crop: of the model's pictures, C. Pixels.
    """

    def __init__(
        self,
        cuts: Sequence[np.ndarray | None],
        reconstructions: np.ndarray,
        shapes: np.ndarray,
        *,
        side: int | None = None,
        glasses: Sequence[bool] | None = None,
    ) -> None:
        """
        Args:
            cuts: each parent's photograph, aligned as its crop is, (S, S, 3) uint8 RGB; None for one that has none.
            reconstructions: (N, C, C, 3) uint8, what the model decodes from each parent's latent.
            shapes: (N, 2, G, G) float32, see `facemix.vae.geometry`.
            side: S, at least C; None for that of the cuts, or C where there are none.
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
        self._photographed = np.array([cut is not None for cut in cuts])
        self._glasses = np.zeros(len(cuts), bool) if glasses is None else np.asarray(glasses, bool)
        self._displacements = dense(shapes)
        self._whole = [
            np.ascontiguousarray(resized(own, self.side) if cut is None else cut)
            for cut, own in zip(cuts, reconstructions, strict=True)
        ]
        self._small = [reduced(one, crop) for one in self._whole]
        self._lost = [
            lowest(small, _BANDS) - lowest(own.astype(np.float32), _BANDS)
            for small, own in zip(self._small, reconstructions, strict=True)
        ]
        self._structures = [structure(one) for one in self._small]
        self._strength = [
            strength(one - self._enlarged(small), FIELD) for one, small in zip(self._whole, self._small, strict=True)
        ]

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        return sum(one.nbytes for one in (*self._whole, *self._small, *self._lost, *self._strength)) + 65536

    def frame(
        self,
        mixed: np.ndarray,
        weights: Sequence[float],
        *,
        detail: float = 1.0,
        regions: Mapping[Region, Sequence[float]] | None = None,
        keep: Mapping[Trait, Kept] | None = None,
        change: np.ndarray | None = None,
        moved: np.ndarray | None = None,
    ) -> np.ndarray:
        """One mix with detail.

        Args:
            mixed: (C, C, 3) uint8, what the model decodes from the mixed latent.
            weights: (N,), non-negative, sum 1.
            detail: from 0, `mixed` enlarged, to 1.
            regions: weights of the parents in regions, where they differ.
            keep: whose hair, glasses and background it has; see `facemix.mixing.recipe.Edits`.
            change: by how many grey levels edits along attributes, or a variation, change each pixel of the decode,
                (C, C) float32; detail is carried only where they change little. None where there are none.
            moved: by how much they change its shape, (2, G, G); None for not at all.

        Returns:
            (S, S, 3) uint8.
        """
        if detail == 0:
            return resized(mixed, self.side)
        keep = keep or {}
        shares = shares_of(weights, regions, keep)
        way = self._ways(shares, moved)
        picture = mixed.astype(np.float32)
        chosen = self._choice(picture, way, shares, keep, change)
        trusted = detail * chosen.confidence
        result = self._coarse(picture, way, shares, chosen, trusted, detail, keep)
        if self.side > self.crop:
            covered = np.minimum(1, 2 * shares[self._photographed].sum(0))  # not all need have a photograph
            fine = self._fine(way, chosen.decided)
            fine *= spread(trusted * covered, self.side)
            fine += self._enlarged(result)
            result = fine
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def confidence(
        self,
        mixed: np.ndarray,
        weights: Sequence[float],
        *,
        regions: Mapping[Region, Sequence[float]] | None = None,
        keep: Mapping[Trait, Kept] | None = None,
        change: np.ndarray | None = None,
        moved: np.ndarray | None = None,
    ) -> np.ndarray:
        """How far the photographs are trusted at each place of a mix, (FIELD, FIELD) float32 in [0, 1]; elsewhere the
        VAE's picture stays. Arguments as for `frame`."""
        shares = shares_of(weights, regions, keep)
        way = self._ways(shares, moved)
        return self._choice(mixed.astype(np.float32), way, shares, keep or {}, change).confidence

    def fields(self, weights: Sequence[float]) -> list[np.ndarray]:
        """For each place of a mix how far from there the same place of each parent lies: (S, S, 2) float32 each, x
        before y, in fractions of the side."""
        found = self._ways(shares_of(weights), None)
        return [cv2.resize(way, (self.side, self.side), interpolation=cv2.INTER_CUBIC) for way in found]

    def _ways(self, shares: np.ndarray, moved: np.ndarray | None) -> np.ndarray:
        return ways(self._displacements, shares, None if moved is None else dense(moved[None])[0])

    def _choice(
        self,
        mixed: np.ndarray,
        way: np.ndarray,
        shares: np.ndarray,
        keep: Mapping[Trait, Kept],
        change: np.ndarray | None,
    ) -> Choice:
        return choose(
            mixed,
            self._structures,
            way,
            shares,
            np.array([one.mean() for one in self._strength], np.float32),
            photographed=self._photographed,
            glasses=self._glasses,
            keep=keep,
            change=change,
        )

    def _coarse(
        self,
        mixed: np.ndarray,
        way: np.ndarray,
        shares: np.ndarray,
        chosen: Choice,
        trusted: np.ndarray,
        detail: float,
        keep: Mapping[Trait, Kept],
    ) -> np.ndarray:
        """Base and middle bands together, (C, C, 3) float32."""
        theirs = [bands(take(small, each), _BANDS) for small, each in zip(self._small, way, strict=True)]
        *middle, base = bands(mixed, _BANDS)
        for level, vae in enumerate(middle):
            # The finer of the two bands is halfway to the finest.
            share = chosen.soft if level else (chosen.soft + chosen.decided) / 2
            band = _averaged([one[level] for one in theirs], share)
            middle[level] = vae + spread(trusted, len(vae)) * (band - vae)
        for lost, share, each in zip(self._lost, shares, way, strict=True):
            base = base + detail * spread(share, len(base)) * take(lost, each)
        for trait in AROUND:
            kept = keep.get(trait, "mixed")
            if kept != "mixed":
                base = base + detail * spread(trait_masks(FIELD)[trait], len(base)) * (theirs[kept][-1] - base)
        return joined([*middle, base])

    def _fine(self, way: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """What the model's raster does not hold, (S, S, 3) float32: of one parent at each place."""
        total = np.zeros((self.side, self.side, 3), np.float32)
        wanted = np.zeros((FIELD, FIELD), np.float32)
        for whole, own, each, share in zip(self._whole, self._strength, way, decided, strict=True):
            if share.any():
                part = take(whole, each).astype(np.float32)
                part *= spread(share, self.side)
                total += part
                wanted += share * take(own, each)
        total -= self._enlarged(reduced(total, self.crop))
        return _strengthened(total, wanted)

    def _enlarged(self, picture: np.ndarray) -> np.ndarray:
        if len(picture) == self.side:
            return picture
        return cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_CUBIC)


def _averaged(pictures: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """One band of several, as strong as they are: an average of what differs is weaker than each."""
    band = np.zeros_like(pictures[0])
    wanted = np.zeros((FIELD, FIELD), np.float32)
    for picture, share in zip(pictures, shares, strict=True):
        band += spread(share, len(picture)) * picture
        wanted += share * strength(picture, FIELD)
    return _strengthened(band, wanted)


def _strengthened(band: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The band, in place, with what it lacks of the wanted strength, (FIELD, FIELD), within bounds."""
    gain = np.clip((wanted + 0.05) / (strength(band, FIELD) + 0.05), 1, _MOST_GAIN)
    if gain.max() > 1.001:  # of one parent alone rounding is all that differs
        band *= spread(gain, len(band))
    return band
