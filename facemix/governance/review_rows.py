"""Rows of the queue: reading them, and the conditions by which they are found."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from facemix.errors import RecordMissing, VersionConflict
from facemix.governance.review_states import OPEN, Review
from facemix.storage.governance_tables import reviews
from facemix.storage.tokens import token_hash

ID_BYTES = 8
_ID = re.compile(r"[0-9a-f]{16}\Z")
_COLUMNS = tuple(column for column in reviews.c if column is not reviews.c.picture)


def has_id(identity: str) -> ColumnElement[bool]:
    """Raises `RecordMissing` for text that no database need be asked about (or that it would not even take)."""
    if not _ID.match(identity):
        raise missing()
    return reviews.c.id == identity


def select_reviews(*more: ColumnElement[Any]) -> Any:
    """All columns but the picture, and those of `more`."""
    return select(*_COLUMNS, reviews.c.picture.is_not(None).label("has_picture"), *more)


def read_review(row: Any, now: datetime | None) -> Review:
    """now: then what nobody decided on in time is expired, swept or not; None gives what is stored."""
    values = {name: value for name, value in row.items() if name not in ("status_token_hash", "picture")}
    values |= {"released": bool(row["released"]), "has_picture": bool(row["has_picture"])}
    if now is not None and row["expires_at"] <= now:
        values["has_picture"] = False
        if row["state"] in OPEN:
            values["state"] = "expired"
    return Review(**values)


def is_waiting(now: datetime) -> ColumnElement[bool]:
    return reviews.c.state.in_(OPEN) & (reviews.c.expires_at > now)


def is_late(now: datetime) -> ColumnElement[bool]:
    return reviews.c.state.in_(OPEN) & (reviews.c.expires_at <= now)


def has_token(token: str) -> ColumnElement[bool]:
    return reviews.c.status_token_hash == token_hash(token)


def missing(message: str = "there is no such review") -> RecordMissing:
    return RecordMissing(message, hint="it may have been decided, collected or expired")


def in_words(review: Review) -> str:
    who = {"claimed": review.claimed_by, "approved": review.decided_by, "rejected": review.decided_by}.get(review.state)
    return f"it is {review.state}{f' by {who}' if who else ''} now"


def conflict(message: str, hint: str = "look at it as it is now, and decide again") -> VersionConflict:
    return VersionConflict(message, hint=hint)
