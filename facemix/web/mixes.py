"""What the endpoint, the page and jobs ask of the mixer: parents resolved, words turned into attributes, then mixed."""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread
from starlette.requests import Request

from facemix.errors import KeyRequired
from facemix.mixing.notes import Note
from facemix.mixing.recipe import Edits
from facemix.serving.admission import frames_to_draw
from facemix.serving.types import MixResult, StripResult
from facemix.serving.words import with_words
from facemix.web.parents import MOST_PICTURES, Resolver, frames_of
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput, StripInput, Wanted

LONG_PROMPT = 80  # characters


def resolver(request: Request, mixer: MixerLike, deadline: float) -> Resolver:
    """For whoever has sent the request."""
    state = ServerState.of(request)
    stores = state.stores
    return Resolver(mixer, stores.faces, stores.saved, owner_of(request), deadline, state.photo_limits)


def owner_of(request: Request) -> str | None:
    """The name of the caller's API key, None without one."""
    return request.scope.get("state", {}).get("api_key")


def keyed_owner(request: Request, what: str) -> str:
    """The same, for what only a key may ask. Raises `KeyRequired`."""
    owner = owner_of(request)
    if owner is None:
        raise KeyRequired(f"a key is needed to list {what}", hint="send it as Authorization: Bearer ...")
    return owner


def frames_of_mix(wanted: MixInput) -> int:
    """What a mix costs, as far as it is known before a saved recipe is looked up."""
    if wanted.replay is None:
        return frames_of(wanted.parents, frames_to_draw(wanted.wanted.edits, len(wanted.parents)))
    recipe = wanted.replay.recipe
    # A saved one has no photographs of its own, no size and no placement, but may be drawn without its edits as well.
    drawn = MOST_PICTURES + 1 if isinstance(recipe, str) else frames_to_draw(recipe, len(recipe.parents))
    return len(wanted.replay.photos) + drawn


def settled(mixer: MixerLike, wanted: Wanted) -> tuple[Edits, tuple[Note, ...]]:
    """Edits with what the prompts add to their attributes, and notes about words that say nothing.

    Raises:
        AttributesMissing: there are words, and the model has no directions.
        RecipeInvalid: see `facemix.mixing.vocabulary.parse`.
    """
    return with_words(wanted.edits, wanted.prompt, wanted.negative_prompt, mixer.attributes, mixer.model)


async def settled_edits(mixer: MixerLike, wanted: Wanted) -> tuple[Edits, tuple[Note, ...]]:
    """The same; a long prompt takes milliseconds, which the event loop is not kept waiting for."""
    if len(wanted.prompt) + len(wanted.negative_prompt) > LONG_PROMPT:
        return await to_thread.run_sync(settled, mixer, wanted)
    return settled(mixer, wanted)


async def mix_wanted(request: Request, mixer: MixerLike, wanted: MixInput, deadline: float) -> MixResult:
    """One mix, or a recipe drawn again.

    Raises:
        FaceGone, RecordMissing, ModelMismatch, RecipeInvalid, AttributesMissing: see `Resolver` and `settled`.
        FacemixError: see `Mixer.mix`.
    """
    return await mix_resolved(resolver(request, mixer, deadline), mixer, wanted, deadline)


async def mix_resolved(resolve: Resolver, mixer: MixerLike, wanted: MixInput, deadline: float) -> MixResult:
    """The same for whom `resolve` is made, without a request."""
    notes: tuple[Note, ...] = ()
    if wanted.replay is not None:
        parents, edits = await resolve.replay(wanted.replay)
    else:
        parents = await resolve.parents(wanted.parents)
        edits, notes = await settled_edits(mixer, wanted.wanted)
    result = await mixer.mix(parents, edits, deadline=deadline)
    if wanted.portable:
        result = replace(result, recipe=result.recipe.portable(result.latents))
    return replace(result, notes=(*notes, *result.notes), cost=resolve.cost + result.cost)


async def strip_wanted(request: Request, mixer: MixerLike, wanted: StripInput, deadline: float) -> StripResult:
    """Raises as `mix_wanted`."""
    resolve = resolver(request, mixer, deadline)
    first, second = await resolve.parents(wanted.parents)
    edits, _ = await settled_edits(mixer, wanted.wanted)
    result = await mixer.strip(first, second, steps=wanted.steps, edits=edits, deadline=deadline)
    return replace(result, cost=resolve.cost + result.cost)
