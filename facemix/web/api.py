"""The endpoints under ``/api/v1`` and the two for machines that watch the server."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from facemix.errors import EngineFailed
from facemix.imaging.encode import MediaType, encode_image
from facemix.serving.types import Cost, FoundPhoto, MixResult, PhotoInput, StripResult
from facemix.web import openapi
from facemix.web.card import card_licence, card_limitations
from facemix.web.inputs import MixInput, StripInput, read_mix, read_photo, read_strip
from facemix.web.negotiation import negotiate
from facemix.web.problems import jsonable, request_id
from facemix.web.reports import embed, face_reports, frame_sheet, model_name, parent_report, server_timing
from facemix.web.schemas import (
    FacesResponse,
    Health,
    MixResponse,
    ModelResponse,
    PhotoReport,
    Readiness,
    StripResponse,
)
from facemix.web.state import MixerLike, ServerState
from facemix.web.work import charge, do_work, frames_of, mix_wanted

JSON = "application/json"
IMAGE_TYPES = openapi.IMAGE_TYPES
SAMPLE_TYPES = ("image/webp", "image/png", "image/jpeg")

router = APIRouter(default_response_class=Response)


def _json(body: BaseModel, **headers: str) -> Response:
    return Response(body.model_dump_json().encode(), media_type=JSON, headers=headers)


def _ok(description: str, model: type[BaseModel], content: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "content": {JSON: openapi.json_content(model), **(content or {})},
        "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER},
    }


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
            **_ok("The mix.", MixResponse, openapi.image_content()),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def mix(request: Request) -> Response:
    state = ServerState.of(request)
    media_type = negotiate(request.headers.get("accept"), (JSON, *IMAGE_TYPES))

    async def work(mixer: MixerLike, wanted: MixInput, deadline: float) -> Response:
        result = await mix_wanted(mixer, wanted, deadline)
        charge(request, mixer, result.cost, result.stage_ms)
        return await mixer.write(_mix_file, mixer, wanted, result, media_type, request)

    return await do_work(
        request,
        lambda: read_mix(request, state.settings),
        lambda wanted: frames_of(wanted.parents, 1),
        work,
    )


def _mix_file(
    mixer: MixerLike, wanted: MixInput, result: MixResult, media_type: MediaType | str, request: Request
) -> Response:
    headers = {"X-Facemix-Model": str(mixer.model), "Vary": "Accept"}
    started = time.perf_counter()
    if media_type != JSON:
        content = encode_image(result.image, media_type)
        return Response(content, media_type=media_type, headers=headers | _timing(result.stage_ms, started))
    body = MixResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        recipe=result.recipe,
        faces=[parent_report(used, given) for used, given in zip(result.parents, wanted.parents, strict=True)],
        image=embed(result.image, wanted.image_format),
    )
    response = _json(body, **headers)
    response.headers.update(_timing(result.stage_ms, started))
    return response


def _timing(stage_ms: dict[str, float], writing_since: float) -> dict[str, str]:
    stage_ms["write"] = (time.perf_counter() - writing_since) * 1000
    return {"Server-Timing": server_timing(stage_ms)}


@router.post(
    "/api/v1/strip",
    tags=["mixing"],
    summary="All frames between two faces",
    description="What the page fetches once and scrubs through: `steps` frames with rising weight of the "
    "second face, laid out as a grid in one picture.",
    openapi_extra=openapi.STRIP_BODY,
    responses={
        200: {
            **_ok("The frames.", StripResponse),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def strip(request: Request) -> Response:
    state = ServerState.of(request)
    negotiate(request.headers.get("accept"), (JSON,))

    async def work(mixer: MixerLike, wanted: StripInput, deadline: float) -> Response:
        result = await mixer.strip(
            *wanted.parents,
            steps=wanted.steps,
            interpolation=wanted.interpolation,
            vividness=wanted.vividness,
            seed=wanted.seed,
            deadline=deadline,
        )
        charge(request, mixer, result.cost, result.stage_ms)
        return await mixer.write(_strip_file, mixer, wanted, result, request)

    return await do_work(
        request,
        lambda: read_strip(request, state.settings),
        lambda wanted: frames_of(wanted.parents, wanted.steps),
        work,
    )


def _strip_file(mixer: MixerLike, wanted: StripInput, result: StripResult, request: Request) -> Response:
    started = time.perf_counter()
    body = StripResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        recipe=result.recipes[len(result.recipes) // 2],
        faces=[parent_report(used, given) for used, given in zip(result.parents, wanted.parents, strict=True)],
        weights=list(result.weights),
        frames=frame_sheet(result.frames),
    )
    response = _json(body, **{"X-Facemix-Model": str(mixer.model)})
    response.headers.update(_timing(result.stage_ms, started))
    return response


# --- faces and samples -------------------------------------------------------------------------------------


@router.post(
    "/api/v1/faces",
    tags=["faces"],
    summary="Find the faces of a photo",
    description="All faces, largest first, with what the quality gates say of each.",
    openapi_extra=openapi.FACES_BODY,
    responses={
        200: _ok("The faces; never an empty list.", FacesResponse),
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def faces(request: Request) -> Response:
    state = ServerState.of(request)
    negotiate(request.headers.get("accept"), (JSON,))

    async def work(mixer: MixerLike, photo: PhotoInput, deadline: float) -> Response:
        found = await mixer.find_faces(photo, deadline=deadline)
        charge(request, mixer, Cost())
        return await mixer.write(_faces_file, found, request)

    return await do_work(request, lambda: read_photo(request, state.settings), lambda photo: 1, work)


def _faces_file(found: FoundPhoto, request: Request) -> Response:
    body = FacesResponse(
        request_id=request_id(request),
        image=PhotoReport(width=found.width, height=found.height, notes=list(found.notes)),
        count=len(found.faces),
        faces=face_reports(found, request),
    )
    return _json(body)


@router.get(
    "/api/v1/samples/{number}",
    tags=["faces"],
    summary="A face of nobody",
    description="Drawn from the model's prior. The same model, number and seed give the same face, so the "
    "answer may be kept and has an `ETag`.",
    responses={
        200: {"description": "The picture.", "content": openapi.image_content()},
        304: {"description": "The copy named by If-None-Match is still right."},
        406: openapi.NOT_ACCEPTABLE,
        422: openapi.problem(
            "The number is out of range.",
            openapi.errors.RequestInvalid,
            "number: Input should be greater than or equal to 0 (it is '-1')",
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
    state = ServerState.of(request)
    mixer = state.mixer()
    media_type = f"image/{kind}" if kind else negotiate(request.headers.get("accept"), SAMPLE_TYPES)
    tag = f'"{mixer.model.weights[:16]}-{seed}-{number}-{media_type.partition("/")[2]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=3600",
        "X-Facemix-Model": str(mixer.model),
        "Vary": "Accept",
    }
    known = [item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    content = await state.sample_file(
        number, seed, media_type, lambda drawn: charge(request, mixer, drawn.cost, drawn.stage_ms)
    )
    return Response(content, media_type=media_type, headers=headers)


# --- the model and the server ------------------------------------------------------------------------------


@router.get(
    "/api/v1/model",
    tags=["model"],
    summary="Which model answers",
    responses={
        200: _ok("Its identity, its card and its terms.", ModelResponse),
        500: openapi.INTERNAL,
        503: openapi.UNAVAILABLE,
    },
)
async def model(request: Request) -> Response:
    mixer = ServerState.of(request).mixer()
    body = ModelResponse(
        model=model_name(mixer.model),
        crop_size=mixer.crop_size,
        licence=card_licence(mixer.card),
        limitations=card_limitations(mixer.card),
        card=jsonable(mixer.card),
    )
    return _json(body, **{"X-Facemix-Model": str(mixer.model)})


@router.get(
    "/healthz",
    tags=["server"],
    summary="Whether the process lives, and the thread that runs the model",
    responses={200: _ok("They do.", Health), 503: openapi.UNHEALTHY},
)
async def healthz(request: Request) -> Response:
    _refuse_if_ill(ServerState.of(request))
    return _json(Health(status="ok"))


@router.get(
    "/readyz",
    tags=["server"],
    summary="Whether the model is loaded and warm",
    responses={200: _ok("It is.", Readiness), 503: openapi.UNAVAILABLE},
)
async def readyz(request: Request) -> Response:
    state = ServerState.of(request)
    mixer = state.mixer()
    _refuse_if_ill(state)
    return _json(Readiness(status="ready", model=model_name(mixer.model)))


def _refuse_if_ill(state: ServerState) -> None:
    illness = state.ill()
    if illness is not None:
        raise EngineFailed(illness, hint="if it stays so, restart the server; its log says why", retry_after=5)
