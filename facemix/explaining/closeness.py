"""Whether a result is a training face rather than a new one, and who brought it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from facemix.explaining.index import Neighbour, NeighbourIndex

NEAREST = 5
_PERCENTILES = (1, 5, 25, 50, 75, 95)
_SAME = 1.0  # degrees by which a latent that went through a picture may be off


@dataclass(frozen=True)
class ParentCode:
    """A parent as the alarm sees it.

    Attributes:
        z: (Z,) its latent.
        kind: where it came from. Only a sample was drawn by the model itself.
        weight: share in the mix.
        sha256: of its photograph, hexadecimal, where that is known.
    """

    z: np.ndarray
    kind: Literal["photo", "sample", "latent"]
    weight: float
    sha256: str | None = None


@dataclass(frozen=True)
class Closeness:
    """How near a result is to the training faces.

    Attributes:
        neighbours: the nearest training faces, the nearest first.
        faces: how many training faces there are.
        typical: angles in degrees from a training face to its nearest other one, by percentile: 1, 5, 25, 50, 75, 95.
        limit: angle in degrees; nearer than this, a training face counts as a copy.
        near: whether the nearest one is nearer than that.
        because: the parent (from 0) that brought that face along, None where none did or nothing is near.
        alarm: near, and no parent brought it: the model may have memorised a photograph.
        words: the same in plain sentences.
    """

    neighbours: tuple[Neighbour, ...]
    faces: int
    typical: dict[str, float]
    limit: float
    near: bool
    because: int | None
    alarm: bool
    words: str


def closeness(index: NeighbourIndex, result: np.ndarray, parents: Sequence[ParentCode], k: int = NEAREST) -> Closeness:
    """How near a result is to training faces, and why.

    A parent explains nearness if it has a weight, was brought from outside (a photograph or a latent, not a sample),
    and is itself as near to that training face as a copy; or if the result is no farther from it than from the training
    face, as it is with a photograph that was mirrored.

    Args:
        result: (V, Z) latents of the result's picture and of its mirror image: training saw every face both ways.
        parents: all of the mix.
    """
    found = tuple(index.nearest(result, k))
    limit = index.limit
    usual = len(index), {str(one): float(index.typical[one]) for one in _PERCENTILES}, limit
    near = found[0].distance < limit
    if not near:
        words = (
            "No training photograph is nearer to this face than training photographs are to one another: "
            f"the nearest is {found[0].distance:.0f} degrees away, and from {limit:.0f} on it would count as a copy."
        )
        return Closeness(found, *usual, False, None, False, words)
    because = _brought_by(index, result, parents, found[0])
    return Closeness(found, *usual, True, because, because is None, _words(index, found[0], parents, because))


def _brought_by(
    index: NeighbourIndex, result: np.ndarray, parents: Sequence[ParentCode], nearest: Neighbour
) -> int | None:
    def explains(place: int) -> bool:
        z = parents[place].z
        return index.distance(z, nearest) < index.limit or angles[place] < nearest.distance + _SAME

    angles = {
        place: index.angle(result, parent.z)
        for place, parent in enumerate(parents)
        if parent.weight > 0 and parent.kind != "sample"
    }
    return min(filter(explains, angles), key=angles.__getitem__, default=None)


def _words(index: NeighbourIndex, nearest: Neighbour, parents: Sequence[ParentCode], because: int | None) -> str:
    first = f"This face is {nearest.distance:.0f} degrees from a training photograph, as near as copies are."
    if because is None:
        return (
            f"{first} None of the faces that it was mixed of explains that. The model may have memorised this "
            "photograph; of the training photographs themselves one in a hundred is as near to another."
        )
    parent, name = parents[because], letter(because)
    share = f"{100 * parent.weight:.0f} %"
    if parent.sha256 is not None and index.holds(parent.sha256):
        return f"{first} The reason is face {name}, which makes {share} of it: it is a training photograph itself."
    if parent.kind == "photo":
        return f"{first} The reason is face {name}, which makes {share} of it and is as near to that photograph."
    return f"{first} The reason is face {name}, which makes {share} of it: it was brought as a latent as near as that."


def letter(place: int) -> str:
    """What people call a parent: A, B, ... and numbers beyond the alphabet."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)
