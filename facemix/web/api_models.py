"""Which models there are, and the JSON Schemas of what may be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from facemix.errors import NotFound, RequestInvalid
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.card import card_licence, card_limitations
from facemix.web.catalogue import Entry, catalogue
from facemix.web.live_models import Held
from facemix.web.problems import jsonable
from facemix.web.published import PUBLISHED, json_schema, name_of
from facemix.web.reports import model_name
from facemix.web.schemas_reference import ListedModel, ListedSchema, ModelsResponse, SchemaDocument, SchemasResponse
from facemix.web.state import ServerState

WEIGHTS_FILE = "model.safetensors"
UNKNOWN_CURSOR = openapi.problem(
    "The limit is out of range, or the cursor names no model.",
    RequestInvalid,
    "the cursor 'facemix-64@3f0c1b7a9d2e' names no model",
    "take `next` of the page before",
    where="cursor",
)
NO_SUCH_SCHEMA = openapi.problem(
    "There is no such schema.",
    NotFound,
    "there is no schema 'grids'",
    f"the schemas are {', '.join(PUBLISHED)}",
    where="name",
)

router = APIRouter(default_response_class=Response)


# --- models ------------------------------------------------------------------------------------------------


@router.get(
    "/api/v1/models",
    tags=["model"],
    summary="Which models there are",
    responses={
        200: openapi.ok("A page of them.", ModelsResponse),
        422: UNKNOWN_CURSOR,
        **openapi.LOOK_ERRORS,
    },
)
async def models(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> Response:
    state = ServerState.of(request)
    return json_answer(await to_thread.run_sync(_models, state, limit, cursor))


def _models(state: ServerState, limit: int, cursor: str | None) -> ModelsResponse:
    live = state.models.answering()
    found = [
        entry
        for entry in catalogue(state.settings, state.loaded, live)
        if entry.live or (entry.folder is not None and (entry.folder / WEIGHTS_FILE).is_file())
    ]
    start = 0
    if cursor is not None:
        places = [place for place, entry in enumerate(found, 1) if entry.id == cursor]
        if not places:
            raise RequestInvalid(
                f"the cursor {cursor!r} names no model", hint="take `next` of the page before", where="cursor"
            )
        (start,) = places
    page = found[start : start + limit]
    return ModelsResponse(
        items=[_listed(entry, live) for entry in page],
        next=page[-1].id if page and start + limit < len(found) else None,
    )


def _listed(entry: Entry, live: Sequence[Held]) -> ListedModel:
    card = jsonable(dict(entry.card))
    mixer = next((one.mixer for one in live if entry.model.same_latents_as(one.mixer.model)), None)
    if mixer is not None:
        size, count = mixer.crop_size, 0 if mixer.attributes is None else len(mixer.attributes.names)
    else:
        config, directions = card.get("config"), (entry.attributes or {}).get("attributes")
        size = config.get("crop_size") if isinstance(config, dict) else None
        count = len(directions) if isinstance(directions, list) else 0
    return ListedModel(
        model=model_name(entry.model),
        status="live" if entry.live else "available",
        default=entry.default,
        crop_size=size if isinstance(size, int) else None,
        licence=card_licence(card),
        limitations=card_limitations(card),
        attributes=count,
    )


# --- schemas -----------------------------------------------------------------------------------------------


@router.get(
    "/api/v1/schemas",
    tags=["server"],
    summary="JSON Schemas of the recipe and of what may be sent",
    responses={200: openapi.ok("Their names.", SchemasResponse), **openapi.LOOK_ERRORS},
)
async def schemas(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    return json_answer(
        SchemasResponse(
            items=[
                ListedSchema(
                    name=name,
                    id=name_of(name),
                    version=one.version,
                    title=one.title,
                    url=f"{root}/api/v1/schemas/{name}",
                )
                for name, one in PUBLISHED.items()
            ]
        )
    )


@router.get(
    "/api/v1/schemas/{name}",
    tags=["server"],
    summary="One JSON Schema",
    responses={200: openapi.ok("The schema.", SchemaDocument), 404: NO_SUCH_SCHEMA, **openapi.LOOK_ERRORS},
)
async def schema(name: str) -> Response:
    if name not in PUBLISHED:
        raise NotFound(
            f"there is no schema {name[:80]!r}", hint=f"the schemas are {', '.join(PUBLISHED)}", where="name"
        )
    return json_answer(SchemaDocument(json_schema(name)))
