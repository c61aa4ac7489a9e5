"""What is this file? Told to programs and, on a page, to people. The file is looked at in memory and kept nowhere."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import Busy, FacemixError, ImageEmpty, ImageError, NotFound, RequestInvalid
from facemix.imaging.decode import DecodeLimits
from facemix.safety.known import known_recipes, uses_of
from facemix.safety.marking import Marker
from facemix.safety.verify import ERROR_RATES, Verdict, verify
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.forms import read_form, too_large
from facemix.web.governed import Governed
from facemix.web.pages import render
from facemix.web.problems import error_headers, note_refusal
from facemix.web.schemas_verify import LedgerUses, MarkBody, SignatureBody, VerifyResponse
from facemix.web.state import ServerState
from facemix.web.threads import Threads

AT_ONCE = 1  # a look takes up to a second of a core, which mixes have more use for
MOST_WAITING = 8
_FILE = "file"
_HINT = "send the file itself, as a form's field file or as the whole body with its own Content-Type"

router = APIRouter(default_response_class=Response)
pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {_FILE: {**openapi.BINARY, "description": "the file as it was received"}},
                    "required": [_FILE],
                    "additionalProperties": False,
                }
            },
            **{kind: {"schema": openapi.BINARY} for kind in ("image/*", "video/mp4", "application/octet-stream")},
        },
    }
}
UNVERIFIABLE = openapi.problem(
    "The file is empty, damaged, or missing from the form.",
    RequestInvalid,
    "there is no file",
    _HINT,
    where=_FILE,
)
NO_MARKER = openapi.problem(
    "This server marks and signs nothing, so it knows nothing again.",
    NotFound,
    "this server knows none of its results",
    "start it with `facemix serve`",
)


@router.post(
    "/api/v1/verify",
    tags=["verify"],
    summary="Say what a file is",
    description="Whether it was signed by this installation and is unchanged, was changed since, bears the invisible "
    "mark of this installation, or has nothing that is known here. JPEG, PNG, WebP and GIF are searched for the mark; "
    "of MP4 only the signature is read. The file is not kept.",
    openapi_extra=BODY,
    responses={
        200: openapi.ok("What was found; finding nothing is an answer, too.", VerifyResponse),
        401: openapi.UNKNOWN_KEY,
        404: NO_MARKER,
        408: openapi.TIMEOUT,
        413: openapi.TOO_LARGE,
        415: openapi.UNSUPPORTED,
        422: UNVERIFIABLE,
        429: openapi.TOO_MANY,
        500: openapi.INTERNAL,
        503: openapi.UNAVAILABLE,
    },
)
async def verify_file(request: Request) -> Response:
    marker = _marker(request)
    return json_answer(_described(await _verdict(request, marker, await _read(request))))


@pages.get("/verify")
async def verify_page(request: Request) -> Response:
    return _page(request)


@pages.post("/verify")
async def verify_form(request: Request) -> Response:
    try:
        marker = _marker(request)
        return _page(request, await _verdict(request, marker, await _read(request)))
    except FacemixError as error:
        note_refusal(error, request)
        response = _page(request, error=error)
        response.headers.update(error_headers(error))
        return response


def _marker(request: Request) -> Marker:
    """Raises `NotFound`."""
    found: Marker | None = getattr(getattr(request.app.state, "governed", None), "marker", None)
    if found is None or (found.watermark is None and found.credentials is None):
        raise NotFound("this server knows none of its results", hint="start it with `facemix serve`")
    return found


async def _read(request: Request) -> bytes:
    """The file, from a form or as the body.

    Raises:
        RequestInvalid, ImageEmpty: there is none.
        ImageTooLarge: it is larger than a photograph may be.
    """
    most = ServerState.of(request).settings.max_upload_bytes
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data" or not (
        kind.startswith("image/") or kind in ("video/mp4", "application/octet-stream")
    ):
        form = await read_form(request, files=(_FILE,), fields=(), max_file_bytes=most)
        if _FILE not in form.files:
            raise RequestInvalid("there is no file", hint=_HINT, where=_FILE)
        data = form.files[_FILE]
    else:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise too_large(_FILE, most)
        data = bytes(body)
    if not data:
        raise ImageEmpty("the file has 0 bytes", hint="choose it again; the upload may have failed", where=_FILE)
    return data


async def _verdict(request: Request, marker: Marker, data: bytes) -> Verdict:
    """Raises `Busy`, and what `verify` raises."""
    governed = Governed.of(request)
    looking = _looking(request)
    if looking.waiting >= MOST_WAITING:
        raise Busy(f"{looking.waiting} files wait to be looked at", hint="try again in 5 seconds", retry_after=5)
    limits = DecodeLimits.from_settings(ServerState.of(request).settings)
    known, find = partial(known_recipes, governed.database), partial(uses_of, governed.database)
    try:
        return await looking.run(lambda: verify(data, marker, known, limits).dated(find))
    except ImageError as error:
        raise error.at(_FILE) from None


def _looking(request: Request) -> Threads:
    """The threads of this application; made at the first use, on its event loop."""
    state = request.app.state
    if not hasattr(state, "verifying"):
        state.verifying = Threads(AT_ONCE)
    return state.verifying


def _described(verdict: Verdict) -> VerifyResponse:
    signed, mark, uses = verdict.signed, verdict.mark, verdict.uses
    return VerifyResponse(
        verdict=verdict.kind,
        title=verdict.title,
        sentences=verdict.sentences(),
        signature=None
        if signed is None
        else SignatureBody(
            state=signed.state,
            signer=signed.signer,
            generator=signed.generator,
            source_type=signed.source_type,
            model=None if signed.facts is None else signed.facts.model,
        ),
        mark=None if mark is None else MarkBody(how=mark.how, chance=mark.chance),
        recipe_sha256=verdict.recipe_hash,
        ledger=None if uses is None else LedgerUses(rows=uses.rows, first=uses.first, last=uses.last),
    )


def _page(request: Request, verdict: Verdict | None = None, error: FacemixError | None = None) -> Response:
    settings = ServerState.of(request).settings
    return render(
        request,
        "verify.html",
        200 if error is None else error.status,
        verdict=verdict,
        error=error,
        error_rates=ERROR_RATES,
        max_megabytes=f"{settings.max_upload_bytes / 1024 / 1024:.3g}",
    )
