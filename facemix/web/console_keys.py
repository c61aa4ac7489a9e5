"""API keys in the console. A secret is shown on one page, once."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import FacemixError, RequestInvalid, SealBroken
from facemix.governance.keys import AuditedKeys
from facemix.storage.keys import SCOPES, Key
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.origins import drop_cookie, set_cookie
from facemix.web.problems import note_refusal

if TYPE_CHECKING:
    from facemix.governance.sessions import Session

# Carries a secret from the form's answer to the page after it, sealed and for this session alone: so that a reload
# finds it gone, and it does not matter which of several processes shows the page.
COOKIE = "facemix_made"
COOKIE_SECONDS = 60
_PURPOSE = "a key's secret on its way to the console"
_EMPTY = dict.fromkeys(
    ("name", "per_minute", "days", "budget_day", "budget_month", *(f"scope_{word}" for word in SCOPES)), ""
)

router = APIRouter(prefix="/console/keys", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def keys(request: Request) -> Response:
    """All keys, and the secret of one that was made a moment ago."""
    session, governed = await signed_in(request), Governed.of(request)
    response = await _page(request, session, made=_made(request, governed, session))
    if COOKIE in request.cookies:
        drop_cookie(response, request, governed.settings, COOKIE)
    return response


@router.post("/add")
async def add(request: Request) -> Response:
    session, governed = await signed_in(request), Governed.of(request)
    fields = await checked_form(request, session)
    name = fields.get("name", "").strip()
    chosen = [word for word in SCOPES if fields.get(f"scope_{word}")]
    try:
        make = partial(
            AuditedKeys(governed.database, session.operator).add,
            name,
            _number(fields, "per_minute"),
            scopes=chosen or None,
            days=_number(fields, "days"),
            budget_day=_amount(fields, "budget_day"),
            budget_month=_amount(fields, "budget_month"),
        )
        secret = await governed.run(make)
    except RequestInvalid as error:
        return await _page(request, session, problem=error, given=fields)
    return _shown_once(request, governed, session, name, secret)


@router.post("/rotate")
async def rotate(request: Request) -> Response:
    session, governed = await signed_in(request), Governed.of(request)
    name = (await checked_form(request, session)).get("name", "")
    try:
        secret = await governed.run(partial(AuditedKeys(governed.database, session.operator).renew, name))
    except FacemixError as error:
        return await _page(request, session, problem=error)
    return _shown_once(request, governed, session, name, secret)


@router.post("/revoke")
async def revoke(request: Request) -> Response:
    session, governed = await signed_in(request), Governed.of(request)
    name = (await checked_form(request, session)).get("name", "")
    try:
        await governed.run(partial(AuditedKeys(governed.database, session.operator).end, name))
    except FacemixError as error:
        return await _page(request, session, problem=error)
    return redirected(request, "/console/keys")


def _shown_once(request: Request, governed: Governed, session: Session, name: str, secret: str) -> Response:
    held = json.dumps({"name": name, "secret": secret, "at": time.time()}).encode()
    sealed = governed.secrets.seal(_PURPOSE, held, session.token_hash.encode())
    response = redirected(request, "/console/keys")
    set_cookie(response, request, governed.settings, COOKIE, sealed.hex(), seconds=COOKIE_SECONDS)
    return response


def _made(request: Request, governed: Governed, session: Session) -> dict[str, str] | None:
    """Name and secret of the key that was just made in this session."""
    try:
        sealed = bytes.fromhex(request.cookies.get(COOKIE, ""))
        held = json.loads(governed.secrets.open(_PURPOSE, sealed, session.token_hash.encode()))
    except (ValueError, SealBroken):
        return None
    return held if 0 <= time.time() - held["at"] <= COOKIE_SECONDS else None


async def _page(
    request: Request,
    session: Session,
    *,
    made: dict[str, str] | None = None,
    problem: FacemixError | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    governed = Governed.of(request)
    found = await governed.run(governed.keys.list)
    if problem is not None:
        note_refusal(problem, request)
    return console_page(
        request,
        session,
        "keys",
        200 if problem is None else problem.status,
        keys=[_view(key) for key in found],
        made=made,
        problem=problem,
        given=_EMPTY | (given or {}),
        scopes=SCOPES,
    )


def _view(key: Key) -> dict[str, Any]:
    state = "revoked" if key.revoked_at else "live" if key.is_live() else "expired"
    ends = ""
    if key.revoked_at is not None:
        ends = f"revoked {key.revoked_at:%Y-%m-%d}"
    elif key.expires_at is not None:
        ends = f"{'expires' if state == 'live' else 'expired'} {key.expires_at:%Y-%m-%d}"
    rate = "any key's rate" if key.requests_per_minute is None else f"{key.requests_per_minute} a minute"
    budgets = {"day": key.budget_day, "month": key.budget_month}
    return {
        "name": key.name,
        "state": state,
        "made": f"{key.created_at:%Y-%m-%d}",
        "ends": ends,
        "scopes": "everything" if key.scopes is None else ", ".join(word for word in SCOPES if word in key.scopes),
        "rate": rate,
        "budgets": [f"{value:g} a {span}" for span, value in budgets.items() if value is not None],
    }


def _number(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestInvalid(f"{text[:40]!r} is no whole number", hint="leave it empty for none", where=name)
    return int(text)


def _amount(fields: dict[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    try:
        return float(text) if text else None
    except ValueError:
        raise RequestInvalid(f"{text[:40]!r} is no amount", hint="leave it empty for none", where=name) from None
