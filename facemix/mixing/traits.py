"""What of a face cannot be half one person's: where hair, glasses and background are in an aligned crop."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from facemix.mixing.recipe import REGIONS, Trait
from facemix.mixing.regions import masks

Kept = int | Literal["mixed"]


@lru_cache(maxsize=8)
def trait_masks(size: int) -> dict[Trait, np.ndarray]:
    """How much each trait has of each pixel, (size, size) float32 in [0, 1] each. Where hair really ends, a mask does
    not know. Shared: not to be changed."""
    found = masks(size)
    return {
        "hair": found[REGIONS.index("hair")],
        "background": found[REGIONS.index("frame")],
        "glasses": found[REGIONS.index("eyes")],
    }


def kept_weights(shares: np.ndarray, cover: np.ndarray, kept: Kept) -> np.ndarray:
    """Shares of the parents, (N, s, s), with one of them alone where `cover`, (s, s), is 1; the same if ``mixed``."""
    if kept == "mixed":
        return shares
    rest = shares * (1 - cover)
    rest[kept] += cover
    return rest
