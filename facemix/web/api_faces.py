"""Faces: found in a photo, kept for a while to be mixed by id, listed, and forgotten."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from facemix.errors import FacemixError
from facemix.mixing.recipe import PhotoParent
from facemix.serving.types import Cost, FoundPhoto, PhotoInput
from facemix.web import openapi
from facemix.web.answers import JSON, json_answer
from facemix.web.deletions import gone
from facemix.web.inputs import read_photo
from facemix.web.kept_faces import KeptFace
from facemix.web.mixes import keyed_owner, owner_of
from facemix.web.negotiation import negotiate
from facemix.web.problems import request_id
from facemix.web.reports import FACES_SHOWN, face_reports, model_name
from facemix.web.schemas_faces import FacesResponse, PhotoReport
from facemix.web.schemas_kept import KeptFaceBody, KeptFacesResponse
from facemix.web.state import MixerLike, ServerState
from facemix.web.work import charge, do_work

# What registering the faces of a photo may cost on top of looking at it, in frames; known only once it was looked at.
EXPECTED_FACES = 1
FRAMES_OF_PHOTO = 1 + EXPECTED_FACES
# The photo is decoded anew for each, so a crowd would cost as many photos.
MOST_CUTS = 4

log = logging.getLogger("facemix.web")

router = APIRouter(default_response_class=Response, tags=["faces"])


@router.post(
    "/api/v1/faces",
    summary="Find the faces of a photo, and keep them to be mixed by id",
    description="All faces, largest first, with what the quality gates say of each. Those that can be mixed get an "
    "`id`, which stands for the photo in further requests until `expires_at`: what is kept until then is a latent. "
    "What `detail` takes of the photo, the aligned face of at most 512 pixels, stays in memory alone and for a shorter "
    f"while (`FACEMIX_CACHE_SECONDS`), that of the {MOST_CUTS} largest of them; the photo itself is never kept. Where "
    "no face is found, `left_eye`, `right_eye` and `mouth` say where it is.",
    openapi_extra=openapi.FACES_BODY,
    responses={
        200: openapi.ok("The faces; never an empty list.", FacesResponse),
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def faces(request: Request) -> Response:
    state = ServerState.of(request)
    negotiate(request.headers.get("accept"), (JSON,))

    async def work(mixer: MixerLike, photo: PhotoInput, deadline: float) -> Response:
        watched = replace(photo, watch=state.photo_limits)
        found = await mixer.find_faces(watched, deadline=deadline)
        kept, cost = await _keep(request, mixer, photo, found, deadline)
        charge(request, mixer, cost)
        return await mixer.write(_answer, found, kept, request)

    return await do_work(request, lambda: read_photo(request, state.settings), lambda photo: FRAMES_OF_PHOTO, work)


async def _keep(
    request: Request, mixer: MixerLike, photo: PhotoInput, found: FoundPhoto, deadline: float
) -> tuple[dict[int, KeptFace], Cost]:
    """The faces that can be mixed, by their index."""
    usable = [face for face in found.faces[:FACES_SHOWN] if face.refusal is None]
    if not usable:
        return {}, Cost()
    state = ServerState.of(request)
    more = max(0, len(usable) - EXPECTED_FACES)  # a crowd is known for one only by now
    with state.admission.ticket(more, beside=FRAMES_OF_PHOTO):
        latents, cost = await mixer.encode(np.stack([face.crop for face in usable]), deadline=deadline)
        try:
            await mixer.keep_cuts(photo, found, [face.index for face in usable[:MOST_CUTS]], deadline=deadline)
        except FacemixError as error:  # the face is as good without; a mix with detail asks for the photo
            log.info("the faces of a photo are kept without their detail: %s", error.code)
    store, owner = state.stores.faces, owner_of(request)
    kept = {}
    for face, z in zip(usable, latents, strict=True):
        parent = PhotoParent(sha256=found.sha256, face=face.index, placed=photo.placed, weight=1)
        kept[face.index] = await store.put(
            z, parent, mixer.model, owner=owner, credentials=found.credentials, quality=face.quality
        )
    return kept, cost


def _answer(found: FoundPhoto, kept: dict[int, KeptFace], request: Request) -> Response:
    return json_answer(
        FacesResponse(
            request_id=request_id(request),
            image=PhotoReport(width=found.width, height=found.height, notes=list(found.notes)),
            sha256=found.sha256,
            count=len(found.faces),
            faces=face_reports(found, kept, request),
        )
    )


@router.get(
    "/api/v1/faces",
    summary="The faces that are kept for an API key",
    description="Newest first. Faces that were uploaded without a key are known by their ids alone and never listed.",
    responses={
        200: openapi.ok("A page of them.", KeptFacesResponse),
        **openapi.keyed_errors("a key is needed to list faces", "send it as Authorization: Bearer ..."),
    },
)
async def kept_faces(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> Response:
    owner = keyed_owner(request, "faces")
    state = ServerState.of(request)
    found, following = await state.stores.faces.list(owner=owner, limit=limit, after=cursor)
    return json_answer(KeptFacesResponse(items=[described(face, state) for face in found], next=following))


@router.get(
    "/api/v1/faces/{identity}",
    summary="Until when a face is kept",
    responses={200: openapi.ok("What is kept of it.", KeptFaceBody), **openapi.KEPT_ERRORS},
)
async def kept_face(request: Request, identity: str) -> Response:
    state = ServerState.of(request)
    face = await state.stores.faces.get(identity, owner=owner_of(request))
    return json_answer(described(face, state))


@router.delete(
    "/api/v1/faces/{identity}",
    summary="Forget a face at once",
    status_code=204,
    responses={204: {"description": "It is gone."}, **openapi.KEPT_ERRORS},
)
async def forget_face(request: Request, identity: str) -> Response:
    state, owner = ServerState.of(request), owner_of(request)
    face = await state.stores.faces.get(identity, owner=owner)
    await state.stores.faces.delete(identity, owner=owner)
    state.forget(face.parent.sha256)  # of the memory, too
    return gone(request, "face", identity)


def described(face: KeptFace, state: ServerState) -> KeptFaceBody:
    return KeptFaceBody(
        id=face.id,
        created_at=face.created_at,
        expires_at=face.expires_at,
        sha256=face.parent.sha256,
        index=face.parent.face,
        model=model_name(face.model),
        usable=state.models.made_by(face.model) is not None,
        purpose=face.purpose,
    )
