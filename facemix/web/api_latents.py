"""The endpoints by which a face leaves as a signed file and comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix.errors import LatentRefused, RequestInvalid, SignatureInvalid
from facemix.serving.replay import check_model
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.api_faces import described
from facemix.web.governed import Governed
from facemix.web.inputs import read_json
from facemix.web.latent_files import VALID_DAYS, LatentFiles
from facemix.web.mixes import owner_of
from facemix.web.schemas_kept import ImportBody, KeptFaceBody, LatentFileBody
from facemix.web.state import ServerState

router = APIRouter(default_response_class=Response, tags=["faces"])


@router.get(
    "/api/v1/faces/{identity}/latent",
    summary="Take a face away as a signed file",
    description="The latent with its model, owner, purpose, expiry and what the gates measured of the face, signed by "
    "this installation. Whoever has the file has the face, also after it was deleted here.",
    responses={200: openapi.ok("The file, as text.", LatentFileBody), **openapi.KEPT_ERRORS},
)
async def export_latent(request: Request, identity: str) -> Response:
    files, owner = _files(request), owner_of(request)
    face = await ServerState.of(request).stores.faces.get(identity, owner=owner)
    now = datetime.now(UTC)
    body = LatentFileBody(
        latent=files.write(face, owner, now=now),
        public_key=files.public_key,
        expires_at=now + timedelta(days=VALID_DAYS),
    )
    return json_answer(body, {"Cache-Control": "no-store"})


@router.post(
    "/api/v1/latents",
    summary="Bring a face back from a signed file",
    description="It is kept as an uploaded face is, under a new id. Its model must be live.",
    status_code=201,
    openapi_extra=openapi.json_body(ImportBody),
    responses={
        **openapi.KEPT_ERRORS,
        201: openapi.ok("It is kept.", KeptFaceBody),
        409: openapi.OTHER_MODEL,
        413: openapi.problem(
            "The body is too large.",
            openapi.errors.BodyTooLarge,
            "the request body is longer than 33554432 bytes",
            "send smaller files",
        ),
        422: openapi.problem(
            f"It was changed (`{SignatureInvalid.code}`), or its time is over, or it is no face "
            f"(`{LatentRefused.code}`).",
            SignatureInvalid,
            "it was changed after it was signed, or is something else than it is taken for",
            "send it exactly as it was given out",
            where="latent",
        ),
    },
)
async def import_latent(request: Request) -> Response:
    files, owner, state = _files(request), owner_of(request), ServerState.of(request)
    body = await read_json(request, ImportBody)
    try:
        read = await to_thread.run_sync(files.read, body.latent, owner)
    except RequestInvalid as refusal:
        raise refusal.at("latent") from None
    async with state.lease(read.model) as mixer:
        check_model(read.model, mixer.model, where="latent")
        if len(read.z) != mixer.latent_size:
            raise LatentRefused(
                f"the latent has {len(read.z)} numbers; those of {mixer.model} have {mixer.latent_size}",
                hint="send it exactly as it was given out",
                where="latent",
            )
        mixer.check_outside(read.z, where="latent")
    kept = await state.stores.faces.put(
        read.z, read.parent, read.model, owner=owner, credentials=read.credentials, quality=read.quality
    )
    return json_answer(described(kept, state), {"Cache-Control": "no-store"}, status=201)


def _files(request: Request) -> LatentFiles:
    governed = Governed.of(request)
    return LatentFiles(governed.secrets, tuple(governed.settings.latent_signers.replace(",", " ").split()))
