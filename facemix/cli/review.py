"""Commands for reviewers: the queue of what a person decides, without the console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.errors import RequestInvalid
from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.governance.review import Reviews
    from facemix.governance.review_states import Review
    from facemix.storage.database import Database

ACTOR = "command line"

review = typer.Typer(name="review", help="Look through what is held, and decide.", no_args_is_help=True)

Identity = Annotated[str, typer.Argument(help="The review, as `facemix review list` names it.")]
Seen = Annotated[int, typer.Option(min=1, help="The version that you looked at, as `facemix review show` says.")]
Reason = Annotated[str, typer.Option(help="One of the list that `facemix review show` prints.")]
Text = Annotated[str, typer.Option(help="A note for other reviewers.")]


@review.command("list")
def review_list(
    state: Annotated[str, typer.Option(help="Of one state alone, or all; default what waits.")] = "waiting",
    most: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
) -> None:
    """List what waits, first what is due first."""
    from datetime import UTC, datetime

    from facemix.governance.review_states import OPEN, STATES

    wanted = {"waiting": OPEN, "all": STATES} | {name: (name,) for name in STATES}
    if state not in wanted:
        raise RequestInvalid(f"the state is {state!r}", hint=f"it is one of {', '.join(wanted)}", where="--state")
    now = datetime.now(UTC)
    with _database() as database:
        reviews = _reviews(database)
        for one in reviews.list(wanted[state], limit=most, now=now):
            late = ", OVERDUE" if one.overdue(now) else ""
            print(f"{one.id}: {one.state}, {one.trigger}, since {_time(one.created_at)}, due {_time(one.due_at)}{late}")
        tally = reviews.tally(now=now)
    print(f"{tally.waiting} waiting, {tally.overdue} overdue")


@review.command("show")
def review_show(
    identity: Identity,
    picture: Annotated[
        Path | None, typer.Option(help="Also write the picture to this file; that you did is written down.")
    ] = None,
) -> None:
    """Show a review with its history."""
    from facemix.cli.files import write
    from facemix.governance.audit import AuditLog
    from facemix.governance.reasons import reasons_for

    with _database() as database:
        reviews = _reviews(database)
        found = reviews.get(identity)
        _print(found)
        for row in AuditLog(database).about(found.id, since=found.created_at):
            reason = f" ({row.details['reason']})" if row.details.get("reason") else ""
            print(f"  {_time(row.at)} {row.actor}: {row.action}{reason}")
        for action in ("approve", "reject", "escalate"):
            if found.may(action):
                print(f"reasons to {action}: {', '.join(one.key for one in reasons_for(action))}")
        if picture is not None:
            write(picture, reviews.picture(identity, actor=ACTOR).content)


@review.command("claim")
def review_claim(identity: Identity, seen: Seen) -> None:
    """Take a review, so that nobody else begins with it."""
    with _database() as database:
        _print(_reviews(database).claim(identity, seen, actor=ACTOR))


@review.command("release")
def review_release(identity: Identity, seen: Seen) -> None:
    """Give a claimed review back, whoever has claimed it."""
    with _database() as database:
        _print(_reviews(database).release_claim(identity, seen, actor=ACTOR, senior=True))


@review.command("approve")
def review_approve(identity: Identity, seen: Seen, reason: Reason, text: Text = "") -> None:
    """Let the result out."""
    with _database() as database:
        _print(_reviews(database).approve(identity, seen, actor=ACTOR, reason=reason, text=text, senior=True))


@review.command("reject")
def review_reject(identity: Identity, seen: Seen, reason: Reason, text: Text = "") -> None:
    """Delete the picture, or the saved recipe that was reported."""
    with _database() as database:
        _print(_reviews(database).reject(identity, seen, actor=ACTOR, reason=reason, text=text, senior=True))


@review.command("escalate")
def review_escalate(identity: Identity, seen: Seen, reason: Reason, text: Text = "") -> None:
    """Leave it to an operator."""
    with _database() as database:
        _print(_reviews(database).escalate(identity, seen, actor=ACTOR, reason=reason, text=text))


@review.command("sweep")
def review_sweep() -> None:
    """Delete what has expired now, as a running server does every minute."""
    with _database() as database:
        print(f"{_reviews(database).sweep()} reviews were closed, emptied or forgotten")


def _print(found: Review) -> None:
    """Texts of strangers stand in Python's notation: no line of theirs passes for one of ours."""
    who = {"claimed": found.claimed_by, "approved": found.decided_by, "rejected": found.decided_by}.get(found.state)
    print(f"{found.id}: {found.state}{f' by {who}' if who else ''}, version {found.version}, trigger {found.trigger}")
    print(f"  since {_time(found.created_at)}, due {_time(found.due_at)}, ends {_time(found.expires_at)}")
    print(f"  request {found.request_id}, key {found.owner or 'none'}, model {found.model_id or 'not known'}")
    print(f"  recipe {found.recipe_hash or 'not known'}, picture {'sealed' if found.has_picture else 'none'}")
    if found.subject:
        whose = "saved recipe" if found.trigger == "report" else "protected person"
        print(f"  {whose} {found.subject}{', still there' if found.standing else ''}")
    for name, text in (("detail", found.detail), ("appeal", found.appeal), ("note", found.text)):
        if text:
            print(f"  {name} {text!r}")


def _time(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _reviews(database: Database) -> Reviews:
    from facemix.governance.review import Reviews

    return Reviews.open(load_settings(), database)


def _database() -> Database:
    from facemix.web.run import open_database

    return open_database(load_settings())
