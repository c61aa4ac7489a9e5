"""A saved recipe in words, as the page behind its link shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from facemix.mixing.recipe import ModelIdentity, OntoPlain, Placement, Recipe, SampleParent

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True)
class ParentView:
    """One of the faces that a recipe mixes.

    Attributes:
        kind: a sample face, a face whose photograph is not kept, or the result of another saved recipe.
        percent: its share.
        sample, seed: which sample face; None unless the live model draws the same one.
        origin: the saved recipe whose result it is; None where it is no such result, or that is gone.
    """

    kind: Literal["sample", "photo", "saved"]
    title: str
    percent: int
    sample: int | None = None
    seed: int = 0
    origin: str | None = None

    @property
    def short(self) -> str:
        """In a few words, within a sentence."""
        return {"sample": self.title.lower(), "photo": "a photo or mix", "saved": "a saved face"}[self.kind]


@dataclass(frozen=True)
class RecipeView:
    """A recipe, ready to be read.

    Attributes:
        disclaimer: what a drawn face is not.
        edits: what was done besides weighing: name and value.
    """

    title: str
    disclaimer: str
    parents: Sequence[ParentView]
    edits: Sequence[tuple[str, str]]

    @property
    def summary(self) -> str:
        return f"{self.title}. {self.disclaimer}"

    @property
    def mixed_of(self) -> list[str]:
        """The parents in a line, those that weigh nothing left out; none where there is only one."""
        if len(self.parents) < 2:
            return []
        return [", ".join(f"{one.percent} % {one.short}" for one in self.parents if one.percent)]


def recipe_view(
    recipe: Recipe, *, live: ModelIdentity | None, origins: Sequence[str], titles: Mapping[str, str]
) -> RecipeView:
    """What a recipe is made of.

    Args:
        live: the model that answers, None while there is none.
        origins: ids of the saved recipes among its parents that are still there.
        titles: of attributes, for people, by name; those that are missing are called by their name.
    """
    same = live is not None and recipe.model.same_latents_as(live)
    parents = [_parent(recipe, index, same, origins) for index in range(len(recipe.parents))]
    count = len(parents)
    title = f"A mix of {_NUMBERS[count] if count < len(_NUMBERS) else count} faces" if count > 1 else "One face"
    disclaimer = f"Drawn by the model {recipe.model.name}; nobody's photograph."
    return RecipeView(title, disclaimer, parents, _edits(recipe, titles))


def _parent(recipe: Recipe, index: int, same: bool, origins: Sequence[str]) -> ParentView:
    parent, percent = recipe.parents[index], round(100 * recipe.parents[index].weight)
    if isinstance(parent, SampleParent):
        title = f"Sample face {parent.number + 1}"
        return ParentView("sample", title, percent, parent.number if same else None, recipe.seed)
    origin = getattr(parent, "origin", None)
    if origin is None:
        return ParentView("photo", "A photo or mix, not kept", percent)
    if origin not in origins:
        return ParentView("saved", "A saved face that is gone", percent)
    return ParentView("saved", "A saved face", percent, origin=origin)


def _edits(recipe: Recipe, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    found = [
        (titles.get(name, name.replace("_", " ").capitalize()), f"{value:+.2g}")
        for name, value in recipe.attributes.items()
    ]
    found += [(region.capitalize(), _shares(shares)) for region, shares in recipe.regions.items()]
    if recipe.colour is not None:
        found.append(("Colours", _shares(recipe.colour)))
    if recipe.variation is not None:
        found.append(("Variation", f"number {recipe.variation.number + 1}, radius {recipe.variation.radius:.2g}"))
    if recipe.vividness:
        found.append(("Vividness", f"{recipe.vividness:.2g}"))
    if recipe.interpolation != "lerp":
        found.append(("Interpolation", recipe.interpolation))
    if recipe.detail:
        found.append(("Detail of the photos", f"{100 * recipe.detail:.0f} %"))
    found += [
        (f"Whose {trait}", "that of all, mixed" if parent == "mixed" else f"that of face {parent + 1}")
        for trait, parent in recipe.keep.items()
    ]
    if recipe.size is not None:
        found.append(("Size", f"at most {recipe.size} pixels"))
    if recipe.placement is not None:
        found.append(("Put onto", _ground(recipe.placement)))
    return found


def _ground(placement: Placement) -> str:
    if isinstance(placement, OntoPlain):
        return f"the colour {placement.colour}"
    return f"{'the photo' if placement.onto == 'photo' else 'the blurred photo'} of face {placement.parent + 1}"


def _shares(shares: Sequence[float]) -> str:
    """Weights in the order of the parents, those of nothing left out."""
    return ", ".join(f"{100 * share:.0f} % of face {index}" for index, share in enumerate(shares, 1) if share)
