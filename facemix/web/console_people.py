"""The people who sign in, in the console."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import FacemixError, NotFound, RequestInvalid
from facemix.governance.operators import ROLES, Operators, Role
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.problems import note_refusal

if TYPE_CHECKING:
    from facemix.governance.sessions import Session

router = APIRouter(prefix="/console/people", include_in_schema=False, default_response_class=HTMLResponse)

Change = Callable[[Operators, str, dict[str, str], str], Any]


def _add(people: Operators, name: str, fields: dict[str, str], actor: str) -> None:
    people.create(name, fields.get("password", ""), cast("Role", fields.get("role", "")), actor=actor)


def _role(people: Operators, name: str, fields: dict[str, str], actor: str) -> None:
    people.set_role(name, cast("Role", fields.get("role", "")), actor=actor)


def _password(people: Operators, name: str, fields: dict[str, str], actor: str) -> None:
    people.set_password(name, fields.get("password", ""), actor=actor)


CHANGES: dict[str, Change] = {
    "add": _add,
    "role": _role,
    "password": _password,
    "disable": lambda people, name, fields, actor: people.disable(name, actor=actor),
    "enable": lambda people, name, fields, actor: people.enable(name, actor=actor),
}


@router.get("")
async def people(request: Request) -> Response:
    return await _page(request, await signed_in(request))


@router.post("/{change}")
async def change(request: Request, change: str) -> Response:
    """Adds a person or changes one, who is never the one who asks: else the last operator might lock everybody out."""
    session, governed = await signed_in(request), Governed.of(request)
    fields = await checked_form(request, session)
    if change not in CHANGES:
        raise NotFound(f"people cannot be asked to {change[:40]!r}", hint="use the forms of /console/people")
    name = fields.get("name", "").strip()
    try:
        if name == session.operator and change != "add":
            raise RequestInvalid(
                "nobody changes the own sign-in here", hint="ask another operator, or use the command line"
            )
        await governed.hash(partial(CHANGES[change], governed.operators, name, fields, session.operator))
    except FacemixError as error:
        return await _page(request, session, problem=error, given=fields if change == "add" else None)
    return redirected(request, "/console/people")


async def _page(
    request: Request,
    session: Session,
    *,
    problem: FacemixError | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    governed = Governed.of(request)
    everybody = await governed.run(governed.operators.list)
    signed = await governed.run(governed.sessions.count)
    if problem is not None:
        note_refusal(problem, request)
    return console_page(
        request,
        session,
        "people",
        200 if problem is None else problem.status,
        people=everybody,
        signed_in={one.name: signed.get(one.name, 0) for one in everybody},
        roles=ROLES,
        problem=problem,
        given={"name": "", "role": "reviewer"} | (given or {}),
    )
