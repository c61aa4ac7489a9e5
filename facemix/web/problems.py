"""Every refusal as an RFC 9457 problem document.

Whatever goes wrong ends as a `FacemixError`; this module turns foreign exceptions into one and writes it
down. Text that came from the request is cleaned first, so that no input can break the answer about it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from facemix.errors import (
    FacemixError,
    Internal,
    KeyRequired,
    MethodNotAllowed,
    NotFound,
    RequestInvalid,
)
from facemix.mixing.misfits import remedy, sentence
from facemix.mixing.reading import errors_of, place
from facemix.web.schemas_parts import Problem

PROBLEM_MEDIA_TYPE = "application/problem+json"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LONGEST_TEXT = 600
_MOST_NAMED = 10  # values that do not fit
RETRY_AFTER_SECONDS = 2  # of errors that do not say when
_PASSING = (429, 503)
_FIELDS = "the page /docs describes every field"


def clean_text(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Text that can be encoded and shown: no control characters, no lone surrogates, no endless lines."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= longest else text[:longest] + "..."


def jsonable(value: Any) -> Any:
    """Makes a value fit for strict JSON: text cleaned, NaN and infinities null, unknown objects as text."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {clean_text(str(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return jsonable(value.tolist())
    return clean_text(str(value))


def request_id(request: Request) -> str:
    """The id that the middleware gave to this request."""
    return getattr(request.state, "request_id", "unknown")


def problem_document(error: FacemixError, request: Request) -> Problem:
    identity = request_id(request)
    return Problem(
        type=f"{request.scope.get('root_path', '')}/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=clean_text(error.message),
        instance=f"urn:facemix:request:{identity}",
        code=error.code,
        hint=clean_text(error.hint),
        request_id=identity,
        where=None if error.where is None else clean_text(error.where, 200),
        details=jsonable(error.details),
    )


def note_refusal(error: FacemixError, request: Request) -> None:
    """Leaves the error's code with the request, for the log, the metrics and the ledger."""
    request.state.refusal = error.code


def error_headers(error: FacemixError) -> dict[str, str]:
    """Headers that belong to an error whatever its body looks like."""
    headers = dict(getattr(error, "http_headers", {}))
    if isinstance(error, KeyRequired):
        headers.setdefault("WWW-Authenticate", "Bearer")
    if error.status in _PASSING:
        headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER_SECONDS))
    return headers


def problem_response(error: FacemixError, request: Request) -> Response:
    body = problem_document(error, request).model_dump(mode="json")
    return Response(
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"),
        status_code=error.status,
        headers=error_headers(error),
        media_type=PROBLEM_MEDIA_TYPE,
    )


def internal_error() -> Internal:
    """What is said about a defect: nothing of the exception, only how to find it."""
    return Internal(
        "facemix met an error that it did not expect",
        hint="try again; if it stays, give the request id to whoever runs this server: its log says more",
    )


def from_http_exception(error: HTTPException, request: Request) -> FacemixError:
    """404 and 405 of the router, in the house's words."""
    path = clean_text(request.url.path, 200)
    if error.status_code == 404:
        refusal: FacemixError = NotFound(
            f"there is nothing at {path}", hint="the page /docs lists every address of the interface"
        )
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        refusal = MethodNotAllowed(f"{path} does not take {request.method}", hint=f"use {allowed}")
    else:
        refusal = RequestInvalid(clean_text(str(error.detail)), hint="see /docs for what is expected")
        refusal.status = error.status_code  # type: ignore[misc]
    refusal.http_headers = dict(error.headers or {})  # type: ignore[attr-defined]
    return refusal


def from_validation(error: ValidationError | RequestValidationError, *, drop: int = 0) -> RequestInvalid:
    """Names every field that did not fit; the first becomes the message.

    Args:
        drop: how many leading parts of each location are not the caller's words (FastAPI's ``query``).
    """
    items = errors_of(error) if isinstance(error, ValidationError) else error.errors()
    if not items:
        return RequestInvalid(
            f"{error.error_count()} of its values do not fit",  # type: ignore[union-attr]
            hint=_FIELDS,
        )
    wrong = []
    for item in items[:_MOST_NAMED]:
        field = place(item["loc"][drop:])
        wrong.append({"field": field, "message": clean_text(sentence(item, field=field), 300)})
    todo = remedy(items[0])
    return RequestInvalid(
        wrong[0]["message"],
        hint=f"{todo}; {_FIELDS}" if todo else _FIELDS,
        where=wrong[0]["field"] or None,
        errors=wrong,
    )
