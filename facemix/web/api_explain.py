"""Why a face looks as it does, and what it was made under."""

from __future__ import annotations

import json
import logging
import re
import time
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from facemix.errors import DatasetError, RecordMissing
from facemix.serving.explain import Explained
from facemix.serving.training_faces import TrainingFaces
from facemix.storage.records import Records
from facemix.web import openapi
from facemix.web.access import closed
from facemix.web.answers import JSON, json_answer, timing
from facemix.web.explanations import answer_of, check_explainable, explain_wanted, frames_of_explanation
from facemix.web.governed import Governed
from facemix.web.inputs import read_mix
from facemix.web.leaving import release_mix
from facemix.web.mixes import owner_of
from facemix.web.negotiation import negotiate
from facemix.web.schemas_explain import ExplainResponse, RecordResponse
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput
from facemix.web.work import charge, do_work

log = logging.getLogger("facemix.web")

# As the server makes them: 122 bits that nobody guesses.
_MADE_HERE = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\Z")
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")  # as every id of a request is

router = APIRouter(default_response_class=Response, tags=["explaining"])


@router.post(
    "/api/v1/explain",
    summary="Why a face looks as it does",
    description="Takes what `POST /api/v1/mix` takes and answers, instead of the picture, which parent drew which part "
    "of it, what each edit moved, which training faces are nearest and whether they are nearer than they should be, "
    "and the conditioning record. With one parent it tells about that face.",
    openapi_extra=openapi.MIX_BODY,
    responses={
        200: {
            **openapi.ok("The explanation.", ExplainResponse),
            "headers": {"X-Request-Id": openapi.REQUEST_ID_HEADER, "X-Facemix-Model": openapi.MODEL_HEADER},
        },
        **openapi.HELD,
        406: openapi.NOT_ACCEPTABLE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def explain(request: Request) -> Response:
    state = ServerState.of(request)
    negotiate(request.headers.get("accept"), (JSON,))

    async def work(mixer: MixerLike, wanted: MixInput, deadline: float) -> Response:
        found = await explain_wanted(request, mixer, wanted, deadline)
        charge(request, mixer, found.cost, found.stage_ms)
        await release_mix(request, mixer, found.result)
        return await mixer.write(_answer, request, mixer, wanted, found)

    async def read() -> MixInput:
        wanted = await read_mix(request, state.settings)
        check_explainable(wanted)
        return wanted

    return await do_work(request, read, frames_of_explanation(state.settings), work)


def _answer(request: Request, mixer: MixerLike, wanted: MixInput, found: Explained) -> Response:
    settings, started = ServerState.of(request).settings, time.perf_counter()
    body = answer_of(request, mixer, settings, wanted, found, _training_faces(settings.training_data))
    request.state.recipe_hash = found.recipe.hash
    request.state.record = body.record
    response = json_answer(body, {"X-Facemix-Model": str(mixer.model)})
    response.headers.update(timing(found.stage_ms, started))
    return response


def _training_faces(folder: FilePath | None) -> TrainingFaces | None:
    try:
        return None if folder is None else _opened(folder)
    except DatasetError as error:  # the operator's affair; everything else is told all the same
        log.error("FACEMIX_TRAINING_DATA: %s; %s", error.message, error.hint)
        return None


@lru_cache(maxsize=2)
def _opened(folder: FilePath) -> TrainingFaces:
    return TrainingFaces(folder.expanduser())


@router.get(
    "/api/v1/records/{request_id}",
    summary="What a result was made under",
    description="The conditioning record that is kept with the row of a request in the ledger, for whoever sent the "
    "request: the key that it bore, or, where no key is needed and it bore none, anybody who knows an id that the "
    "server has made. An id that a client has chosen may be guessed; its record is told to a key alone. Of several "
    "requests of one id and one key it is the last one's.",
    responses={
        200: openapi.ok("The record.", RecordResponse),
        **openapi.KEPT_ERRORS,
    },
)
async def record(
    request: Request,
    identity: Annotated[str, Path(alias="request_id", max_length=128, description="as in X-Request-Id of the answer")],
) -> Response:
    owner, governed = owner_of(request), getattr(request.app.state, "governed", None)
    missing = RecordMissing(
        f"there is no record of the request {identity!r}",
        hint="send the key that the request bore; records go with the rows of the ledger, and only mixes have one",
    )
    secret = _MADE_HERE.match(identity) is not None and not closed(ServerState.of(request).settings)
    if not isinstance(governed, Governed) or not _WELL_FORMED.match(identity) or (owner is None and not secret):
        raise missing

    found = await governed.run(lambda: Records(governed.database).find(identity, owner))
    if found is None:
        raise missing
    body = await to_thread.run_sync(json.loads, found)
    return json_answer(RecordResponse(request_id=identity, record=body), {"Cache-Control": "private, no-store"})
