"""What goes into the mixer and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from facemix.faces.look import FoundFace
from facemix.faces.types import Quality
from facemix.mixing.notes import Note
from facemix.mixing.recipe import Edits, LatentParent, PhotoParent, PlacedPoints, Recipe
from facemix.safety.credentials import UploadCredentials
from facemix.serving.held_cuts import HeldCuts


class PhotoWatch(Protocol):
    """Hears of looks at photographs, on the event loop; what it raises refuses the photograph."""

    def arrived(self, sha256: str) -> None:
        """A file is about to be looked at, or has been lately."""

    def looked(self, found: FoundPhoto) -> None:
        """Faces were found in it, now or lately."""


@dataclass(frozen=True)
class PhotoInput:
    """A photograph as uploaded.

    Attributes:
        data: the untrusted bytes.
        where: the name of the input in the caller's words (``face_a``, ``parents.1``, a path); every error
            about this photograph carries it.
        face: which face to take, largest first; None takes the largest.
        weight: share in the mix, any non-negative number.
        placed: eyes and mouth that a person has placed by hand; no faces are looked for then.
        watch: hears of every look at it, and may refuse.
    """

    data: bytes
    where: str
    face: int | None = None
    weight: float = 1.0
    placed: PlacedPoints | None = None
    watch: PhotoWatch | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class SampleInput:
    """A draw from the model's prior."""

    number: int
    where: str
    weight: float = 1.0


@dataclass(frozen=True)
class LatentInput:
    """A latent of the model that mixes.

    Attributes:
        z: (Z,) float32.
        parent: what the recipe calls it, whatever weight stands there; None puts the latent itself into the recipe.
        credentials: of the photograph that it is of.
        quality: what the gates measured on that photograph's face.
        cuts: where detail finds that photograph before it looks into the cache.
    """

    z: np.ndarray
    where: str
    weight: float = 1.0
    parent: PhotoParent | LatentParent | None = None
    credentials: UploadCredentials | None = None
    quality: Quality | None = None
    cuts: HeldCuts | None = field(default=None, repr=False, compare=False)


ParentInput = PhotoInput | SampleInput | LatentInput


_PLAIN = Edits()


@dataclass(frozen=True)
class FrameSpec:
    """One picture made of the parents: a weight for each, any non-negative numbers, and what is done besides."""

    weights: tuple[float, ...]
    edits: Edits = _PLAIN


@dataclass(frozen=True)
class FoundPhoto:
    """All faces of one photograph, largest first. `width` and `height` are those of the upright image; `credentials`
    what the file said of its own making."""

    width: int
    height: int
    sha256: str
    notes: tuple[str, ...]
    faces: tuple[FoundFace, ...]
    credentials: UploadCredentials | None = None


@dataclass(frozen=True)
class ParentFace:
    """What was used of one parent. For a sample or a latent, `photo` and `chosen` are None. `credentials`: what the
    photograph's file said of its own making. `quality`: what the gates measured on a face that was uploaded before."""

    where: str
    photo: FoundPhoto | None
    chosen: FoundFace | None
    credentials: UploadCredentials | None = None
    quality: Quality | None = None


@dataclass(frozen=True)
class Cost:
    """What a request took of the device. What came out of a cache took nothing.

    `device_seconds` is its share, by frames, of the batches that its frames were in.
    """

    frames_encoded: int = 0
    frames_decoded: int = 0
    device_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.frames_encoded + other.frames_encoded,
            self.frames_decoded + other.frames_decoded,
            self.device_seconds + other.device_seconds,
        )


@dataclass(frozen=True)
class MixResult:
    """What one mix is.

    Attributes:
        image: (H, W, 3) uint8 RGB, a square unless it was put onto a photograph.
        latents: (N, Z) float32, the parents'.
        stage_ms: milliseconds of ``look``, ``encode``, ``decode`` and, where there is something to do, ``compose``,
            ``cut``, ``carry``, ``place``, each for all parents together.
        margin: how far it is from being withheld, from 0 to 1 (`facemix.safety.results`).
        face: the mix by itself, (S, S, 3) uint8 RGB, where `image` shows more; else None.
    """

    image: np.ndarray
    recipe: Recipe
    parents: tuple[ParentFace, ...]
    latents: np.ndarray
    notes: tuple[Note, ...] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)
    cost: Cost = Cost()
    margin: float = 1.0
    face: np.ndarray | None = None


@dataclass(frozen=True)
class FramesResult:
    """frames: (N, S, S, 3) uint8 RGB, with a recipe each, and a margin where results are checked; the rest is as in
    `MixResult`."""

    frames: np.ndarray
    recipes: tuple[Recipe, ...]
    parents: tuple[ParentFace, ...]
    latents: np.ndarray
    stage_ms: dict[str, float] = field(default_factory=dict)
    cost: Cost = Cost()
    margins: tuple[float, ...] | None = None


@dataclass(frozen=True)
class LatentResult:
    """z: (Z,) float32, the latent of a whole recipe."""

    z: np.ndarray
    recipe: Recipe
    cost: Cost = Cost()


@dataclass(frozen=True)
class StripResult:
    """frames: (N, S, S, 3) uint8 RGB, from the first parent to the second; `weights` is the second's share
    in each frame. `recipes` holds one recipe per frame, `margins` is as in `FramesResult`, `stage_ms` as in
    `MixResult`."""

    frames: np.ndarray
    weights: tuple[float, ...]
    recipes: tuple[Recipe, ...]
    parents: tuple[ParentFace, ...]
    stage_ms: dict[str, float] = field(default_factory=dict)
    cost: Cost = Cost()
    margins: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SampleResult:
    """image: (S, S, 3) uint8 RGB; margin: of the checks, 1 where there are none."""

    image: np.ndarray
    stage_ms: dict[str, float] = field(default_factory=dict)
    cost: Cost = Cost()
    margin: float = 1.0


@dataclass(frozen=True)
class Vitals:
    """How a mixer is doing.

    Attributes:
        backend, device: what computes, and where.
        queue_frames: frames that wait for the device.
        beat_age: seconds since the inference thread last showed that it lives.
        cache_bytes: memory of each cache.
    """

    backend: str
    device: str
    queue_frames: int
    beat_age: float
    cache_bytes: dict[str, int] = field(default_factory=dict)
