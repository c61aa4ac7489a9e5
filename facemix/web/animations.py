"""Animations: from what is asked for to a film, drawn and written a few frames at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from anyio import to_thread
from starlette.requests import Request

from facemix.errors import RequestInvalid
from facemix.imaging.animate import ANIMATION_TYPES, check_animation, encode_animation
from facemix.imaging.video import find_ffmpeg
from facemix.mixing.notes import Note
from facemix.mixing.path import Easing, Loop, Stop, frames
from facemix.mixing.recipe import Edits, ModelIdentity, PhotoParent, Recipe, normalise_weights
from facemix.serving.admission import frames_of_specs
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.replay import check_model
from facemix.serving.types import Cost, FrameSpec, FramesResult, LatentInput, ParentFace
from facemix.settings import Settings
from facemix.web.inputs_json import given_edits, given_parents
from facemix.web.jobs import Progress, Result
from facemix.web.judging import About, hash_of
from facemix.web.leaving import release_frames
from facemix.web.many_faces import check_alone
from facemix.web.mixes import resolver, settled
from facemix.web.parents import GivenParent
from facemix.web.release import named
from facemix.web.schemas_jobs import AnimationBody, AnimationMediaType
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import Wanted, has_photos
from facemix.web.work import patiently

GIF_BYTES_PER_PIXEL = 0.5  # as `MOST_GIF_PIXELS` counts
CHUNK = 8  # frames drawn at once at most; between chunks others get their turn
CHUNK_COSTS = 32  # as for `Admission.ticket`; more would seldom find room beside others


@dataclass(frozen=True)
class AnimationInput:
    """An animation as it was asked for. `stops`: weights that sum to 1, and attributes or None for the whole's."""

    parents: tuple[GivenParent, ...]
    wanted: Wanted
    stops: tuple[tuple[tuple[float, ...], dict[str, float] | None], ...]
    count: int
    fps: float
    easing: Easing
    loop: Loop
    media_type: AnimationMediaType
    size: int


@dataclass(frozen=True)
class Film:
    """What is left to draw once the parents are latents. Nothing of a photograph is held, but its aligned face where
    detail is carried from it (`LatentInput.cuts`).

    Attributes:
        model: whose latents they are.
        recipe: by which the ledger has it, and mark and credentials name it.
        whole: hash of all that its frames show, whatever the file.
    """

    model: ModelIdentity
    recipe: Recipe
    whole: str
    parents: tuple[LatentInput, ...]
    specs: tuple[FrameSpec, ...]
    fps: float
    loop: bool
    media_type: AnimationMediaType
    size: int


def animation_input(body: AnimationBody, settings: Settings) -> AnimationInput:
    """What a request asks for.

    Raises:
        RequestInvalid: more frames than the operator allows, stops that do not fit the parents, what the type of file
            does not take, and what `given_parents` and `given_edits` refuse.
        InstallationError: MP4 without its encoder.
    """
    count = max(2, round(body.seconds * body.fps))
    if count > settings.max_frames:
        raise RequestInvalid(
            f"{body.seconds:g} seconds at {body.fps:g} frames per second are {count} frames",
            hint=f"this server draws at most {settings.max_frames} for an animation",
            where="seconds",
        )
    check_animation(body.media_type, fps=body.fps, side=body.size, count=count)
    if body.media_type == "video/mp4":
        find_ffmpeg()  # refused now rather than when it is drawn
    parents, wanted = given_parents(body.parents, settings), given_edits(body)
    check_alone(wanted.edits, "an animation")
    return AnimationInput(
        parents,
        replace(wanted, edits=at_the_size_of(body.size, wanted.edits)),
        tuple(_stops(body)),
        count,
        body.fps,
        body.easing,
        body.loop,
        body.media_type,
        body.size,
    )


def at_the_size_of(side: int, edits: Edits) -> Edits:
    """The edits of a film's frames: with detail they are drawn at its side, without as the model draws them."""
    return edits.model_copy(update={"size": side if edits.detail else None})


def check_keepable(wanted: AnimationInput, settings: Settings) -> None:
    """Refuses a film for which the shelf has no room, before any of it is drawn. Only GIFs are that large.

    Raises:
        RequestInvalid: by the usual size of a pixel, the file would fill the shelf.
    """
    estimate = wanted.count * wanted.size**2 * GIF_BYTES_PER_PIXEL
    if wanted.media_type == "image/gif" and estimate >= settings.keep_bytes:
        raise RequestInvalid(
            f"a GIF of {wanted.count} frames of {wanted.size} x {wanted.size} pixels takes about {estimate:.0f} bytes",
            hint=f"results have room for {settings.keep_bytes} on this server; ask for fewer or smaller frames, or for "
            "image/webp or video/mp4",
            where="size",
        )


def check_remembered(wanted: AnimationInput, settings: Settings) -> None:
    """Refuses a film with the detail of photographs where nothing of them is to be kept until its frames are drawn.

    Raises:
        RequestInvalid: nothing of photographs is kept in memory.
    """
    keeps = settings.cache_bytes > 0 and settings.cache_seconds > 0
    if wanted.wanted.edits.detail and has_photos(wanted.parents) and not keeps:
        raise RequestInvalid(
            "this server keeps nothing of photographs in memory, and the frames of an animation are drawn later",
            hint="leave detail out; or the operator gives FACEMIX_CACHE_BYTES and FACEMIX_CACHE_SECONDS above 0",
            where="detail",
        )


def _stops(body: AnimationBody) -> Iterator[tuple[tuple[float, ...], dict[str, float] | None]]:
    parents = len(body.parents)
    if body.stops is None:
        if parents < 2:
            raise RequestInvalid("one parent and no stops make no way", hint="give stops, or parents", where="stops")
        for place in range(parents):
            yield tuple(float(place == index) for index in range(parents)), None
        return
    for index, stop in enumerate(body.stops):
        where = f"stops.{index}.weights"
        if len(stop.weights) != parents:
            raise RequestInvalid(
                f"{len(stop.weights)} weights were given for {parents} parents",
                hint="give one weight for each parent",
                where=where,
            )
        yield normalise_weights(stop.weights, where=where), stop.attributes


async def film_of(
    request: Request, mixer: MixerLike, wanted: AnimationInput, deadline: float, held: HeldCuts
) -> tuple[Film, tuple[Recipe, ...], tuple[Note, ...], Cost]:
    """Everything that can be refused is refused here: the parents are looked up, and each stop is drawn once.

    Args:
        held: gets what the frames need of photographs.

    Returns:
        The film, a recipe for each stop, notes about words that say nothing, and what it took of the device.

    Raises:
        FacemixError: see `Resolver`, `Mixer.frames` and `Mixer.hold_cuts`.
    """
    resolve = resolver(request, mixer, deadline)
    parents = await resolve.parents(wanted.parents)
    edits, notes = settled(mixer, wanted.wanted)
    stops = stops_of(wanted, edits)
    made = await mixer.frames(parents, specs_of(stops, edits), deadline=deadline)
    film = film_through(wanted, stops, edits, made, held)
    await mixer.hold_cuts(held, parents, made.parents, film.specs, deadline=deadline)
    await release_frames(request, mixer, made, whole=film.whole)
    return film, made.recipes, notes, resolve.cost + made.cost


def stops_of(wanted: AnimationInput, edits: Edits) -> list[Stop]:
    """The stops, with the whole's attributes where they have none of their own. Raises `RecipeInvalid`."""
    return [
        Stop(weights, edits.attributes if attributes is None else Edits.of(attributes=attributes).attributes)
        for weights, attributes in wanted.stops
    ]


def specs_of(stops: Sequence[Stop], edits: Edits) -> list[FrameSpec]:
    return [FrameSpec(stop.weights, edits.model_copy(update={"attributes": dict(stop.attributes)})) for stop in stops]


def film_through(
    wanted: AnimationInput, stops: Sequence[Stop], edits: Edits, made: FramesResult, held: HeldCuts | None = None
) -> Film:
    """
    Args:
        made: the stops, drawn; what is kept of it are the parents' latents, and where detail is carried, of which
            photographs they are.
        held: where these are looked for when the frames are drawn, see `Mixer.hold_cuts`; None for what the caches have
            by then.
    """
    named_as = made.recipes[0].parents
    latents = tuple(
        LatentInput(
            z,
            used.where,
            parent=parent if edits.detail and isinstance(parent, PhotoParent) else None,
            credentials=used.credentials,
            cuts=held,
        )
        for z, used, parent in zip(made.latents, made.parents, named_as, strict=True)
    )
    specs = specs_of(frames(stops, wanted.count, wanted.easing, wanted.loop), edits)
    repeats = wanted.loop != "once"
    recipe = named(made.recipes)
    whole = hash_of([*(one.hash for one in made.recipes), f"{wanted.count} {wanted.easing} {wanted.loop}"])
    return Film(recipe.model, recipe, whole, latents, tuple(specs), wanted.fps, repeats, wanted.media_type, wanted.size)


def chunks(specs: tuple[FrameSpec, ...]) -> Iterator[tuple[FrameSpec, ...]]:
    """The frames in lots that others' work comes between: fewer, the more each of them costs."""
    if specs:
        length = max(1, min(CHUNK, CHUNK_COSTS // max(frames_of_specs([spec], 0) for spec in specs)))
        for first in range(0, len(specs), length):
            yield specs[first : first + length]


async def make_film(state: ServerState, mixer: MixerLike, film: Film, progress: Progress, whose: About) -> Result:
    """The film as a file; every frame is judged and marked, and the file is signed.

    Raises:
        ModelMismatch: another model has taken the place of the latents' own.
        Held, ResultWithheld: a frame may not leave.
        FacemixError: what drawing and writing raise.
    """
    check_model(film.model, mixer.model, where=None)
    parents: tuple[ParentFace, ...] = ()
    loop = asyncio.get_running_loop()
    progress.model, progress.weights = str(mixer.model), mixer.model.weights
    progress.recipe_hash = film.recipe.hash

    async def draw(specs: tuple[FrameSpec, ...]) -> np.ndarray:
        made = await patiently(state, mixer, film.parents, specs)
        progress.cost += made.cost
        nonlocal parents
        parents = made.parents
        # The lot was drawn over the stops.
        await state.release.judged(
            whose,
            made.frames,
            film.recipe,
            parents,
            made.margins,
            whole=film.whole,
            path=True,
            by_lot=False,
            hashes=[one.hash for one in made.recipes],
        )
        return await mixer.write(state.release.mark, made.frames, film.recipe)

    given_up = False
    under_way: asyncio.Task[np.ndarray] | None = None

    async def chunk(specs: tuple[FrameSpec, ...]) -> np.ndarray:
        nonlocal under_way
        if given_up:  # by the time that the thread has asked for it
            raise asyncio.CancelledError
        under_way = asyncio.ensure_future(draw(specs))
        return await under_way

    def drawn() -> Iterator[np.ndarray]:
        for specs in chunks(film.specs):
            yield from asyncio.run_coroutine_threadsafe(chunk(specs), loop).result()

    def write() -> bytes:
        return encode_animation(
            drawn(),
            media_type=film.media_type,
            fps=film.fps,
            loop=film.loop,
            side=film.size,
            count=len(film.specs),
            on_progress=lambda done: loop.call_soon_threadsafe(progress.advance),
            stop=progress.stop,
        )

    try:
        data = await to_thread.run_sync(write, abandon_on_cancel=True)
    finally:
        # The thread hears of no cancellation: the chunk under way would be drawn to its end, and another be asked for.
        given_up = True
        if under_way is not None:
            under_way.cancel()
    data = await mixer.write(state.release.signed, data, film.media_type, film.recipe, parents)
    return Result(data, film.media_type, f"facemix{ANIMATION_TYPES[film.media_type]}")
