"""Signing in and out, and one's own password."""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import FacemixError, FormStale, RateLimited, SignInFailed
from facemix.storage.tokens import new_token
from facemix.web.console import (
    HOME,
    checked_form,
    console_page,
    local_path,
    read_fields,
    redirected,
    session_of,
    signed_in,
)
from facemix.web.governed import Governed
from facemix.web.origins import FORM_COOKIE, SESSION_COOKIE, drop_cookie, same_origin, set_cookie
from facemix.web.problems import clean_text, error_headers, note_refusal
from facemix.web.rates import client_network

if TYPE_CHECKING:
    from facemix.governance.sessions import Session

MOST_FORM_BYTES = 8192
LONGEST_NAME = 64
_HOMES = {"operator": HOME, "reviewer": "/console/review", "member": "/"}

router = APIRouter(prefix="/console", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/sign-in")
async def ask(request: Request) -> Response:
    """The form; whoever is signed in already goes on."""
    session = await session_of(request)
    if session is not None:
        return redirected(request, _after(session, request.query_params.get("next", "")))
    return await _asking(request, following=local_path(request.query_params.get("next", "")))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Begins a session, or says what was wrong on the same page."""
    governed = Governed.of(request)
    fields: dict[str, str] = {}
    try:
        fields = await read_fields(request, most_bytes=MOST_FORM_BYTES)
        _check_form(request, fields.get("form", ""))
        token, session = await _begin(request, fields.get("name", "").strip(), fields.get("password", ""))
    except (FormStale, RateLimited, SignInFailed) as error:
        note_refusal(error, request)
        response = await _asking(
            request,
            following=local_path(fields.get("next", "")),
            name=clean_text(fields.get("name", "")[:LONGEST_NAME]),
            problem=error,
        )
        response.headers.update(error_headers(error))
        return response
    response = redirected(request, _after(session, fields.get("next", "")))
    set_cookie(response, request, governed.settings, SESSION_COOKIE, token)
    drop_cookie(response, request, governed.settings, FORM_COOKIE)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends the session, here and in the database."""
    governed = Governed.of(request)
    session = await session_of(request)
    if session is not None:
        await checked_form(request, session, most_bytes=MOST_FORM_BYTES)
        await governed.run(partial(governed.sessions.end, session))
    response = redirected(request, "/console/sign-in")
    drop_cookie(response, request, governed.settings, SESSION_COOKIE)
    return response


@router.get("/account")
async def account(request: Request) -> Response:
    """Who one is here, and the form for another password."""
    return console_page(request, await signed_in(request, "member"), "account", problem=None)


@router.post("/account")
async def change_password(request: Request) -> Response:
    """Sets one's own password, for whoever knows the present one. All sign-ins end, and a new one begins here."""
    governed, session = Governed.of(request), await signed_in(request, "member")
    fields = await checked_form(request, session, most_bytes=MOST_FORM_BYTES)
    new, name = fields.get("new", ""), session.operator
    try:
        network = client_network(request.scope)
        governed.throttle.begin(name, network)
        if await governed.hash(partial(governed.operators.check, name, fields.get("password", ""))) is None:
            raise SignInFailed("that is not your present password", hint="try again", where="password")
        governed.throttle.succeed(name, network)
        await governed.hash(partial(governed.operators.set_password, name, new, actor=name))
    except FacemixError as error:
        note_refusal(error, request)
        response = console_page(request, session, "account", error.status, problem=error)
        response.headers.update(error_headers(error))
        return response
    token, session = await _begin(request, name, new)
    response = redirected(request, "/console/account")
    set_cookie(response, request, governed.settings, SESSION_COOKIE, token)
    return response


async def _asking(request: Request, *, following: str, name: str = "", problem: FacemixError | None = None) -> Response:
    governed = Governed.of(request)
    somebody = await governed.run(governed.operators.count)
    # The browser keeps one half, the page has the other: a form that another site has made up has neither.
    half = request.cookies.get(FORM_COOKIE, "") or new_token()
    response = console_page(
        request,
        None,
        "sign_in",
        200 if problem is None else problem.status,
        form=half,
        following=following,
        name=name,
        problem=problem,
        somebody=bool(somebody),
    )
    set_cookie(response, request, governed.settings, FORM_COOKIE, half)
    return response


def _check_form(request: Request, given: str) -> None:
    """Nobody is to be signed in as somebody else by a form of another site."""
    half = request.cookies.get(FORM_COOKIE, "")
    both = half and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), half.encode("utf-8", "surrogatepass"))
    if not both or not same_origin(request, Governed.of(request).settings):
        raise FormStale("the form was not made for this browser", hint="let this browser keep cookies, and try again")


async def _begin(request: Request, name: str, password: str) -> tuple[str, Session]:
    """Raises `SignInFailed`, which says the same whether name or password was wrong; `RateLimited`."""
    governed, network = Governed.of(request), client_network(request.scope)
    governed.throttle.begin(name[:LONGEST_NAME], network)
    proof = await governed.hash(partial(governed.operators.check, name, password))
    if proof is None:
        # Somebody's slip may put a password where the name belongs: what is nobody's name is not written down.
        known = await governed.run(partial(governed.operators.has, name))
        await governed.run(partial(governed.audit.append, "facemix", "sign_in.failed", name if known else None))
        raise SignInFailed("the name or the password is wrong", hint="try again, or ask an operator for a new password")
    begun = await governed.run(partial(governed.sessions.begin, proof))
    governed.throttle.succeed(name[:LONGEST_NAME], network)
    return begun


def _after(session: Session, following: str) -> str:
    """Where somebody goes who has signed in."""
    path = local_path(following)
    return _HOMES[session.role] if path == HOME else path
