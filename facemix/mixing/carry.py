"""Detail of the photographs, carried into the mix.

The VAE says what the mixed face looks like; the photographs say what its detail looks like. Each parent's photograph is
brought to the shape of the mix (`facemix.mixing.warp`). Then, by spatial frequency, at the model's own side C:

- *base*, what is wider than C / 32: the VAE's, plus what it had lost of each parent, by weight; hair and outlines,
  which two people have in different places, are one parent's;
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

from facemix.imaging.bands import lowest, reduced
from facemix.imaging.enlarge import check_square, resized
from facemix.mixing.choice import Choice, choose, shares_of, structure
from facemix.mixing.pixels import Held, Pixels
from facemix.mixing.recipe import Kept, Region, Trait
from facemix.mixing.traits import AROUND, trait_masks
from facemix.mixing.turning import heads, turns
from facemix.mixing.warp import FIELD, dense, ways

_BANDS, _LOW = 2, 2  # middle bands below the model's side, and those below them that hold hair and outlines
_BEHIND = 2.0  # how quickly what the VAE lost of what lies behind a head is left out: of two who are even, all of it
_MOST_LINES = 1.2  # the same of what interpolation cost of the finest lines
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
        for one in (*reconstructions, *(cut for cut in cuts if cut is not None)):
            check_square(one)
        if shapes.ndim != 4 or shapes.shape[1] != 2 or shapes.shape[2] != shapes.shape[3]:
            raise ValueError(f"shapes must be (N, 2, G, G), not {shapes.shape}")
        crop = reconstructions.shape[1]
        sides = {len(cut) for cut in cuts if cut is not None}
        self.side = side or (sides.pop() if len(sides) == 1 else crop)
        numbers = {len(cuts), len(reconstructions), len(shapes), len(cuts if glasses is None else glasses)}
        if len(numbers) != 1 or sides - {self.side} or self.side < crop:
            raise ValueError(
                f"{len(cuts)} cuts of sides {sorted(sides)} and {len(shapes)} shapes do not belong to "
                f"{len(reconstructions)} reconstructions of {crop} pixels at a side of {self.side}"
            )
        self.crop = crop
        self._photographed = np.array([cut is not None for cut in cuts])
        self._glasses = np.zeros(len(cuts), bool) if glasses is None else np.asarray(glasses, bool)
        self._ranks = reconstructions.mean((1, 2, 3)).argsort().argsort()
        self._displacements = dense(shapes)
        self._heads = heads(turns(self._displacements))
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
        self._do = do = Pixels()
        self._strength, self._lines = [], []
        for one, small in zip(self._whole, self._small, strict=True):  # one after the other: they are large
            fine = one - do.enlarged(small, self.side)
            self._strength.append(do.strength(fine))
            self._lines.append(do.strength(do.finest(fine)))
        self._strengths = np.array([one.mean() for one in self._strength], np.float32)

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        maps = (*self._strength, *self._lines, *self._structures, self._displacements, self._heads)
        held = (*self._whole, *self._small, *self._lost, *maps)
        return sum(one.nbytes for one in held) + 4096

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

        Raises:
            ValueError: a picture of another shape, or another number of weights.
        """
        check_square(mixed)
        if len(mixed) != self.crop or len(weights) != len(self._whole):
            raise ValueError(
                f"a picture of {len(mixed)} pixels and {len(weights)} weights do not belong to {len(self._whole)} "
                f"parents of {self.crop}"
            )
        if detail == 0:
            return resized(mixed, self.side)
        keep = keep or {}
        shares = shares_of(weights, regions, keep)
        way = self._ways(shares, moved)
        picture = mixed.astype(np.float32)
        return self._drawn(picture, way, shares, self._choice(picture, way, shares, keep, change), detail, keep)

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
            self._strengths,
            photographed=self._photographed,
            glasses=self._glasses,
            ranks=self._ranks,
            heads=self._heads,
            keep=keep,
            change=change,
        )

    def _drawn(
        self,
        mixed: np.ndarray,
        way: np.ndarray,
        shares: np.ndarray,
        chosen: Choice,
        detail: float,
        keep: Mapping[Trait, Kept],
    ) -> np.ndarray:
        """The frame, (S, S, 3) uint8, of what was decided on the field. mixed: (C, C, 3) float32."""
        do = self._do
        trusted = detail * chosen.confidence
        result = self._coarse(do.held(mixed), way, shares, chosen, do.held(trusted), detail, keep)
        if self.side > self.crop:
            fine = do.weighted(self._fine(way, chosen.decided), do.held(trusted * self._covered(shares)))
            result = do.enlarged(result, self.side) + fine
        return do.levels(result)

    def _covered(self, shares: np.ndarray) -> np.ndarray:
        """How much of the fine band can be given at each place, (FIELD, FIELD): not all need have a photograph."""
        return np.minimum(1, 2 * shares[self._photographed].sum(0))

    def _coarse(
        self,
        mixed: Held,
        way: np.ndarray,
        shares: np.ndarray,
        chosen: Choice,
        trusted: Held,
        detail: float,
        keep: Mapping[Trait, Kept],
    ) -> Held:
        """All but the fine band, (C, C, 3) float32."""
        do = self._do
        present = np.flatnonzero((shares + chosen.soft + chosen.decided).any((1, 2)))
        # What lies behind somebody's head would be a step across another's cheek, half as strong as it is.
        back = shares * np.clip(1 - _BEHIND * chosen.behind, 0, 1)
        way, back, soft, decided, around = (
            do.held(one) for one in (way, back, chosen.soft, chosen.decided, chosen.around)
        )
        theirs = {index: do.bands(do.take(self._small[index], way[index]), _BANDS + _LOW) for index in present}
        ours = do.bands(mixed, _BANDS + _LOW)
        for level in range(_BANDS):
            # The finer of the two bands is halfway to the finest.
            share = soft if level else (soft + decided) / 2
            ours[level] = self._middle(
                ours[level], {i: (one[level], share[i]) for i, one in theirs.items()}, trusted, detail
            )
        lost = sum(do.weighted(do.take(self._lost[index], way[index]), detail * back[index]) for index in present)
        masks = {trait: do.held(detail * mask) for trait, mask in trait_masks(FIELD).items()}
        for level, band in enumerate(do.bands(lost, _LOW), start=_BANDS):
            ours[level] = ours[level] + band
            for trait in AROUND:
                kept = keep.get(trait)
                if isinstance(kept, int):
                    own = theirs[kept][level]
                elif kept is None and level < _BANDS + _LOW:  # light and complexion stay the mix's
                    own = sum(around[index] * one[level] for index, one in theirs.items())
                else:
                    continue
                ours[level] = ours[level] + do.weighted(own - ours[level], masks[trait])
        return do.joined(ours)

    def _middle(self, vae: Held, parts: Mapping[int, tuple[Held, Held]], trusted: Held, detail: float) -> Held:
        """One middle band, of the VAE and of the photographs with their shares, as strong as theirs are: an average of
        what differs is weaker than each."""
        do = self._do
        band = sum(do.weighted(part, share) for part, share in parts.values())
        wanted = sum(share * do.strength(part) for part, share in parts.values())
        if detail < 1:
            wanted = detail * wanted + (1 - detail) * do.strength(vae)
        return self._strengthened(vae + do.weighted(band - vae, trusted), wanted)

    def _fine(self, way: np.ndarray, decided: np.ndarray) -> Held:
        """What the model's raster does not hold, (S, S, 3) float32: of one parent at each place."""
        do = self._do
        given = np.flatnonzero(decided.any((1, 2)))
        way, decided = do.held(way), do.held(decided)
        total = sum(do.weighted(do.take(self._whole[index], way[index]), decided[index]) for index in given)
        wanted, lines = (
            sum(decided[index] * do.take(own[index], way[index]) for index in given)
            for own in (self._strength, self._lines)
        )
        total -= do.enlarged(do.reduced(total, self.crop), self.side)
        total = self._strengthened(total, wanted)
        # Interpolation between pixels takes most of the finest lines.
        finest = do.finest(total)
        gain = _gain(do.strength(finest), lines, _MOST_LINES)
        return total + do.weighted(finest, gain - 1) if gain.max() > 1.001 else total

    def _strengthened(self, band: Held, wanted: Held) -> Held:
        """The band with what it lacks of the wanted strength, (FIELD, FIELD), within bounds."""
        gain = _gain(self._do.strength(band), wanted, _MOST_GAIN)
        # Of one parent alone rounding is all that differs.
        return self._do.weighted(band, gain) if gain.max() > 1.001 else band


def _gain(has: Held, wanted: Held, most: float) -> Held:
    return ((wanted + 0.05) / (has + 0.05)).clip(1, most)
