"""Batches: many mixes as one job."""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix.errors import RequestInvalid
from facemix.mixing.reading import MOST_VALUES
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.api_jobs import job_body
from facemix.web.batches import VALUES_OF_ITEM, BatchInput, batch_from_archive, batch_from_json, hold_faces, make_batch
from facemix.web.consent import note_consent
from facemix.web.inputs import json_body, read_photo_form
from facemix.web.inputs_form import ReplayFields, validated
from facemix.web.inputs_json import parse
from facemix.web.jobs import Progress, Result
from facemix.web.leaving import about
from facemix.web.mixes import owner_of
from facemix.web.schemas_batches import BatchBody, BatchResponse
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import has_photos
from facemix.web.work import do_work

_FIELDS = ("image_format", "portable")

router = APIRouter(default_response_class=Response, tags=["jobs"])


@router.post(
    "/api/v1/batches",
    summary="Start a batch of mixes",
    description="A ZIP archive with a table, `pairs.csv`, and the photographs that it names, or a list in JSON. The "
    "result of the job is a ZIP archive with a picture for each item and `manifest.json`: recipe and notes of each, or "
    "why there is none. Photographs are held in memory until the job has ended.",
    status_code=202,
    openapi_extra=openapi.request_body(
        {
            "archive": {**openapi.BINARY, "description": "a ZIP archive with pairs.csv and photographs"},
            "image_format": {"type": "string", "enum": list(openapi.IMAGE_TYPES), "default": "image/png"},
            "portable": {"type": "boolean", "default": False},
        },
        BatchBody,
    ),
    responses={202: openapi.ok("It is queued.", BatchResponse), **openapi.UPLOAD_ERRORS},
)
async def batches(request: Request) -> Response:
    state = ServerState.of(request)

    async def work(mixer: MixerLike, wanted: BatchInput, deadline: float) -> Response:
        owner, whose = owner_of(request), about(request, mixer.model)
        sender = getattr(request.state, "sender", None)
        held = state.holds.new()
        await hold_faces(state, mixer, wanted, owner, held, deadline)

        async def make(progress: Progress) -> Result:
            await state.check_budget(sender)  # what was spent while it waited counts, too
            async with state.lease(mixer.model) as live:
                return await make_batch(state, live, wanted.items, replace(whose, model=live.model), progress, held)

        job = await state.jobs.submit(
            "batch", len(wanted.items), make, owner=owner, holds=wanted.bytes + held.bytes, release=held.clear
        )
        body = BatchResponse(job=job_body(job, request))
        return json_answer(body, {"Location": body.job.url, "Cache-Control": "no-store"}, status=202)

    # Nothing of it is drawn now.
    return await do_work(request, lambda: _read(request), lambda wanted: 0, work)


async def _read(request: Request) -> BatchInput:
    settings = ServerState.of(request).settings
    body = await json_body(request, form="an archive")
    if body is not None:
        most = MOST_VALUES + VALUES_OF_ITEM * settings.max_items
        wanted = await to_thread.run_sync(lambda: batch_from_json(parse(BatchBody, body, most), settings, len(body)))
        note_consent(request, any(has_photos(item.read().parents) for item in wanted.items))
        return wanted
    form = await read_photo_form(request, settings, files=("archive",), fields=_FIELDS, most=settings.max_body_bytes)
    if "archive" not in form.files:
        raise RequestInvalid("there is no archive", hint="send a ZIP archive as the field archive", where="archive")
    fields = validated(ReplayFields, form.fields)
    return await to_thread.run_sync(
        batch_from_archive, form.files["archive"], settings, fields.image_format, fields.portable
    )
