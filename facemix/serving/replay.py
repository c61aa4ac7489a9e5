"""From a recipe back to what the mixer takes."""

from __future__ import annotations

from collections.abc import Mapping

from facemix.errors import ModelMismatch, RecipeInvalid
from facemix.mixing.latents import unpack_latent
from facemix.mixing.recipe import LatentParent, ModelIdentity, PhotoParent, Recipe, SampleParent
from facemix.serving.types import LatentInput, ParentInput, PhotoInput, SampleInput


def parents_of(recipe: Recipe, photos: Mapping[str, bytes], *, latent_size: int, where: str) -> tuple[ParentInput, ...]:
    """The parents of a recipe, whose mix under its edits gives it again.

    Args:
        photos: the recipe's photographs by SHA-256; others may be among them.
        latent_size: that of the recipe's model.
        where: what an error calls the recipe's place.

    Raises:
        RecipeInvalid: a photograph is missing, or a latent is damaged.
    """
    found: list[ParentInput] = []
    for index, parent in enumerate(recipe.parents):
        place = f"{where}.parents.{index}"
        if isinstance(parent, SampleParent):
            found.append(SampleInput(parent.number, place, parent.weight))
        elif isinstance(parent, LatentParent):
            z = unpack_latent(parent.z, latent_size, where=place)
            found.append(LatentInput(z, place, parent.weight, parent))
        else:
            found.append(_photo(parent, photos, place))
    return tuple(found)


def check_model(model: ModelIdentity, live: ModelIdentity, *, where: str | None) -> None:
    """Raises `ModelMismatch` for a latent or recipe of other weights than those that are live."""
    if not model.same_latents_as(live):
        raise ModelMismatch(
            f"this belongs to {model}, and {live} is live",
            hint="make it again from the photos, with the model that is live",
            where=where,
            model=str(model),
            live=str(live),
        )


def check_recipe(recipe: Recipe, live: ModelIdentity, *, where: str | None, reencode: bool = False) -> None:
    """Raises `ModelMismatch` for a recipe of other weights than those that are live.

    Args:
        reencode: whether one made of photographs alone passes all the same, to be encoded by the live model. A latent
            or a sample face of another model is nobody whom the live one knows.
    """
    if not reencode or recipe.model.same_latents_as(live):
        check_model(recipe.model, live, where=where)
        return
    for index, parent in enumerate(recipe.parents):
        if not isinstance(parent, PhotoParent):
            raise ModelMismatch(
                f"parent {index} is a {parent.kind} of {recipe.model}, which {live} cannot encode again",
                hint="only recipes whose parents are all photographs can be made anew by another model",
                where=where,
                model=str(recipe.model),
                live=str(live),
            )


def _photo(parent: PhotoParent, photos: Mapping[str, bytes], where: str) -> PhotoInput:
    data = photos.get(parent.sha256)
    if data is None:
        raise RecipeInvalid(
            f"the recipe names the photo with SHA-256 {parent.sha256[:16]}..., which is not here",
            hint='send the photo with it, or make the recipe portable: ask for it with "portable": true',
            where=where,
        )
    face = None if parent.placed else parent.face
    return PhotoInput(data, where, face, parent.weight, parent.placed)
