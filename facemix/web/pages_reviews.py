"""Pages for people who wait, or who object: the status of what is held, an appeal, a report. They work without scripts.

The page of what is held lies behind the token, not behind the id of the request that it shows: that may have been
chosen by a client, and stands in logs.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from facemix.errors import FacemixError, RecordMissing, RequestInvalid, VersionConflict
from facemix.governance.reasons import MOST_TEXT, reasons_for
from facemix.governance.review_states import OPEN
from facemix.web.console import read_fields
from facemix.web.governed import Governed
from facemix.web.held import described, reviews_of
from facemix.web.negotiation import prefers_html
from facemix.web.pages import render
from facemix.web.problems import from_validation, note_refusal
from facemix.web.reporting import report
from facemix.web.schemas_reviews import ReportBody

REFRESH_SECONDS = 60
MOST_FORM_BYTES = 16 * 1024  # a text whose every character takes up to twelve bytes in a form
_HIDDEN = {"X-Robots-Tag": "noindex", "Cache-Control": "no-store"}
_RECIPE = re.compile(r"[A-Za-z0-9_-]{16}\Z")
_FIELDS = ("recipe", "page", "request_id", "reason", "text")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/held/{token}")
async def held_page(request: Request, token: str) -> Response:
    return await _held(request, token)


@router.post("/held/{token}/appeal")
async def appeal(request: Request, token: str) -> Response:
    reviews = reviews_of(request)
    text = (await read_fields(request, most_bytes=MOST_FORM_BYTES)).get("text", "")
    try:
        await Governed.of(request).run(partial(reviews.appeal, token, text))
    except (RequestInvalid, VersionConflict) as error:
        note_refusal(error, request)
        return await _held(request, token, error=error, text=text)
    except RecordMissing as error:
        return _gone(request, error)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/held/{token}", 303)


async def _held(request: Request, token: str, *, error: FacemixError | None = None, text: str = "") -> Response:
    reviews = reviews_of(request)
    try:
        review = await Governed.of(request).run(partial(reviews.status, token))
    except RecordMissing as missing:
        return _gone(request, missing)
    response = render(
        request,
        "held.html",
        200 if error is None else error.status,
        waits=described(request, review, token),
        token=token,
        appealed=review.appeal is not None,
        error=error,
        text=text[:MOST_TEXT],
        most_text=MOST_TEXT,
    )
    response.headers.update(_HIDDEN)
    if review.state in OPEN and error is None:
        response.headers["Refresh"] = str(REFRESH_SECONDS)
    return response


def _gone(request: Request, error: RecordMissing) -> Response:
    """A page with advice for people; programs get the problem document."""
    if not prefers_html(request.headers.get("accept")):
        raise error
    note_refusal(error, request)
    response = render(request, "held_gone.html", error.status)
    response.headers.update(_HIDDEN)
    return response


# --- reporting ---------------------------------------------------------------------------------------------


@router.get("/report")
async def report_page(request: Request) -> Response:
    """Asks what is wrong; nothing is reported by opening the page."""
    reviews_of(request)
    given = {name: request.query_params.get(name, "")[:500] for name in ("recipe", "page", "request_id")}
    return _report_form(request, given, _malformed(given))


@router.post("/report")
async def report_form(request: Request) -> Response:
    reviews_of(request)
    fields = await read_fields(request, most_bytes=MOST_FORM_BYTES)
    given = {name: fields.get(name, "").strip() for name in _FIELDS}
    if (malformed := _malformed(given)) is not None:
        return _report_form(request, given, malformed)
    try:
        body = ReportBody.model_validate({name: value for name, value in given.items() if value})
        _, token = await report(request, body)
    except ValidationError as error:
        return _report_form(request, given, _in_words(error, given))
    except (RequestInvalid, RecordMissing) as error:
        return _report_form(request, given, error)
    return RedirectResponse(f"{request.scope.get('root_path', '')}/held/{token}", 303)


def _malformed(given: dict[str, str]) -> FacemixError | None:
    """Drops an id that no saved face can have, so that the form asks for the address instead, and says so."""
    if not given["recipe"] or _RECIPE.match(given["recipe"]):
        return None
    given["recipe"] = ""
    return RequestInvalid(
        "that is not the address of a saved face", hint="give the address of its page; it ends in /r/ and 16 characters"
    )


def _in_words(error: ValidationError, given: dict[str, str]) -> FacemixError:
    if not given["reason"]:
        return RequestInvalid("no reason was chosen", hint="choose one of the list", where="reason")
    if not any(given[name] for name in ("recipe", "page", "request_id")):
        return RequestInvalid("nothing says which face is meant", hint="give the address of its page", where="page")
    return from_validation(error)


def _report_form(request: Request, given: dict[str, str], error: FacemixError | None = None) -> Response:
    if error is not None:
        note_refusal(error, request)
    context: dict[str, Any] = {name: given.get(name, "") for name in _FIELDS}
    response = render(
        request,
        "report.html",
        200 if error is None else error.status,
        given=context,
        reasons=reasons_for("report"),
        error=error,
        most_text=MOST_TEXT,
    )
    response.headers.update(_HIDDEN)
    return response
