"""What endpoints do with a result before it is written: judged, and noted for the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from facemix.explaining.record import Reading
from facemix.mixing.recipe import ModelIdentity, Recipe
from facemix.serving.conditioning import record_of
from facemix.serving.types import FramesResult, MixResult, ParentFace, StripResult
from facemix.web.judging import About, hash_of
from facemix.web.release import named
from facemix.web.state import MixerLike, ServerState


def about(request: Request, model: ModelIdentity) -> About:
    """Whose result it is."""
    state = request.scope.get("state", {})
    return About(state.get("request_id", "unknown"), state.get("api_key"), model, state.get("consent"))


async def release_mix(request: Request, mixer: MixerLike, result: MixResult) -> None:
    """Returns if a mix may be given out, and notes it for the ledger.

    Raises:
        Held, ResultWithheld, Busy, StorageFull, StorageUnavailable: see `Release.judged`.
    """
    note(request, mixer, result.recipe, result.parents, result.margin)
    release = ServerState.of(request).release
    whose = about(request, mixer.model)
    # Who else may be in a photograph is not what is mixed.
    face, shown = (result.image, None) if result.face is None else (result.face, result.image)
    await release.judged(
        whose,
        face[None],
        result.recipe,
        result.parents,
        [result.margin],
        shown=shown,
    )


async def release_frames(
    request: Request,
    mixer: MixerLike,
    result: FramesResult | StripResult,
    *,
    whole: str | None = None,
    path: bool = False,
) -> None:
    """The same for several pictures; see `facemix.web.release.named`.

    Args:
        whole: hash of all that is given out together; None for that of these pictures' recipes.
        path: they go evenly from one face to another.

    Raises:
        Held, ResultWithheld, Busy, StorageFull, StorageUnavailable: see `Release.judged`.
    """
    recipe = named(result.recipes)
    margin = None if result.margins is None else min(result.margins)
    note(request, mixer, recipe, result.parents, margin)
    release = ServerState.of(request).release
    whose = about(request, mixer.model)
    hashes = [one.hash for one in result.recipes]
    await release.judged(
        whose,
        result.frames,
        recipe,
        result.parents,
        result.margins,
        whole=whole or hash_of(hashes),
        path=path,
        hashes=hashes,
    )


def note(
    request: Request,
    mixer: MixerLike,
    recipe: Recipe,
    parents: Sequence[ParentFace],
    margin: float | None = None,
) -> None:
    """Notes for the ledger what was made, and under which conditions.

    Args:
        margin: of the checks, the lowest; None where there were none.
    """
    request.state.weights = recipe.model.weights
    request.state.recipe_hash = recipe.hash
    record = kept_record(ServerState.of(request), mixer, recipe, parents, margin)
    if record is not None:
        request.state.record = record


def kept_record(
    state: ServerState, mixer: MixerLike, recipe: Recipe, parents: Sequence[ParentFace], margin: float | None = None
) -> dict[str, Any] | None:
    """The conditioning record of a result for its row in the ledger; None where no ledger is kept.

    Args:
        margin: see `note`.
    """
    if not state.settings.ledger:
        return None
    checks = [] if margin is None else [Reading("result_margin", round(margin, 4), 0.0, "at least", True)]
    return record_of(mixer, state.settings, recipe, parents, name=state.name, checks=checks)
