"""The kill switch in the console."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import RequestInvalid
from facemix.governance.controls import MOST_REASON
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.problems import note_refusal

if TYPE_CHECKING:
    from facemix.governance.sessions import Session

router = APIRouter(prefix="/console/stop", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def stop(request: Request) -> Response:
    return await _page(request, await signed_in(request))


@router.post("")
async def switch(request: Request) -> Response:
    """Stops generation, with a reason, or lets it go on."""
    session, governed = await signed_in(request), Governed.of(request)
    fields = await checked_form(request, session)
    reason = " ".join(fields.get("reason", "").split())
    try:
        await governed.run(_wanted(governed, session.operator, fields, reason))
    except RequestInvalid as error:
        return await _page(request, session, problem=error, reason=reason)
    return redirected(request, "/console/stop")


def _wanted(governed: Governed, actor: str, fields: dict[str, str], reason: str) -> partial[None]:
    action = fields.get("action", "")
    if action not in ("stop", "resume"):
        raise RequestInvalid(f"the switch cannot {action[:40]!r}", hint="use the form of the page", where="action")
    if fields.get("sure") != "1":
        raise RequestInvalid("it was not confirmed", hint="tick the box, too", where="sure")
    if action == "resume":
        return partial(governed.controls.resume, actor=actor)
    if not 1 <= len(reason) <= MOST_REASON:
        raise RequestInvalid(
            f"the reason has {len(reason)} characters",
            hint=f"say in 1 to {MOST_REASON} why; everybody who asks for a face reads it",
            where="reason",
        )
    return partial(governed.controls.kill, reason, actor=actor)


async def _page(
    request: Request, session: Session, *, problem: RequestInvalid | None = None, reason: str = ""
) -> Response:
    governed = Governed.of(request)
    kill = await governed.run(governed.controls.kill_switch)
    if problem is not None:
        note_refusal(problem, request)
    status = 200 if problem is None else problem.status
    return console_page(request, session, "stop", status, kill=kill, problem=problem, reason=reason)
