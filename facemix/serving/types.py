"""What goes into the mixer and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from facemix.faces.types import Face, Quality
from facemix.mixing.recipe import Recipe


@dataclass(frozen=True)
class PhotoInput:
    """A photograph as uploaded.

    Attributes:
        data: the untrusted bytes.
        where: the name of the input in the caller's words (``face_a``, ``parents.1``, a path); every error
            about this photograph carries it.
        face: which face to take, largest first; None takes the largest.
        weight: share in the mix, any non-negative number.
    """

    data: bytes
    where: str
    face: int | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class SampleInput:
    """A draw from the model's prior."""

    number: int
    where: str
    weight: float = 1.0


ParentInput = PhotoInput | SampleInput


@dataclass(frozen=True)
class FoundFace:
    """One face of a photograph, with what the gates say of it.

    `crop` is the aligned square crop, (S, S, 3) uint8 RGB. `refusal` holds the error that mixing this face
    would raise, or None.
    """

    index: int
    face: Face
    quality: Quality
    crop: np.ndarray
    refusal: Exception | None = None


@dataclass(frozen=True)
class FoundPhoto:
    """All faces of one photograph, largest first. `width` and `height` are those of the upright image."""

    width: int
    height: int
    sha256: str
    notes: tuple[str, ...]
    faces: tuple[FoundFace, ...]


@dataclass(frozen=True)
class ParentFace:
    """What was used of one parent. For a sample, `photo` and `chosen` are None."""

    where: str
    photo: FoundPhoto | None
    chosen: FoundFace | None


@dataclass(frozen=True)
class MixResult:
    """image: (S, S, 3) uint8 RGB."""

    image: np.ndarray
    recipe: Recipe
    parents: tuple[ParentFace, ...]
    stage_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StripResult:
    """frames: (N, S, S, 3) uint8 RGB, from the first parent to the second; `weights` is the second's share
    in each frame. `recipes` holds one recipe per frame."""

    frames: np.ndarray
    weights: tuple[float, ...]
    recipes: tuple[Recipe, ...]
    parents: tuple[ParentFace, ...]
    stage_ms: dict[str, float] = field(default_factory=dict)
