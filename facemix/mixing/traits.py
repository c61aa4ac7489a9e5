"""What of a face cannot be half one person's: hair, glasses, background; where they are, and whose a mix has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from facemix.faces.glasses import eyewear_mask
from facemix.imaging.smooth import rise
from facemix.mixing.recipe import REGIONS, Kept, Trait
from facemix.mixing.regions import masks

AROUND: tuple[Trait, ...] = ("hair", "background")  # traits that lie around the face, and so have a shape of their own
# Share of those who wear glasses between which a mix gets them, if nobody says whose it has. The change is quick, so
# that hardly a mix wears half a pair; two who are even get them.
_WORN = (0.3, 0.45)
_DECIDED = 8  # power of the weights by which one of several pairs is taken


@lru_cache(maxsize=8)
def trait_masks(size: int) -> dict[Trait, np.ndarray]:
    """How much each trait has of each pixel, (size, size) float32 in [0, 1] each. Where hair really ends, a mask does
    not know. Shared: not to be changed."""
    found = masks(size)
    return {
        "hair": found[REGIONS.index("hair")],
        "background": found[REGIONS.index("frame")],
        "glasses": eyewear_mask(size),
    }


def kept_shares(shares: np.ndarray, keep: Mapping[Trait, Kept], size: int) -> np.ndarray:
    """Shares of the parents, (N, size, size), with one of them alone where kept hair or background is."""
    for trait in AROUND:
        kept = keep.get(trait, "mixed")
        if kept != "mixed":
            cover = trait_masks(size)[trait]
            shares = shares * (1 - cover)
            shares[kept] += cover
    return shares


def glasses_shares(weights: np.ndarray, worn: np.ndarray, kept: Kept | None) -> np.ndarray | None:
    """Of the parents in the bands that show glasses, (N,) float32, sum 1; None where nothing is to be decided.

    Args:
        weights: (N,), sum 1.
        worn: (N,) bool, who wears any.
        kept: whose eyes are taken as they are; None decides by who wears glasses.
    """
    if kept == "mixed":
        return None
    if kept is not None:
        return np.eye(len(weights), dtype=np.float32)[kept]
    if not worn[weights > 0].any():
        return None
    on = float(rise(weights[worn].sum(), *_WORN))
    with_glasses, without = (np.where(one, weights, 0.0) ** _DECIDED for one in (worn, ~worn))
    parts = [share * part / part.sum() for share, part in ((on, with_glasses), (1 - on, without)) if share > 0]
    return np.sum(parts, axis=0).astype(np.float32)
