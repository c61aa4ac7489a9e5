"""What was asked for, once it is read: a mix or a strip, from whatever it came, and what a server refuses of it before
any model is asked.

Parents that must be looked up or decoded by a model are resolved later (`facemix.web.parents`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass

from facemix.errors import RequestInvalid
from facemix.mixing.recipe import Edits, PhotoParent, Recipe
from facemix.serving.types import PhotoInput
from facemix.settings import Settings
from facemix.web.many_faces import check_frames
from facemix.web.parents import GivenParent, GivenReplay

_PLAIN = Edits()


@dataclass(frozen=True)
class Wanted:
    """Edits as they were asked for: `edits` holds all but what the words of the prompts add to its attributes."""

    edits: Edits = _PLAIN
    prompt: str = ""
    negative_prompt: str = ""


_NOTHING = Wanted()


@dataclass(frozen=True)
class MixInput:
    parents: tuple[GivenParent, ...]
    wanted: Wanted = _NOTHING
    image_format: str = "image/png"
    portable: bool = False
    replay: GivenReplay | None = None  # then there are neither parents nor wishes


@dataclass(frozen=True)
class StripInput:
    parents: tuple[GivenParent, GivenParent]
    steps: int
    wanted: Wanted = _NOTHING


def has_photos(parents: Iterable[GivenParent]) -> bool:
    return any(isinstance(parent, PhotoInput) for parent in parents)


def check_number(count: int, settings: Settings, said: str, *, where: str | None = None) -> None:
    """Raises `RequestInvalid` where a mix has more faces than the operator allows.

    Args:
        said: how many there are, in words.
    """
    if count > settings.max_parents:
        raise RequestInvalid(said, hint=f"this server mixes at most {settings.max_parents} faces at once", where=where)


def check_keep(edits: Edits) -> None:
    """Raises `RequestInvalid` where something of the photographs is to be kept whole and none of their detail carried.
    For what is asked for anew; a recipe that has both is drawn again as it was."""
    if edits.keep and not edits.detail:
        raise RequestInvalid(
            "nothing of the photographs is in a mix without their detail",
            hint="give detail, as in 1, or leave keep out",
            where="keep",
        )


def strip_input(
    parents: tuple[GivenParent, GivenParent], steps: int | None, wanted: Wanted, settings: Settings
) -> StripInput:
    """Two faces, and as many frames as are drawn from the one to the other.

    Args:
        steps: frames; None means as many as the operator has set.

    Raises:
        RequestInvalid: more than the operator allows, and what `check_frames` refuses.
    """
    steps = min(settings.strip_steps, settings.max_steps) if steps is None else steps
    if steps > settings.max_steps:
        raise RequestInvalid(
            f"steps is {steps}", hint=f"this server draws at most {settings.max_steps} frames", where="steps"
        )
    check_frames(wanted.edits, steps, "a strip")
    return StripInput(parents, steps, wanted)


def replay_input(
    recipe: Recipe | str,
    files: Iterable[bytes],
    settings: Settings,
    image_format: str,
    portable: bool,
    reencode: bool = False,
) -> MixInput:
    """A recipe to draw again, or the id of a saved one, with its photographs.

    Args:
        reencode: see `GivenReplay`.

    Raises:
        RequestInvalid: a photograph of the recipe is not among them, or it has more parents than the operator allows.
    """
    photos = {hashlib.sha256(data).hexdigest(): data for data in files}
    if isinstance(recipe, Recipe):
        _check_replay(recipe, photos, settings)
    return MixInput((), _NOTHING, image_format, portable, GivenReplay(recipe, photos, reencode))


def _check_replay(recipe: Recipe, photos: Container[str], settings: Settings) -> None:
    """Raises `RequestInvalid` as `replay_input`."""
    count = len(recipe.parents)
    check_number(count, settings, f"the recipe has {count} parents", where="recipe.parents")
    for index, parent in enumerate(recipe.parents):
        if isinstance(parent, PhotoParent) and parent.sha256 not in photos:
            raise RequestInvalid(
                f"the photo with SHA-256 {parent.sha256[:16]}... is missing",
                hint="send the recipe's photos as files photo_0, photo_1, ... of a form beside it",
                where=f"recipe.parents.{index}",
            )
