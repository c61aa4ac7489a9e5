"""Animations, and the jobs that make them and batches."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from facemix.serving.admission import frames_to_draw
from facemix.web import openapi
from facemix.web.animations import (
    AnimationInput,
    animation_input,
    check_keepable,
    check_remembered,
    film_of,
    make_film,
)
from facemix.web.answers import json_answer
from facemix.web.consent import note_consent
from facemix.web.deletions import gone
from facemix.web.inputs import read_json
from facemix.web.jobs import Job, Progress, Result
from facemix.web.leaving import about
from facemix.web.links import absolute
from facemix.web.mixes import keyed_owner, owner_of
from facemix.web.parents import frames_of
from facemix.web.schemas_jobs import AnimationBody, AnimationResponse, JobBody, JobsResponse
from facemix.web.schemas_parts import Note_
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import has_photos
from facemix.web.work import charge, do_work

router = APIRouter(default_response_class=Response, tags=["jobs"])


@router.post(
    "/api/v1/animations",
    summary="Start an animation",
    description="A film through any number of faces made of the same parents. What can be refused is refused at once; "
    "the drawing is a job, whose address is in `Location`. Photos are not held while it waits; with "
    "`detail` their aligned faces are, in memory, until it has ended.",
    status_code=202,
    openapi_extra=openapi.json_body(AnimationBody, photos=True),
    responses={202: openapi.queued(AnimationResponse), **openapi.UPLOAD_ERRORS},
)
async def animations(request: Request) -> Response:
    state = ServerState.of(request)

    async def read() -> AnimationInput:
        body = await read_json(request, AnimationBody)
        wanted = await to_thread.run_sync(animation_input, body, state.settings)  # it decodes megabytes of base64
        note_consent(request, has_photos(wanted.parents))
        check_keepable(wanted, state.settings)
        check_remembered(wanted, state.settings)
        return wanted

    async def work(mixer: MixerLike, wanted: AnimationInput, deadline: float) -> Response:
        held = state.holds.new()
        film, recipes, notes, cost = await film_of(request, mixer, wanted, deadline, held)
        charge(request, mixer, cost)
        whose = about(request, film.model)  # the request itself would keep its photos for as long as the job waits

        sender = getattr(request.state, "sender", None)

        async def make(progress: Progress) -> Result:
            await state.check_budget(sender)  # what was spent while it waited counts, too
            async with state.lease(film.model) as live:
                return await make_film(state, live, film, progress, whose)

        job = await state.jobs.submit(
            "animation", len(film.specs), make, owner=owner_of(request), holds=held.bytes, release=held.clear
        )
        body = AnimationResponse(
            job=job_body(job, request),
            recipes=list(recipes),
            notes=[Note_(code=note.code, message=note.message) for note in notes],
        )
        return json_answer(body, {"Location": body.job.url, "Cache-Control": "no-store"}, status=202)

    return await do_work(
        request,
        read,
        lambda wanted: frames_of(
            wanted.parents, frames_to_draw(wanted.wanted.edits, len(wanted.parents), len(wanted.stops))
        ),
        work,
    )


def job_body(job: Job, request: Request) -> JobBody:
    url = absolute(request, f"/api/v1/jobs/{job.id}")
    return JobBody(
        id=job.id,
        kind=job.kind,
        state=job.state,
        done=job.done,
        total=job.total,
        created_at=job.created_at,
        expires_at=job.expires_at,
        media_type=job.media_type,
        filename=job.filename,
        bytes=job.bytes,
        notes=list(job.notes),
        problem=job.problem,
        url=url,
        result_url=f"{url}/result" if job.state == "done" else None,
    )


@router.get(
    "/api/v1/jobs",
    summary="The jobs of an API key",
    description="Newest first. Jobs that were started without a key are known by their ids alone and never listed.",
    responses={
        200: openapi.ok("A page of them.", JobsResponse),
        **openapi.keyed_errors("a key is needed to list jobs", "send it as Authorization: Bearer ..."),
    },
)
async def jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> Response:
    owner = keyed_owner(request, "jobs")
    found, following = await ServerState.of(request).jobs.list(owner=owner, limit=limit, after=cursor)
    return json_answer(JobsResponse(items=[job_body(job, request) for job in found], next=following))


@router.get(
    "/api/v1/jobs/{identity}",
    summary="How a job stands",
    responses={200: openapi.ok("Its state.", JobBody), **openapi.KEPT_ERRORS},
)
async def job(request: Request, identity: str) -> Response:
    found = await ServerState.of(request).jobs.get(identity, owner=owner_of(request))
    return json_answer(job_body(found, request), {"Cache-Control": "no-store"})


@router.get(
    "/api/v1/jobs/{identity}/result",
    summary="What a job has made",
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {"schema": openapi.BINARY}}},
        409: openapi.UNFINISHED,
        **openapi.KEPT_ERRORS,
    },
)
async def job_result(request: Request, identity: str) -> Response:
    found, data = await ServerState.of(request).jobs.result(identity, owner=owner_of(request))
    headers = {"Content-Disposition": f'attachment; filename="{found.filename}"', "Cache-Control": "no-store"}
    return Response(data, media_type=found.media_type, headers=headers)


@router.delete(
    "/api/v1/jobs/{identity}",
    summary="Cancel a job, or forget it and its result",
    status_code=204,
    responses={204: {"description": "It is gone."}, **openapi.KEPT_ERRORS},
)
async def cancel_job(request: Request, identity: str) -> Response:
    await ServerState.of(request).jobs.delete(identity, owner=owner_of(request))
    return gone(request, "job", identity)
