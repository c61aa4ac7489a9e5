"""What whoever waits for a decision can do with the token of a review: see how it stands, fetch the result, appeal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select, update

from facemix.errors import NothingToAppeal
from facemix.governance.audit import ITSELF
from facemix.governance.reasons import checked_text
from facemix.governance.review_rows import has_token, missing
from facemix.governance.review_states import Picture, Review
from facemix.governance.review_table import ReviewTable
from facemix.storage.governance_tables import protected, reviews

COLLECTED = timedelta(minutes=10)  # how long a picture stays after it was first fetched: a download may break off
UNSEEN = timedelta(minutes=1)  # the guard looks at the gallery now and then, and before a review is put


class Waiting(ReviewTable):
    """The queue as the person who waits has it, who knows one token."""

    def status(self, token: str, *, now: datetime | None = None) -> Review:
        """How it stands; a picture that `collect` would not give is not there. Raises `RecordMissing`,
        `StorageUnavailable`."""
        with self._database.reading() as connection:
            review = self._get(connection, has_token(token), now or datetime.now(UTC))
            return replace(review, has_picture=False) if _is_outdated(connection, review) else review

    def collect(self, token: str, *, fetched: bool = True, now: datetime | None = None) -> Picture:
        """What was held, once it is approved. From the first time on it stays for ten minutes more, at most.

        Args:
            fetched: False only looks whether it could be had, and starts no clock.

        Raises:
            RecordMissing: there is no such review, it is not approved, or the picture is gone; or it was never compared
                with somebody who was put under protection since.
            SealBroken, StorageFull, StorageUnavailable: it cannot be had.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            review, picture = self._opened(connection, has_token(token) & (reviews.c.state == "approved"), now)
            if _is_outdated(connection, review):
                raise missing("the checks are others by now; make the same mix again")
            if fetched and not self._noted(connection, review, "review.collect"):
                soon = min(review.expires_at, now + COLLECTED)
                connection.execute(update(reviews).where(reviews.c.id == review.id).values(expires_at=soon))
                self._audit.append_in(connection, ITSELF, "review.collect", review.id, now=now)
        return picture

    def appeal(self, token: str, text: str, *, now: datetime | None = None) -> Review:
        """Asks for a second look at a rejection, once, while its time lasts. The picture is gone by then: an appeal
        that is granted lets the same recipe be made again.

        Raises:
            RequestInvalid: the text is empty, or too long.
            RecordMissing: there is no such review.
            NothingToAppeal: it was not rejected, or cannot be appealed any more.
            StorageFull, StorageUnavailable: the database refused; nothing was changed.
        """
        now = now or datetime.now(UTC)
        text = checked_text(text, needed=True)
        with self._database.writing() as connection:
            review = self._get(connection, has_token(token), now)
            if not review.may_be_appealed(now):
                raise NothingToAppeal(_why_not(review), hint="only a rejection can, once, and while its time lasts")
            due = min(now + self._due, review.expires_at)
            return self._change(connection, review, "appeal", ITSELF, now, appeal=text, due_at=due)


def _why_not(review: Review) -> str:
    """Why it cannot be appealed, to whoever waits."""
    if review.appeal is not None:
        return "it was appealed before"
    if review.released or review.trigger == "report":
        return "nobody was refused a result by it"
    return "its time is up" if review.state in ("rejected", "expired") else "it was not rejected"


def _is_outdated(connection: Connection, review: Review) -> bool:
    """Whether somebody was put under protection since the picture was compared."""
    last = connection.execute(select(func.max(protected.c.created_at))).scalar_one()
    return review.trigger != "report" and last is not None and last > review.created_at - UNSEEN
