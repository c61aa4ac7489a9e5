"""The audit log in the console."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import RequestInvalid
from facemix.web.console import checked_form, console_page, signed_in
from facemix.web.governed import Governed

if TYPE_CHECKING:
    from facemix.governance.audit import AuditCheck, AuditRow
    from facemix.governance.sessions import Session

PAGE = 50  # rows
LONGEST_VALUE = 200  # characters of a detail
_LONGEST_NUMBER = 18  # digits that a database's integer holds in any case

router = APIRouter(prefix="/console/audit", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def rows(request: Request) -> Response:
    """The newest rows, or those before one."""
    session = await signed_in(request)
    return await _page(request, session, before=_before(request.query_params.get("before", "")))


@router.post("")
async def verify(request: Request) -> Response:
    """Reads the whole chain and says what it found. Nothing is changed by that, so that the answer is a page."""
    session, governed = await signed_in(request), Governed.of(request)
    await checked_form(request, session)
    return await _page(request, session, check=await governed.run(governed.audit.verify))


async def _page(
    request: Request, session: Session, *, before: int | None = None, check: AuditCheck | None = None
) -> Response:
    governed = Governed.of(request)
    found = await governed.run(partial(governed.audit.list, PAGE + 1, before))
    shown = found[:PAGE]
    return console_page(
        request,
        session,
        "audit",
        rows=[_view(row) for row in shown],
        earlier=shown[-1].number if len(found) > PAGE else None,
        newest=before is None,
        check=check,
    )


def _view(row: AuditRow) -> dict[str, Any]:
    details = [(name, _short(value)) for name, value in row.details.items()]
    return {**{name: getattr(row, name) for name in ("number", "at", "actor", "action", "subject")}, "details": details}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise RequestInvalid(f"{text[:40]!r} is no row's number", hint="open /console/audit", where="before")
    return int(text)
