"""Grids: many mixes of the same faces in one answer."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix.imaging.sheet import labelled_sheet
from facemix.mixing.notes import Note
from facemix.serving.types import FramesResult
from facemix.web import openapi
from facemix.web.answers import JSON, json_answer, timing
from facemix.web.consent import note_consent
from facemix.web.grids import GridInput, grid_input
from facemix.web.inputs import read_json
from facemix.web.leaving import release_frames
from facemix.web.mixes import resolver, settled
from facemix.web.negotiation import negotiate
from facemix.web.parents import frames_of
from facemix.web.problems import request_id
from facemix.web.release import named
from facemix.web.reports import frame_sheet, model_name, parent_reports
from facemix.web.schemas_grids import GridBody, GridCell, GridResponse
from facemix.web.schemas_parts import Note_
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import has_photos
from facemix.web.work import charge, do_work

router = APIRouter(default_response_class=Response, tags=["mixing"])


@router.post(
    "/api/v1/grids",
    summary="A grid of mixes",
    description="Of each parent with the first, of every pair, between four corners, or of variations of one mix. The "
    "answer is JSON with all faces on one sheet and a recipe for each, or a sheet with labels if `Accept` names an "
    "image type.",
    openapi_extra=openapi.json_body(GridBody, photos=True),
    responses={
        200: {
            **openapi.ok("The grid.", GridResponse, openapi.image_content()),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        **openapi.HELD,
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def grids(request: Request) -> Response:
    state = ServerState.of(request)
    media_type = negotiate(request.headers.get("accept"), (JSON, *openapi.IMAGE_TYPES))

    async def read() -> GridInput:
        body = await read_json(request, GridBody)
        wanted = await to_thread.run_sync(grid_input, body, state.settings)  # it decodes megabytes of base64
        note_consent(request, has_photos(wanted.parents))
        return wanted

    async def work(mixer: MixerLike, wanted: GridInput, deadline: float) -> Response:
        made, notes = await _made(request, mixer, wanted, deadline)
        charge(request, mixer, made.cost, made.stage_ms)
        await release_frames(request, mixer, made)
        return await mixer.write(_file, mixer, wanted, made, notes, media_type, request)

    return await do_work(request, read, lambda wanted: frames_of(wanted.parents, wanted.drawn), work)


async def _made(
    request: Request, mixer: MixerLike, wanted: GridInput, deadline: float
) -> tuple[FramesResult, tuple[Note, ...]]:
    """A frame and a recipe for each cell, row by row, and what is to be said about the words of prompts."""
    resolve = resolver(request, mixer, deadline)
    parents = await resolve.parents(wanted.parents)
    edits, notes = settled(mixer, wanted.wanted)
    made = await mixer.frames(parents, wanted.specs(edits), deadline=deadline)
    recipes = made.recipes
    if wanted.portable:
        recipes = tuple(recipe.portable(made.latents) for recipe in recipes)
    return replace(
        made,
        frames=made.frames[list(wanted.places)],
        recipes=tuple(recipes[place] for place in wanted.places),
        margins=None if made.margins is None else tuple(made.margins[place] for place in wanted.places),
        cost=resolve.cost + made.cost,
    ), notes


def _file(
    mixer: MixerLike,
    wanted: GridInput,
    made: FramesResult,
    notes: tuple[Note, ...],
    media_type: str,
    request: Request,
) -> Response:
    headers = {"X-Facemix-Model": str(mixer.model), "Vary": "Accept"}
    started = time.perf_counter()
    release = ServerState.of(request).release
    if media_type != JSON:
        recipe = named(made.recipes)
        cells = release.mark(made.frames, recipe).reshape(wanted.rows, wanted.columns, *made.frames.shape[1:])
        sheet = labelled_sheet(cells, wanted.grid.rows, wanted.grid.columns, caption=f"{wanted.caption} {mixer.model}")
        content = release.file(sheet, media_type, recipe, made.parents)
        return Response(content, media_type=media_type, headers=headers | timing(made.stage_ms, started))
    places = itertools.product(range(wanted.rows), range(wanted.columns))
    body = GridResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        kind=wanted.kind,
        rows=wanted.rows,
        columns=wanted.columns,
        row_labels=list(wanted.grid.rows),
        column_labels=list(wanted.grid.columns),
        cells=[
            GridCell(row=row, column=column, weights=list(recipe.weights), recipe=recipe)
            for (row, column), recipe in zip(places, made.recipes, strict=True)
        ],
        faces=parent_reports(made.parents, made.recipes[0]),
        notes=[Note_(code=note.code, message=note.message) for note in notes],
        sheet=frame_sheet(release, made, wanted.image_format, columns=wanted.columns),
    )
    response = json_answer(body, headers)
    response.headers.update(timing(made.stage_ms, started))
    return response
