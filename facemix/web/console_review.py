"""The console's queue: what waits for a person, what it shows, and the decision."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix.errors import FacemixError, NotFound, RecordMissing, RequestInvalid, RoleMissing, VersionConflict
from facemix.governance.reasons import MOST_TEXT, REASONS, Kind, Reason, reasons_for
from facemix.governance.review_states import OPEN, STATES, TRIGGER_WORDS, Review, State, Trigger
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.held import reviews_of
from facemix.web.problems import clean_text, note_refusal
from facemix.web.state import ServerState

if TYPE_CHECKING:
    from facemix.governance.audit import AuditRow
    from facemix.governance.review import Reviews
    from facemix.governance.sessions import Session

PAGE_ITEMS = 30
MOST_FORM_BYTES = 16 * 1024
WAITING = "waiting"
FILTERS: dict[str, tuple[State, ...]] = {WAITING: OPEN} | {state: (state,) for state in STATES}
_NO_STORE = {"Cache-Control": "no-store"}
_HISTORY = {
    "review.look": "looked at the picture",
    "review.claim": "claimed it",
    "review.release": "gave it back",
    "review.approve": "approved it",
    "review.reject": "rejected it",
    "review.escalate": "left it to an operator",
    "recipe.take_down": "took the reported face down",
}
_BY_ITSELF = {  # what nobody at the console did
    "review.hold": "It was held",
    "review.appeal": "Whoever waits appealed",
    "review.collect": "Whoever waits fetched it",
    "review.delete_picture": "The picture was deleted, its time being up",
    "review.expire": "It expired, and was deleted",
    "recipe.take_down": "The reported face was taken down",
}
_CAME_IN: dict[Trigger, str] = {"report": "It was reported", "sample": "It was drawn by lot"}
_TITLES: dict[Any, str] = {"approve": "Approve", "reject": "Reject", "escalate": "Leave it to an operator"}
_TITLES_OF_A_REPORT: dict[Any, str] = _TITLES | {"approve": "Leave it up", "reject": "Take it down"}
_PERSON = re.compile(r"protected person ([A-Za-z0-9_-]{16})(?![A-Za-z0-9_-])")
_DISTANCE = re.compile(r"distance of ([0-9.]*[0-9])")

router = APIRouter(prefix="/console", include_in_schema=False)


def span(seconds: float) -> str:
    """So much time as a clock of the queue shows it: ``25 min``, ``7 h``, ``3 days``."""
    seconds = abs(seconds)
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h" if seconds < 48 * 3600 else f"{round(seconds / 86400)} days"


def clock(review: Review, now: datetime) -> str:
    """How long there is to decide, or what became of it."""
    if not review.open:
        return review.state if review.decided_by is None else f"{review.state} by {review.decided_by}"
    left = (review.due_at - now).total_seconds()
    return f"due in {span(left)}" if left > 0 else f"overdue by {span(left)}"


@router.get("/review")
async def queue(request: Request) -> Response:
    session = await signed_in(request, "reviewer")
    reviews, now = reviews_of(request), datetime.now(UTC)
    chosen = request.query_params.get("state", WAITING)
    if chosen not in FILTERS:
        raise NotFound(f"there is no list {clean_text(chosen, 40)!r}", hint=f"there are {', '.join(FILTERS)}")
    number = _page_number(request.query_params.get("page", "1"))

    def look() -> tuple[list[Review], Any]:
        first = (number - 1) * PAGE_ITEMS
        return reviews.list(FILTERS[chosen], limit=PAGE_ITEMS + 1, offset=first, now=now), reviews.tally(now=now)

    found, tally = await Governed.of(request).run(look)
    return console_page(
        request,
        session,
        "review",
        chosen=chosen,
        counts={name: sum(tally.counts[state] for state in states) for name, states in FILTERS.items()},
        tally=tally,
        oldest=span(tally.oldest_seconds(now)),
        rows=[(review, clock(review, now), review.overdue(now)) for review in found[:PAGE_ITEMS]],
        words=TRIGGER_WORDS,
        number=number,
        more=len(found) > PAGE_ITEMS,
    )


def _page_number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= len(text) <= 5 and int(text) > 0:
        return int(text)
    raise RequestInvalid(f"the page is {clean_text(text, 40)!r}", hint="pages are counted from 1", where="page")


@router.get("/review/{identity}")
async def item(request: Request, identity: str) -> Response:
    return await _item(request, await signed_in(request, "reviewer"), identity)


@router.get("/review/{identity}/picture")
async def picture(request: Request, identity: str) -> Response:
    """What was held, opened for this answer; of a report what lies behind the link now."""
    session = await signed_in(request, "reviewer")
    reviews, governed = reviews_of(request), Governed.of(request)
    review = await governed.run(partial(reviews.get, identity))
    if review.trigger == "report" and review.subject is not None:
        content = await ServerState.of(request).stores.saved.picture(review.subject)
        await governed.run(partial(reviews.look, identity, actor=session.operator))
        return Response(content, media_type="image/png", headers=_NO_STORE)
    found = await governed.run(partial(reviews.picture, identity, actor=session.operator))
    return Response(found.content, media_type=found.media_type, headers=_NO_STORE)


@router.post("/review/{identity}/{action}")
async def act(request: Request, identity: str, action: str) -> Response:
    """Does it, and goes back to the item; where somebody else was faster, shows what they did."""
    session = await signed_in(request, "reviewer")
    fields = await checked_form(request, session, most_bytes=MOST_FORM_BYTES)
    reviews = reviews_of(request)
    try:
        await Governed.of(request).run(_call(reviews, session, identity, action, fields))
    except (VersionConflict, RequestInvalid, RoleMissing) as error:
        if isinstance(error, NotFound):
            raise
        note_refusal(error, request)
        return await _item(request, session, identity, error=error, fields=fields)
    return redirected(request, f"/console/review/{identity}")


def _call(reviews: Reviews, session: Session, identity: str, action: str, fields: dict[str, str]) -> Any:
    """The call that a form asks for. Raises `NotFound`, `RequestInvalid`."""
    actor, senior = session.operator, session.role == "operator"
    if action == "takedown":
        return partial(reviews.take_down, identity, actor=actor)
    version = fields.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise RequestInvalid("the form does not say which version was looked at", hint="open the page again")
    seen = int(version)
    if action == "claim":
        return partial(reviews.claim, identity, seen, actor=actor)
    if action == "release":
        return partial(reviews.release_claim, identity, seen, actor=actor, senior=senior)
    said = {"actor": actor, "reason": fields.get("reason", ""), "text": fields.get("text", "")}
    if action == "escalate":
        return partial(reviews.escalate, identity, seen, **said)
    if action not in ("approve", "reject"):
        raise NotFound(f"a review cannot be {clean_text(action, 40)!r}", hint="use the forms of its page")
    return partial(getattr(reviews, action), identity, seen, senior=senior, **said)


async def _item(
    request: Request,
    session: Session,
    identity: str,
    *,
    error: FacemixError | None = None,
    fields: dict[str, str] | None = None,
) -> Response:
    reviews, governed, now = reviews_of(request), Governed.of(request), datetime.now(UTC)

    def look() -> tuple[Review, list[AuditRow], str, bool]:
        review = reviews.get(identity, now=now)
        own = review.appeal is not None and review.decided_by == session.operator
        others = own and governed.operators.count("reviewer") > 1
        rows = governed.audit.about(review.id, since=review.created_at)
        return review, rows, _nearest(governed, review), others

    review, rows, nearest, for_others = await governed.run(look)
    given = fields or {}
    senior = session.role == "operator"
    return console_page(
        request,
        session,
        "review_item",
        200 if error is None else error.status,
        review=review,
        clock=clock(review, now),
        overdue=review.overdue(now),
        words=TRIGGER_WORDS[review.trigger],
        shown=await _is_shown(request, review),
        nearest=nearest,
        for_others=for_others,
        history=[(row, *_event(row, review), _sentence(row)) for row in rows],
        reason=_named(review.reason),
        forms=[
            (action, title, _reasons(action, review))
            for action, title in (_TITLES_OF_A_REPORT if review.trigger == "report" else _TITLES).items()
            if review.may(action)
            and (review.state != "escalated" or senior)
            and (action == "escalate" or not for_others)
        ],
        mine=review.claimed_by in (None, session.operator) or senior or review.state != "claimed",
        senior=senior,
        error=error,
        given={name: given.get(name, "")[:MOST_TEXT] for name in ("reason", "text")},
        most_text=MOST_TEXT,
    )


async def _is_shown(request: Request, review: Review) -> bool:
    if review.trigger != "report" or review.subject is None:
        return review.has_picture
    try:
        await ServerState.of(request).stores.saved.get(review.subject)
    except RecordMissing:
        return False
    return True


def _reasons(action: Kind, review: Review) -> tuple[Reason, ...]:
    """Those of the list that fit: with what was reported nobody has compared it."""
    found = reasons_for(action)
    return tuple(one for one in found if one.key != "no_match") if review.trigger == "report" else found


def _nearest(governed: Governed, review: Review) -> str:
    """Whom the guard found, by the operator's own words; empty where it was not the guard, or they are removed."""
    if review.trigger != "guard" or governed.gallery is None:
        return ""
    labels = {one.id: one.label for one in governed.gallery.list()}
    found = [labels[id] for id in _PERSON.findall(review.detail) if id in labels]
    distance = _DISTANCE.search(review.detail)
    if not found or distance is None:
        return ""
    return f"Nearest: {', '.join(found)}; distance {distance[1]}, held below {governed.settings.guard_distance:g}"


def _event(row: AuditRow, review: Review) -> tuple[str, str]:
    """Who did something, empty for what nobody at the console did, and what it was."""
    from facemix.governance.audit import ITSELF

    if row.actor != ITSELF or row.action not in _BY_ITSELF:
        return row.actor, _HISTORY.get(row.action, row.action)
    came_in = _CAME_IN.get(review.trigger) if row.action == "review.hold" else None
    return "", came_in or _BY_ITSELF[row.action]


def _named(key: str | None) -> Reason | None:
    return next((reason for reason in REASONS if reason.key == key and reason.kind != "report"), None)


def _sentence(row: AuditRow) -> str:
    """What the log says beside who and what."""
    said = [reason.sentence] if (reason := _named(row.details.get("reason"))) else []
    if row.details.get("four_eyes") is False:
        said.append("The same person had decided before; there was no other reviewer.")
    if row.action == "recipe.take_down" and not row.details.get("there"):
        said.append("It was gone already.")
    return " ".join(said)
