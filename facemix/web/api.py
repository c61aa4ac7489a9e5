"""The endpoints under ``/api/v1`` and the two for machines that watch the server."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from facemix.errors import EngineFailed
from facemix.imaging.encode import MediaType
from facemix.serving.admission import frames_to_draw
from facemix.serving.types import MixResult, StripResult
from facemix.web import openapi
from facemix.web.answers import JSON, json_answer, timing
from facemix.web.card import card_licence, card_limitations
from facemix.web.choosing import choice_of
from facemix.web.inputs import read_mix, read_strip
from facemix.web.leaving import about, release_frames, release_mix
from facemix.web.mixes import frames_of_mix, mix_wanted, strip_wanted
from facemix.web.negotiation import known_copy, negotiate
from facemix.web.parents import frames_of
from facemix.web.problems import jsonable, request_id
from facemix.web.release import sample_recipe
from facemix.web.reports import frame_sheet, model_name, parent_reports, released_image
from facemix.web.schemas_health import Health, Readiness
from facemix.web.schemas_mixes import MixResponse, StripResponse
from facemix.web.schemas_parts import Note_
from facemix.web.schemas_reference import ModelResponse
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput, StripInput
from facemix.web.work import charge, do_work

IMAGE_TYPES = openapi.IMAGE_TYPES
SAMPLE_TYPES = ("image/webp", "image/png", "image/jpeg")

USE_MODEL = "X-Facemix-Use-Model"

router = APIRouter(default_response_class=Response)


# --- mixing ------------------------------------------------------------------------------------------------


@router.post(
    "/api/v1/mix",
    tags=["mixing"],
    summary="Mix two or more faces",
    description="A form with two photos (or samples) and `weight`, or JSON with two or more parents.\n\n"
    "The answer is JSON with the picture inside, or the picture itself if `Accept` names an image type.",
    openapi_extra=openapi.MIX_BODY,
    responses={
        200: {
            **openapi.ok("The mix.", MixResponse, openapi.image_content()),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        **openapi.HELD,
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def mix(request: Request) -> Response:
    state = ServerState.of(request)
    media_type = negotiate(request.headers.get("accept"), (JSON, *IMAGE_TYPES))

    async def work(mixer: MixerLike, wanted: MixInput, deadline: float) -> Response:
        result = await mix_wanted(request, mixer, wanted, deadline)
        charge(request, mixer, result.cost, result.stage_ms)
        await release_mix(request, mixer, result)
        return await mixer.write(_mix_file, mixer, wanted, result, media_type, request)

    return await do_work(
        request,
        lambda: read_mix(request, state.settings),
        frames_of_mix,
        work,
    )


def _mix_file(
    mixer: MixerLike, wanted: MixInput, result: MixResult, media_type: MediaType | str, request: Request
) -> Response:
    headers = {"X-Facemix-Model": str(mixer.model), "Vary": "Accept"}
    started = time.perf_counter()
    release = ServerState.of(request).release
    if media_type != JSON:
        content = release.picture(result.image, media_type, result.recipe, result.parents)
        return Response(content, media_type=media_type, headers=headers | timing(result.stage_ms, started))
    body = MixResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        recipe=result.recipe,
        faces=parent_reports(result.parents, result.recipe),
        notes=[Note_(code=note.code, message=note.message) for note in result.notes],
        image=released_image(release, result, wanted.image_format),
    )
    response = json_answer(body, headers)
    response.headers.update(timing(result.stage_ms, started))
    return response


@router.post(
    "/api/v1/strip",
    tags=["mixing"],
    summary="All frames between two faces",
    description="What the page fetches once and scrubs through: `steps` frames with rising weight of the "
    "second face, laid out as a grid in one picture.",
    openapi_extra=openapi.STRIP_BODY,
    responses={
        200: {
            **openapi.ok("The frames.", StripResponse),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        **openapi.HELD,
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def strip(request: Request) -> Response:
    state = ServerState.of(request)
    negotiate(request.headers.get("accept"), (JSON,))

    async def work(mixer: MixerLike, wanted: StripInput, deadline: float) -> Response:
        result = await strip_wanted(request, mixer, wanted, deadline)
        charge(request, mixer, result.cost, result.stage_ms)
        await release_frames(request, mixer, result, path=True)
        return await mixer.write(_strip_file, mixer, wanted, result, request)

    return await do_work(
        request,
        lambda: read_strip(request, state.settings),
        lambda wanted: frames_of(wanted.parents, frames_to_draw(wanted.wanted.edits, 2, wanted.steps)),
        work,
    )


def _strip_file(mixer: MixerLike, wanted: StripInput, result: StripResult, request: Request) -> Response:
    started = time.perf_counter()
    body = StripResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        recipe=result.recipes[len(result.recipes) // 2],
        faces=parent_reports(result.parents, result.recipes[0]),
        weights=list(result.weights),
        frames=frame_sheet(ServerState.of(request).release, result),
    )
    response = json_answer(body, {"X-Facemix-Model": str(mixer.model)})
    response.headers.update(timing(result.stage_ms, started))
    return response


# --- samples ---------------------------------------------------------------------------------------------


@router.get(
    "/api/v1/samples/{number}",
    tags=["faces"],
    summary="A face of nobody",
    description="Drawn from the model's prior. The same model, number and seed give the same face, so the "
    "answer may be kept and has an `ETag`.",
    openapi_extra=openapi.MODEL_CHOICE,
    responses={
        200: {"description": "The picture.", "content": openapi.image_content()},
        **openapi.HELD,
        304: {"description": "The copy named by If-None-Match is still right."},
        406: openapi.NOT_ACCEPTABLE,
        409: openapi.NOT_LIVE,
        422: openapi.problem(
            "The number is out of range.",
            openapi.errors.RequestInvalid,
            "number is -1; it has to be at least 0",
            "the page /docs describes every field",
            where="number",
        ),
        401: openapi.UNKNOWN_KEY,
        429: openapi.TOO_MANY,
        500: openapi.INTERNAL,
        503: openapi.UNAVAILABLE,
    },
)
async def sample(
    request: Request,
    number: Annotated[int, Path(ge=0, lt=2**31, description="which draw")],
    seed: Annotated[int, Query(ge=0, lt=2**31, description="seed of the draws")] = 0,
    kind: Annotated[
        Literal["webp", "png", "jpeg"] | None,
        Query(alias="format", description="the file's type; outranks Accept"),
    ] = None,
) -> Response:
    state, choice = ServerState.of(request), choice_of(request)
    mixer = state.mixer(choice)
    media_type = f"image/{kind}" if kind else negotiate(request.headers.get("accept"), SAMPLE_TYPES)
    kept = f"{mixer.model.weights[:16]}-{seed}-{number}-{media_type.partition('/')[2]}"
    tag = f'"{kept}-{state.release.marker.put_on}"'
    headers = {
        "ETag": tag,
        # A cache between here and the client is to give nobody what another model has drawn for somebody else.
        "Cache-Control": f"{'public' if mixer is state.loaded else 'private'}, max-age=3600",
        "X-Facemix-Model": str(mixer.model),
        "Vary": f"Accept, {USE_MODEL}",
    }
    if known_copy(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    request.state.weights = mixer.model.weights
    request.state.recipe_hash = sample_recipe(mixer.model, number, seed).hash
    content = await state.sample_file(
        number,
        seed,
        media_type,
        lambda drawn: charge(request, mixer, drawn.cost, drawn.stage_ms),
        choice,
        about(request, mixer.model),
    )
    return Response(content, media_type=media_type, headers=headers)


# --- the model and the server ------------------------------------------------------------------------------


@router.get(
    "/api/v1/model",
    tags=["model"],
    summary="Which model answers",
    openapi_extra=openapi.MODEL_CHOICE,
    responses={
        200: openapi.ok("Its identity, its card and its terms.", ModelResponse),
        **openapi.CHOICE_ERRORS,
        **openapi.LOOK_ERRORS,
    },
)
async def model(request: Request) -> Response:
    mixer = ServerState.of(request).mixer(choice_of(request))
    body = ModelResponse(
        model=model_name(mixer.model),
        crop_size=mixer.crop_size,
        licence=card_licence(mixer.card),
        limitations=card_limitations(mixer.card),
        card=jsonable(mixer.card),
    )
    return json_answer(body, {"X-Facemix-Model": str(mixer.model)})


@router.get(
    "/healthz",
    tags=["server"],
    summary="Whether the process lives, and the thread that runs the model",
    responses={200: openapi.ok("They do.", Health), 503: openapi.UNHEALTHY},
)
async def healthz(request: Request) -> Response:
    _refuse_if_ill(ServerState.of(request))
    return json_answer(Health(status="ok"))


@router.get(
    "/readyz",
    tags=["server"],
    summary="Whether the model is loaded and warm",
    responses={200: openapi.ok("It is.", Readiness), 503: openapi.UNAVAILABLE},
)
async def readyz(request: Request) -> Response:
    state = ServerState.of(request)
    mixer = state.mixer()
    _refuse_if_ill(state)
    # A server that is switched off stays ready: what takes it out of a balancer, or restarts it, would take along its
    # pages, the deletion of what is kept, and the word of why.
    generation: Literal["on", "halted"] = "on" if state.halt.error is None else "halted"
    return json_answer(Readiness(status="ready", model=model_name(mixer.model), generation=generation))


def _refuse_if_ill(state: ServerState) -> None:
    illness = state.ill()
    if illness is not None:
        raise EngineFailed(illness, hint="if it stays so, restart the server; its log says why", retry_after=5)
