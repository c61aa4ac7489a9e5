"""What comes into the queue: results that are held, those drawn by lot, and reports of faces."""

from __future__ import annotations

import secrets as random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from facemix.errors import Busy
from facemix.governance.audit import ITSELF
from facemix.governance.report_details import joined_detail, report_reason
from facemix.governance.review_rows import ID_BYTES, is_waiting, read_review, select_reviews
from facemix.governance.review_states import TRIGGERS, Review, Trigger
from facemix.governance.review_table import ReviewTable
from facemix.storage.governance_tables import reviews
from facemix.storage.tokens import token_hash

REPORT_WAITS = timedelta(days=365)  # a report holds no picture, and closes only by a decision
LOOSE_REPORT_WAITS = timedelta(days=90)  # one that names no saved recipe: its request may be made up
MOST_DETAIL = 2000  # characters
_SAME = ("recipe_hash", "trigger", "subject", "released", "media_type", "owner")


class Intake(ReviewTable):
    """Whatever puts something before a person."""

    def hold(
        self,
        request_id: str,
        trigger: Trigger,
        detail: str,
        *,
        owner: str | None = None,
        model_id: str | None = None,
        recipe_hash: str | None = None,
        picture: bytes | None = None,
        media_type: str | None = None,
        released: bool = False,
        subject: str | None = None,
        now: datetime | None = None,
    ) -> tuple[Review, str]:
        """Puts something before a person; the review, and the token of whoever waits.

        The same result of the same owner that waits already is not put there twice: both get the same answer. Nor is a
        report of the same recipe, or of the same request for the same reason: it is counted in the detail of the one
        that waits. So a report of a recipe always fits, and nobody fills the queue with reports of one thing.

        Args:
            recipe_hash: of the recipe that gives exactly this result; None where there is no such recipe, as for one
                frame of many.
            picture: the file as it would be given out.
            subject: the saved recipe that is reported, or the protected person whom the guard has found.

        Raises:
            Busy: too many wait; nothing may be given out instead.
            StorageFull, StorageUnavailable: the database refused; nothing is held.
        """
        if trigger not in TRIGGERS or (picture is None) != (media_type is None):
            raise ValueError(f"{trigger!r} with {media_type!r} is nothing to review")
        now = now or datetime.now(UTC)
        loose = (reviews.c.trigger == "report") & reviews.c.subject.is_(None)
        waits = is_waiting(now) & (loose if trigger == "report" else reviews.c.trigger != "report")
        row = {
            "id": random.token_hex(ID_BYTES),
            "request_id": request_id,
            "state": "pending",
            "version": 1,
            "trigger": trigger,
            "detail": detail[:MOST_DETAIL],
            "owner": owner,
            "model_id": model_id,
            "recipe_hash": recipe_hash,
            "subject": subject,
            "released": int(released),
            "media_type": media_type,
            "created_at": now,
            "due_at": now + self._due,
            "expires_at": now + self._waits(trigger, subject),
        }
        token = self._token(row["id"])
        if picture is not None:
            row["picture"] = self._secrets.seal("review", picture, about=row["id"].encode())
        with self._database.writing() as connection:
            there = (self._join if trigger == "report" else self._same)(connection, row, now)
            if there is not None:
                return there, self._token(there.id)
            counted = select(func.count()).select_from(reviews).where(waits)
            waiting = 0 if trigger == "report" and subject is not None else connection.execute(counted).scalar_one()
            if waiting >= self._most:
                raise Busy(
                    f"{waiting} wait for a reviewer already",
                    hint="try again tomorrow, or ask whoever runs this server to look at the queue",
                    retry_after=3600,
                )
            connection.execute(insert(reviews), {**row, "status_token_hash": token_hash(token)})
            details = {"trigger": trigger, "released": released, "picture": picture is not None}
            self._audit.append_in(connection, ITSELF, "review.hold", row["id"], details, now=now)
            return self._get(connection, reviews.c.id == row["id"], now), token

    def _waits(self, trigger: Trigger, subject: str | None) -> timedelta:
        if trigger != "report":
            return self._window
        return LOOSE_REPORT_WAITS if subject is None else REPORT_WAITS

    def _same(self, connection: Connection, row: dict[str, Any], now: datetime) -> Review | None:
        """What waits already of the same result of the same owner; None where nothing does, or it is out anyhow."""
        if row["recipe_hash"] is None or row["released"]:
            return None
        same = and_(*(reviews.c[name] == row[name] for name in _SAME))  # SQLAlchemy writes IS NULL for None
        found = connection.execute(select_reviews().where(is_waiting(now) & same).limit(1)).mappings().one_or_none()
        return None if found is None else read_review(found, now)

    def _join(self, connection: Connection, row: dict[str, Any], now: datetime) -> Review | None:
        """The open report of the same thing, with this one counted in it; None where there is none. Its version stays:
        whoever reports again must not keep a reviewer from deciding."""
        subject = row["subject"]
        same = reviews.c.subject == subject
        if subject is None:
            same = reviews.c.subject.is_(None) & (reviews.c.request_id == row["request_id"])
        wanted = is_waiting(now) & (reviews.c.trigger == "report") & same
        for found in connection.execute(select_reviews().where(wanted).order_by(reviews.c.created_at)).mappings():
            if subject is not None or report_reason(found["detail"]) == report_reason(row["detail"]):
                detail = joined_detail(found["detail"], row["detail"], MOST_DETAIL)
                connection.execute(update(reviews).where(reviews.c.id == found["id"]).values(detail=detail))
                return self._get(connection, reviews.c.id == found["id"], now)
        return None
