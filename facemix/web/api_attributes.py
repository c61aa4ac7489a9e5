"""What can be changed about a mix: attributes, the words for them, and regions."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix import errors
from facemix.imaging.encode import encode_mask
from facemix.mixing.recipe import MOST_MOVED, REGIONS
from facemix.mixing.regions import TITLES, masks
from facemix.web import openapi
from facemix.web.answers import json_answer, tagged
from facemix.web.choosing import choice_of
from facemix.web.inputs import read_json
from facemix.web.reports import model_name
from facemix.web.schemas_parts import EmbeddedImage, Note_
from facemix.web.schemas_reference import (
    AttributeReport,
    AttributesResponse,
    EffectReport,
    PromptBody,
    PromptResponse,
    RegionReport,
    RegionsResponse,
    TermReport,
    UnknownReport,
    WordReport,
)
from facemix.web.state import MixerLike, ServerState

# Finer than the crop, so that a mask that is painted over a magnified picture has no steps.
MASK_SCALE = 2

NOT_MODIFIED = {"description": "The copy named by If-None-Match is still right."}
NO_DIRECTIONS = openapi.problem(
    "The model has no attribute directions.",
    errors.AttributesMissing,
    "facemix-128@3f0c1b7a9d2e has no attribute directions",
    "mix without words",
    where="prompt",
)
TOO_LONG = openapi.problem(
    "A prompt is too long, or the body is not what is expected.",
    errors.RequestInvalid,
    "prompt has 2311 characters; it takes at most 2000",
    "the page /docs describes every field",
    where="prompt",
)
BODY_TOO_LARGE = openapi.problem(
    "The body is too large.",
    errors.BodyTooLarge,
    "the request is larger than 33554432 bytes",
    "send less at once",
)
JSON_ONLY = openapi.problem(
    "The body is not JSON.",
    errors.MediaTypeUnsupported,
    "the body is 'text/plain'",
    "send application/json",
)

router = APIRouter(default_response_class=Response, tags=["mixing"])


# --- attributes and words ----------------------------------------------------------------------------------


@router.get(
    "/api/v1/attributes",
    summary="What can be moved, and the words for it",
    openapi_extra=openapi.MODEL_CHOICE,
    description="The attribute directions of the model that answers, with what each was measured to do, and the "
    "vocabulary of prompts.",
    responses={
        200: openapi.ok("Both; empty for a model without directions.", AttributesResponse),
        304: NOT_MODIFIED,
        **openapi.CHOICE_ERRORS,
        **openapi.LOOK_ERRORS,
    },
)
async def attributes(request: Request) -> Response:
    mixer = ServerState.of(request).mixer(choice_of(request))
    content = _attributes(mixer).model_dump_json().encode()
    return tagged(request, content, _tag(content), cache="no-cache", headers={"X-Facemix-Model": str(mixer.model)})


def _attributes(mixer: MixerLike) -> AttributesResponse:
    if mixer.attributes is None:
        return AttributesResponse(model=model_name(mixer.model), available=False, attributes=[], words=[])
    # Torch comes along, which the front before replicas can do without.
    from facemix.mixing.vocabulary import words

    reports = []
    for one in mixer.attributes.card.attributes:
        effects = {name: EffectReport(**effect.model_dump()) for name, effect in one.side_effects.items()}
        effect = None if one.effect is None else EffectReport(**one.effect.model_dump())
        figures = one.model_dump(include=set(AttributeReport.model_fields) - {"effect", "side_effects"})
        reports.append(AttributeReport(**figures, limit=MOST_MOVED, effect=effect, side_effects=effects))
    return AttributesResponse(
        model=model_name(mixer.model),
        available=True,
        attributes=reports,
        words=[WordReport(word=one.text, attribute=one.attribute, value=one.value) for one in words(mixer.attributes)],
    )


@router.post(
    "/api/v1/prompts",
    summary="What words mean",
    description="Nothing is drawn. The same words can be sent with a mix, as `prompt` and `negative_prompt`.",
    openapi_extra=openapi.json_body(PromptBody),
    responses={
        200: openapi.ok("What each word does to the attributes, and what was not understood.", PromptResponse),
        408: openapi.TIMEOUT,
        409: NO_DIRECTIONS,
        413: BODY_TOO_LARGE,
        415: JSON_ONLY,
        422: TOO_LONG,
        **openapi.LOOK_ERRORS,
    },
)
async def prompts(request: Request) -> Response:
    mixer = ServerState.of(request).mixer(choice_of(request))
    body = await read_json(request, PromptBody)
    return json_answer(await to_thread.run_sync(_prompt, mixer, body), {"X-Facemix-Model": str(mixer.model)})


def _prompt(mixer: MixerLike, body: PromptBody) -> PromptResponse:
    from facemix.mixing.vocabulary import parse

    if mixer.attributes is None:
        raise errors.AttributesMissing(
            f"{mixer.model} has no attribute directions", hint="mix without words", where="prompt"
        )
    found = parse(body.prompt, body.negative_prompt, mixer.attributes)
    return PromptResponse(
        attributes=found.attributes,
        terms=[TermReport(text=one.text, attribute=one.attribute, value=one.value) for one in found.terms],
        unknown=[UnknownReport(text=one.text, near=list(one.near)) for one in found.unknown],
        notes=[Note_(code=note.code, message=note.message) for note in found.notes],
    )


# --- regions -----------------------------------------------------------------------------------------------


@router.get(
    "/api/v1/regions",
    summary="Regions of the face, with their masks",
    openapi_extra=openapi.MODEL_CHOICE,
    description="They are the same for every face, as every face is aligned, and for every model.",
    responses={
        200: openapi.ok("All regions.", RegionsResponse),
        304: NOT_MODIFIED,
        **openapi.CHOICE_ERRORS,
        **openapi.LOOK_ERRORS,
    },
)
async def regions(request: Request) -> Response:
    mixer = ServerState.of(request).mixer(choice_of(request))
    content, tag = await to_thread.run_sync(_regions, MASK_SCALE * mixer.crop_size)
    return tagged(request, content, tag, cache="public, max-age=3600", headers={})


@lru_cache(maxsize=4)
def _regions(size: int) -> tuple[bytes, str]:
    reports = []
    for name, mask in zip(REGIONS, masks(size), strict=True):
        picture = base64.b64encode(encode_mask(mask)).decode("ascii")
        image = EmbeddedImage(media_type="image/png", width=size, height=size, base64=picture)
        reports.append(RegionReport(name=name, title=TITLES[name], mask=image))
    content = RegionsResponse(size=size, regions=reports).model_dump_json().encode()
    return content, _tag(content)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
