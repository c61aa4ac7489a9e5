"""What somebody gets whose result is held, and what they are told while they wait.

Nothing here says why it is held: whoever tries the likeness guard out should not learn from it what it knows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from facemix.errors import Held, NotFound
from facemix.governance.reasons import told
from facemix.governance.review_states import Review, State
from facemix.web.answers import json_answer
from facemix.web.governed import Governed
from facemix.web.links import absolute
from facemix.web.negotiation import prefers_html
from facemix.web.problems import clean_text, request_id
from facemix.web.schemas_reviews import HeldResponse, ReviewStatusResponse

if TYPE_CHECKING:
    from facemix.governance.review import Reviews

RETRY_SECONDS = 60
_PRIVATE = {"Cache-Control": "no-store"}

_NEXT: dict[State, str] = {
    "pending": "Somebody will look at it.",
    "claimed": "Somebody is looking at it.",
    "escalated": "It is being talked over.",
    "appealed": "Somebody will look at it again.",
    "approved": "The result is not there any more: it was fetched, its time is up, or the checks are others by now. "
    "The same mix can be made again.",
    "rejected": "The result is deleted.",
    "expired": "Nobody decided in time, so the result was deleted. You can make it again.",
}
_NEXT_OF_A_REPORT: dict[State, str] = _NEXT | {
    "approved": "Somebody looked at it, and left it as it is.",
    "rejected": "Somebody looked at it, and agreed with you.",
    "expired": "Nobody decided in time. If it is still there, report it again.",
}
_FETCH = "The result can be fetched until it expires, and for ten minutes after it was first fetched."
_GRANTED = "Your appeal was right. The picture was deleted before; make the same mix again, and it is given out."
_TAKEN_DOWN = "Somebody looked at it, agreed with you, and took it down."


def reviews_of(request: Request) -> Reviews:
    """Raises `NotFound` where nothing is reviewed."""
    found: Any = Governed.of(request).reviews
    if found is None:
        raise NotFound("nothing is reviewed on this server", hint="start it with `facemix serve`")
    return found


def held_response(request: Request, error: Held) -> Response:
    """For programs 202 with the address at which to ask; a person is led to a page."""
    path = str(error.details["status_path"])
    if not request.url.path.startswith("/api/") and prefers_html(request.headers.get("accept")):
        return RedirectResponse(request.scope.get("root_path", "") + path, 303, headers=_PRIVATE)
    token = path.rpartition("/")[2]
    body = HeldResponse(
        state="pending",
        code="held_for_review",
        title=error.title,
        request_id=request_id(request),
        detail=clean_text(error.message),
        hint="look at the status page from time to time",
        status_url=status_of(request, token),
        page_url=absolute(request, path),
    )
    headers = {"Location": body.status_url, "Retry-After": str(RETRY_SECONDS), **_PRIVATE}
    return json_answer(body, headers, status=202)


def status_of(request: Request, token: str) -> str:
    """Where a program asks how something stands."""
    return absolute(request, f"/api/v1/reviews/{token}")


def held_page_of(request: Request, token: str) -> str:
    """Where a person looks."""
    return absolute(request, f"/held/{token}")


def described(request: Request, review: Review, token: str, *, now: datetime | None = None) -> ReviewStatusResponse:
    """How it stands, for whoever waits."""
    now = now or datetime.now(UTC)
    ready = review.state == "approved" and review.has_picture
    return ReviewStatusResponse(
        state=review.state,
        kind="report" if review.trigger == "report" else "result",
        request_id=clean_text(review.request_id),
        since=review.created_at,
        due_at=review.due_at,
        expires_at=review.expires_at,
        next=_FETCH if ready else _next(review),
        reason=told(review.reason) or None if review.state == "rejected" and review.trigger != "report" else None,
        picture_url=f"{status_of(request, token)}/picture" if ready else None,
        may_appeal=review.may_be_appealed(now),
        page_url=held_page_of(request, token),
    )


def _next(review: Review) -> str:
    if review.state == "approved" and review.appeal is not None:
        return _GRANTED
    if review.trigger != "report":
        return _NEXT[review.state]
    gone = review.state == "rejected" and review.subject is not None and not review.standing
    return _TAKEN_DOWN if gone else _NEXT_OF_A_REPORT[review.state]
