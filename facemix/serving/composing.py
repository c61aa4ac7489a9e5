"""What edits do to the latents of the parents, to the pictures that are decoded of them, and how the recipe says it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facemix.errors import AttributesMissing
from facemix.mixing.attributes import AttributeReader, apply, check
from facemix.mixing.compose import compose
from facemix.mixing.interpolation import interpolate
from facemix.mixing.notes import Note, edit_notes
from facemix.mixing.recipe import Edits, LatentParent, Parent, PhotoParent, Recipe, SampleParent
from facemix.mixing.variation import vary
from facemix.serving.engine import Engine
from facemix.serving.types import FrameSpec, LatentInput, ParentFace, ParentInput, SampleInput
from facemix.vae.directions import AttributeDirections


class Composer:
    """Of one model. Computes where it is called. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = None if engine.directions is None else AttributeReader(engine.directions, engine.prior)

    def check(self, edits: Edits, parents: int) -> None:
        """Raises `RecipeInvalid`, `AttributesMissing` for edits that do not fit so many parents, or the model."""
        edits.check_parents(parents)
        if edits.attributes:
            check(edits.attributes, self._directions())

    def rows(self, z: torch.Tensor, spec: FrameSpec) -> np.ndarray:
        """The latents of one frame's pictures, (P, Z): the mix itself, each region that has weights of its own, in
        their order, the mix whose colours are taken, and the mix without edits where they are compared.

        Args:
            z: (N, Z), the parents'.
        """
        edits = spec.edits
        shares = [spec.weights, *edits.regions.values(), *([] if edits.colour is None else [edits.colour])]
        rows = [self._edited(self._interpolated(z, weights, edits), edits) for weights in shares]
        if edits.compared:
            rows.append(self._interpolated(z, spec.weights, edits))
        return torch.stack(rows).numpy()

    def notes(self, latents: np.ndarray, recipe: Recipe) -> tuple[Note, ...]:
        """What its edits pull into a mix that none of the parents, (N, Z), has."""
        if self._reader is None or not recipe.attributes:
            return ()
        z = torch.from_numpy(latents)
        used = z[[weight > 0 for weight in recipe.weights]]
        mixed = self._edited(self._interpolated(z, recipe.weights, recipe.edits), recipe.edits)
        return edit_notes(self._reader, used, mixed, recipe.attributes)

    def recipe(self, parents: Sequence[ParentInput], faces: Sequence[ParentFace], spec: FrameSpec) -> Recipe:
        """faces: what was used of each parent."""
        named = tuple(
            _named_parent(given, used, weight) for given, used, weight in zip(parents, faces, spec.weights, strict=True)
        )
        return Recipe(model=self._engine.identity, parents=named, **dict(spec.edits))

    def _directions(self) -> AttributeDirections:
        if self._engine.directions is None:
            raise AttributesMissing(
                f"{self._engine.identity} has no attribute directions",
                hint="leave attributes out, or fit directions with `facemix directions`",
                where="attributes",
            )
        return self._engine.directions

    def _interpolated(self, z: torch.Tensor, weights: Sequence[float], edits: Edits) -> torch.Tensor:
        return interpolate(
            z, weights, edits.interpolation, vividness=edits.vividness, coarse_size=self._engine.coarse_size
        )

    def _edited(self, z: torch.Tensor, edits: Edits) -> torch.Tensor:
        if edits.variation is not None:
            draw = self._engine.draw(edits.variation.number, seed=edits.seed)
            z = vary(z, draw, edits.variation.radius, self._engine.prior.mean, self._engine.coarse_size)
        return apply(z, edits.attributes, self._directions()) if edits.attributes else z


def slow(specs: Sequence[FrameSpec]) -> bool:
    """Whether `Composer.rows` of these frames may take milliseconds."""
    return len(specs) > 1 or any(spec.edits.pictures > 1 or spec.edits.interpolation == "slerp" for spec in specs)


def composed(pictures: np.ndarray, specs: Sequence[FrameSpec]) -> np.ndarray:
    """The decoded pictures of all frames, one after the other, put together to one picture for each frame."""
    frames, at = [], 0
    for edits in (spec.edits for spec in specs):
        frames.append(compose(pictures[at : at + edits.pictures], edits))
        at += edits.pictures
    return np.stack(frames)


def _named_parent(given: ParentInput, used: ParentFace, weight: float) -> Parent:
    """What the recipe calls a parent."""
    if isinstance(given, SampleInput):
        return SampleParent(number=given.number, weight=weight)
    if isinstance(given, LatentInput):
        if given.parent is None:
            return LatentParent.from_latent(given.z, weight=weight)
        return given.parent.model_copy(update={"weight": weight + 0.0})
    assert used.photo is not None  # a photograph has been looked at
    assert used.chosen is not None
    return PhotoParent(sha256=used.photo.sha256, face=used.chosen.index, placed=given.placed, weight=weight)
