"""The way of a pixel, from the uploaded bytes to the decoded mix. Read `Mixer.mix` from top to bottom.

Writing the result to a file is left to whoever asked: the page, the endpoint and the command line differ there
and nowhere else.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from facemix.errors import FaceChoiceInvalid, FacemixError, FaceNotFound, RecipeInvalid
from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.quality import measure, refusal
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits, decode_image
from facemix.mixing.interpolation import interpolate
from facemix.mixing.recipe import (
    MOST_VIVID,
    Interpolation,
    ModelIdentity,
    Parent,
    PhotoParent,
    Recipe,
    SampleParent,
    normalise_weights,
)
from facemix.serving.engine import Engine, engine_from_settings
from facemix.serving.types import (
    FoundFace,
    FoundPhoto,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    StripResult,
)
from facemix.settings import Settings

# A small file can unfold into hundreds of megabytes; only so many are unfolded at once, the others wait.
DECODERS = 2


class Mixer:
    """Walks the whole way. Safe to call from several threads.

    Attributes:
        model: identity of the weights.
        card: the checkpoint's card.
        crop_size: side of the results in pixels.
    """

    def __init__(
        self,
        engine: Engine,
        finder: FaceFinder,
        *,
        limits: DecodeLimits | None = None,
        max_parents: int = 8,
        max_steps: int = 257,
    ) -> None:
        self._engine = engine
        self._finder = finder
        self._limits = limits or DecodeLimits(max_side=WORKING_SIDE)
        self._decoders = threading.BoundedSemaphore(DECODERS)
        self._max_parents = max_parents
        self._max_steps = max_steps
        self.model: ModelIdentity = engine.identity
        self.card: dict[str, Any] = engine.card
        self.crop_size: int = engine.crop_size

    def find_faces(self, photo: PhotoInput) -> FoundPhoto:
        """All faces of a photograph, largest first, with their crops and what the gates say.

        Raises:
            ImageError: the bytes are no usable image.
            FaceNotFound: there is no face in it.
        """
        with _named(photo.where):
            with self._decoders:
                image = decode_image(photo.data, self._limits)
            faces = self._finder.find(image.pixels)
            if not faces:
                raise FaceNotFound(
                    f"no face was found in this photo of {image.pixels.shape[1]} x {image.pixels.shape[0]} pixels",
                    hint="use a photo that shows one face clearly, from the front, well lit and not covered",
                )
            found = []
            for index, face in enumerate(faces):
                crop = Alignment.from_landmarks(face.landmarks, self.crop_size).crop(image.pixels)
                quality = measure(face, crop)
                found.append(FoundFace(index, face, quality, crop, refusal(quality)))
        height, width = image.pixels.shape[:2]
        return FoundPhoto(width, height, hashlib.sha256(photo.data).hexdigest(), image.notes, tuple(found))

    def mix(
        self,
        parents: Sequence[ParentInput],
        *,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
    ) -> MixResult:
        """One face from two or more parents. Weights are scaled to sum to 1.

        Raises:
            RecipeInvalid: too few or too many parents, weights that cannot be scaled, or a vividness out of range.
            ImageError, FaceError: see `find_faces`; a face is refused by a gate, or there is no such face.
        """
        self._check_parents(parents)
        _check_vividness(vividness)
        weights = normalise_weights(parent.weight for parent in parents)
        clock = _Clock()
        with clock.stage("faces"):  # bytes -> image -> face -> crop
            faces = tuple(self._choose(parent) for parent in parents)
        with clock.stage("encode"):  # crop -> latent
            z = self._latents(parents, faces, seed)
        with clock.stage("decode"):  # latent -> mix -> decoded crop
            image = self._engine.decode(self._mixed(z, weights, interpolation, vividness)[None])[0]
        recipe = self._recipe(parents, faces, weights, interpolation, vividness, seed)
        return MixResult(image, recipe, faces, clock.milliseconds)

    def strip(
        self,
        first: ParentInput,
        second: ParentInput,
        *,
        steps: int = 33,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
    ) -> StripResult:
        """`steps` frames from the first parent to the second, ends included; their weights are ignored.

        Raises:
            RecipeInvalid: fewer than 2 steps, or more than the operator allows; a vividness out of range.
            ImageError, FaceError: as `mix`.
        """
        if not 2 <= steps <= self._max_steps:
            raise RecipeInvalid(f"steps is {steps}", hint=f"ask for 2 to {self._max_steps} frames", where="steps")
        _check_vividness(vividness)
        shares = tuple(index / (steps - 1) for index in range(steps))
        parents = (first, second)
        clock = _Clock()
        with clock.stage("faces"):
            faces = tuple(self._choose(parent) for parent in parents)
        with clock.stage("encode"):
            z = self._latents(parents, faces, seed)
        with clock.stage("decode"):
            path = torch.stack([self._mixed(z, (1 - share, share), interpolation, vividness) for share in shares])
            frames = self._engine.decode(path)
        recipes = tuple(
            self._recipe(parents, faces, (1 - share, share), interpolation, vividness, seed) for share in shares
        )
        return StripResult(frames, shares, recipes, faces, clock.milliseconds)

    def sample(self, number: int, *, seed: int = 0) -> np.ndarray:
        """A face of nobody, (S, S, 3) uint8 RGB: draw `number` from the prior under `seed`."""
        return self._engine.decode(self._engine.draw(number, seed=seed)[None])[0]

    def _check_parents(self, parents: Sequence[ParentInput]) -> None:
        if not 2 <= len(parents) <= self._max_parents:
            raise RecipeInvalid(
                f"{len(parents)} faces were given", hint=f"a mix takes 2 to {self._max_parents}", where="parents"
            )

    def _choose(self, parent: ParentInput) -> ParentFace:
        if not isinstance(parent, PhotoInput):
            return ParentFace(parent.where, None, None)
        photo = self.find_faces(parent)
        with _named(parent.where):
            index = parent.face or 0
            if not 0 <= index < len(photo.faces):
                raise FaceChoiceInvalid(
                    f"face {index} was chosen, but the photo has {len(photo.faces)}",
                    hint=f"choose a face from 0 (the largest) to {len(photo.faces) - 1}",
                )
            chosen = photo.faces[index]
            if chosen.refusal is not None:
                raise chosen.refusal
        return ParentFace(parent.where, photo, chosen)

    def _latents(self, parents: Sequence[ParentInput], faces: Sequence[ParentFace], seed: int) -> torch.Tensor:
        """(N, Z). Each crop is encoded alone: its latent must not depend on the company it came in."""
        rows = []
        for parent, face in zip(parents, faces, strict=True):
            if face.chosen is not None:
                rows.append(self._engine.encode(face.chosen.crop[None])[0])
            else:
                rows.append(self._engine.draw(parent.number, seed=seed))
        return torch.stack(rows)

    def _mixed(
        self, z: torch.Tensor, weights: Sequence[float], interpolation: Interpolation, vividness: float
    ) -> torch.Tensor:
        return interpolate(z, weights, interpolation, vividness=vividness, coarse_size=self._engine.coarse_size)

    def _recipe(
        self,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        weights: Sequence[float],
        interpolation: Interpolation,
        vividness: float,
        seed: int,
    ) -> Recipe:
        named: list[Parent] = []
        for parent, face, weight in zip(parents, faces, weights, strict=True):
            if face.photo is not None and face.chosen is not None:
                named.append(PhotoParent(sha256=face.photo.sha256, face=face.chosen.index, weight=weight))
            else:
                named.append(SampleParent(number=parent.number, weight=weight))
        return Recipe(
            model=self.model, parents=tuple(named), interpolation=interpolation, vividness=vividness, seed=seed
        )


def _check_vividness(vividness: float) -> None:
    if not 0 <= vividness <= MOST_VIVID:
        raise RecipeInvalid(f"vividness is {vividness}", hint=f"it is 0 to {MOST_VIVID}", where="vividness")


class _Clock:
    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.milliseconds[name] = (time.perf_counter() - started) * 1000


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Puts the name of the input on every error about it."""
    try:
        yield
    except FacemixError as error:
        error.at(where)
        raise


def mixer_from_settings(settings: Settings) -> Mixer:
    """The mixer that an operator's settings ask for, warmed up so that the first person does not wait.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
    """
    limits = DecodeLimits.from_settings(settings)
    limits = DecodeLimits(**{**limits.__dict__, "max_side": WORKING_SIDE})
    mixer = Mixer(
        engine_from_settings(settings),
        FaceFinder(CenterFace(threads=settings.threads)),
        limits=limits,
        max_parents=settings.max_parents,
        max_steps=settings.max_steps,
    )
    mixer.sample(0)
    return mixer
