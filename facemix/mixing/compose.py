"""From the decoded pictures of one frame to the frame itself."""

from __future__ import annotations

import numpy as np

from facemix.mixing.colour import transfer
from facemix.mixing.recipe import Edits
from facemix.mixing.regions import blend


def compose(pictures: np.ndarray, edits: Edits) -> np.ndarray:
    """Puts regions and colours into their place.

    Args:
        pictures: (`edits.pictures`, S, S, 3) uint8 RGB: the mix, then each of `edits.regions` in their order, then the
            mix whose colours are taken, then, where `edits.compared`, the mix without its edits.

    Returns:
        (S, S, 3) uint8 RGB; the mix itself, bit for bit, where there are neither.
    """
    picture = pictures[0]
    if edits.regions:
        picture = blend(pictures[: 1 + len(edits.regions)], tuple(edits.regions))
    return picture if edits.colour is None else transfer(picture, pictures[1 + len(edits.regions)])
