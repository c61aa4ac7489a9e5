"""From parents as a request names them to those that the mixer takes: faces kept here, latents, saved recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from facemix.mixing.latents import unpack_latent
from facemix.mixing.recipe import REGIONS, Edits, LatentParent, ModelIdentity, Recipe
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.replay import check_model, check_recipe, parents_of
from facemix.serving.types import Cost, LatentInput, ParentInput, PhotoInput, PhotoWatch, SampleInput
from facemix.web.kept_faces import KeptFaces
from facemix.web.saved import SavedRecipes
from facemix.web.state import MixerLike

MOST_PICTURES = 2 + len(REGIONS)  # the mix, its regions, its colours


@dataclass(frozen=True)
class GivenFace:
    """A face that was registered, by its id."""

    face_id: str
    where: str
    weight: float = 1.0


@dataclass(frozen=True)
class GivenLatent:
    """A latent as text, the model that it claims to be of, and the saved recipe whose result it claims to be."""

    model: ModelIdentity
    z: str
    where: str
    weight: float = 1.0
    origin: str | None = None


@dataclass(frozen=True)
class GivenRecipe:
    """The result of a recipe, or of a saved one by its id, as a parent."""

    recipe: Recipe | str
    where: str
    weight: float = 1.0


@dataclass(frozen=True)
class GivenReplay:
    """A recipe, or the id of a saved one, to draw again, and its photographs by SHA-256.

    `reencode` lets one of another model be made anew from its photographs by the model that is live.
    """

    recipe: Recipe | str
    photos: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    reencode: bool = False


GivenParent = PhotoInput | SampleInput | GivenFace | GivenLatent | GivenRecipe


def frames_of(parents: Sequence[GivenParent], drawn: int) -> int:
    """Frames of a request, as for `Admission.ticket`: one to encode per photograph, what is drawn (`frames_to_draw`),
    and what the results of recipes take."""
    return sum(_frames(parent) for parent in parents) + drawn


def _frames(parent: GivenParent) -> int:
    if isinstance(parent, PhotoInput):
        return 1
    if not isinstance(parent, GivenRecipe):
        return 0
    pictures = frames_of_recipe(parent.recipe)
    return pictures + 1 if pictures > 1 else 0  # a picture is decoded to be encoded only where it was put together


def frames_of_recipe(recipe: Recipe | str) -> int:
    """Pictures that a recipe's latent is made of; of a saved one, which is not looked up yet, as many as there can
    be."""
    return MOST_PICTURES if isinstance(recipe, str) else recipe.as_decoded().pictures


class Resolver:
    """Looks up what a request names, for one caller and one model.

    Attributes:
        cost: what looking up took of the device.
    """

    def __init__(
        self,
        mixer: MixerLike,
        faces: KeptFaces,
        saved: SavedRecipes,
        owner: str | None,
        deadline: float,
        watch: PhotoWatch | None = None,
        cuts: HeldCuts | None = None,
    ) -> None:
        """
        Args:
            watch: hears of the looks at all photographs.
            cuts: what is held of faces by id, for detail.
        """
        self._mixer, self._faces, self._saved, self._owner = mixer, faces, saved, owner
        self._deadline, self._watch, self._cuts = deadline, watch, cuts
        self.cost = Cost()

    async def parents(self, given: Sequence[GivenParent]) -> tuple[ParentInput, ...]:
        """What the mixer takes.

        Raises:
            FaceGone: a face is unknown, expired, deleted or another caller's.
            RecordMissing: there is no such saved recipe.
            ModelMismatch: a latent or recipe belongs to another model.
            RecipeInvalid: a latent is damaged, or a recipe has photographs.
        """
        return tuple([await self._parent(one) for one in given])

    async def replay(self, given: GivenReplay) -> tuple[tuple[ParentInput, ...], Edits]:
        """The parents and edits of a recipe, whose mix gives it again.

        Raises:
            RecordMissing, ModelMismatch, RecipeInvalid: as `parents`; RecipeInvalid also for a photograph that is
                missing.
        """
        recipe = await self.recipe(given.recipe, where="recipe", reencode=given.reencode)
        return self._parents_of(recipe, given.photos, where="recipe"), recipe.edits

    async def recipe(self, recipe: Recipe | str, *, where: str, reencode: bool = False) -> Recipe:
        """A recipe of the live model, looked up if it is an id. Raises `RecordMissing`, `ModelMismatch`.

        Args:
            reencode: whether one of another model will do, too, if it is made of photographs alone.
        """
        if isinstance(recipe, str):
            recipe = (await self._saved.get(recipe)).recipe
        check_recipe(recipe, self._mixer.model, where=where, reencode=reencode)
        return recipe

    async def _parent(self, given: GivenParent) -> ParentInput:
        if isinstance(given, GivenFace):
            kept = await self._faces.get(given.face_id, owner=self._owner, where=given.where)
            self._check_model(kept.model, given.where)
            return LatentInput(
                kept.z, given.where, given.weight, kept.parent, kept.credentials, kept.quality, self._cuts
            )
        if isinstance(given, GivenLatent):
            self._check_model(given.model, given.where)
            z = self._unpacked(given.z, given.where)
            return LatentInput(z, given.where, given.weight, LatentParent.from_latent(z, origin=given.origin))
        if isinstance(given, GivenRecipe):
            return await self._result(given)
        return self._watched(given)

    async def _result(self, given: GivenRecipe) -> LatentInput:
        recipe = await self.recipe(given.recipe, where=given.where)
        parents = self._parents_of(recipe, {}, where=given.where)
        made = await self._mixer.latent(parents, recipe.edits, deadline=self._deadline)
        self.cost += made.cost
        origin = given.recipe if isinstance(given.recipe, str) else None
        named = LatentParent.from_latent(made.z, origin=origin)
        return LatentInput(made.z, given.where, given.weight, named)

    def _parents_of(self, recipe: Recipe, photos: Mapping[str, bytes], *, where: str) -> tuple[ParentInput, ...]:
        parents = parents_of(recipe, photos, latent_size=self._mixer.latent_size, where=where)
        return tuple(self._watched(parent) for parent in parents)

    def _watched(self, parent: ParentInput) -> ParentInput:
        return replace(parent, watch=self._watch) if isinstance(parent, PhotoInput) else parent

    def _unpacked(self, z: str, where: str):
        return unpack_latent(z, self._mixer.latent_size, where=where)

    def _check_model(self, model: ModelIdentity, where: str) -> None:
        check_model(model, self._mixer.model, where=where)
