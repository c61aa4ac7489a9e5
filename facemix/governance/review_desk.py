"""What reviewers see of the queue and what they do with it, each action in one transaction with its audit row."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, update

from facemix.errors import RoleMissing, StorageUnavailable
from facemix.governance.audit import ITSELF
from facemix.governance.reasons import OTHER, Kind, checked_text, find_reason
from facemix.governance.review_rows import (
    conflict,
    has_id,
    in_words,
    is_waiting,
    read_review,
    select_reviews,
)
from facemix.governance.review_states import OPEN, Picture, Review, State, Trigger
from facemix.governance.review_table import ReviewTable
from facemix.storage.governance_tables import operators, reviews

log = logging.getLogger("facemix.governance")


class Desk(ReviewTable):
    """The queue as a reviewer has it before them."""

    def get(self, identity: str, *, now: datetime | None = None) -> Review:
        """Raises `RecordMissing`, `StorageUnavailable`."""
        with self._database.reading() as connection:
            return self._get(connection, has_id(identity), now or datetime.now(UTC))

    def list(
        self,
        states: Sequence[State] = OPEN,
        *,
        trigger: Trigger | None = None,
        limit: int = 50,
        offset: int = 0,
        now: datetime | None = None,
    ) -> list[Review]:
        """Those that are due first come first; of those decided the newest.

        Raises:
            StorageUnavailable: the database refused.
        """
        now = now or datetime.now(UTC)
        stored = [state for state in states if state not in OPEN]
        wanted = reviews.c.state.in_(stored)
        if waiting := [state for state in states if state in OPEN]:
            wanted |= reviews.c.state.in_(waiting) & (reviews.c.expires_at > now)
        if "expired" in states:
            wanted |= reviews.c.state.in_(OPEN) & (reviews.c.expires_at <= now)
        if trigger is not None:
            wanted &= reviews.c.trigger == trigger
        open_first = case((is_waiting(now), 0), else_=1)
        due = case((is_waiting(now), reviews.c.due_at), else_=None)
        order = (open_first, due, reviews.c.decided_at.desc(), reviews.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(
                select_reviews().where(wanted).order_by(*order).limit(limit).offset(offset)
            ).mappings()
            return [read_review(row, now) for row in rows]

    def picture(self, identity: str, *, actor: str, now: datetime | None = None) -> Picture:
        """What was held, for a reviewer; that they looked is written down once.

        Raises:
            RecordMissing: there is no such review, or no picture any more.
            SealBroken, StorageFull, StorageUnavailable: it cannot be had.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            review, picture = self._opened(connection, has_id(identity), now)
            self._note_look(connection, review, actor, now)
        return picture

    def look(self, identity: str, *, actor: str, now: datetime | None = None) -> None:
        """Writes down, once, that a reviewer looked at what a report is about, which does not lie here.

        Raises:
            RecordMissing: there is no such review.
            StorageFull, StorageUnavailable: it cannot be written down.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            self._note_look(connection, self._get(connection, has_id(identity), now), actor, now)

    def _note_look(self, connection: Connection, review: Review, actor: str, now: datetime) -> None:
        if not self._noted(connection, review, "review.look", actor):
            self._audit.append_in(connection, actor, "review.look", review.id, now=now)

    def claim(self, identity: str, version: int, *, actor: str, now: datetime | None = None) -> Review:
        """Takes it, so that nobody else begins with it. Raises as `approve`, but for `RequestInvalid`."""
        return self._act(identity, version, "claim", actor, now, claimed_by=actor)

    def release_claim(
        self, identity: str, version: int, *, actor: str, senior: bool = False, now: datetime | None = None
    ) -> Review:
        """Gives it back to the queue; a senior also what somebody else has claimed. Raises as `claim`."""
        return self._act(identity, version, "release", actor, now, senior=senior, claimed_by=None)

    def approve(
        self,
        identity: str,
        version: int,
        *,
        actor: str,
        reason: str,
        text: str = "",
        senior: bool = False,
        now: datetime | None = None,
    ) -> Review:
        """Lets it out. The picture stays until it was fetched or the time is up; of one that is out already it goes.

        Args:
            version: as the reviewer saw it.
            reason: a key of `reasons.REASONS` for this.
            text: for other reviewers.
            senior: whether they may decide what was escalated, or what another has claimed.

        Raises:
            RequestInvalid: no such reason, or too much text.
            RecordMissing: there is no such review.
            VersionConflict: it has changed since, or cannot go that way.
            RoleMissing: it takes a senior, or they decided before what is appealed now.
            StorageFull, StorageUnavailable: the database refused; nothing was changed.
        """
        return self._decide("approve", identity, version, actor, reason, text, senior, now)

    def reject(
        self,
        identity: str,
        version: int,
        *,
        actor: str,
        reason: str,
        text: str = "",
        senior: bool = False,
        now: datetime | None = None,
    ) -> Review:
        """Keeps it in, and deletes the picture. A saved recipe that was reported is taken down: where that fails, it is
        tried again by `take_down` and every `sweep`. Arguments and errors as `approve`."""
        review = self._decide("reject", identity, version, actor, reason, text, senior, now)
        try:
            return self.take_down(identity, actor=actor, now=now) if review.standing else review
        except StorageUnavailable as error:
            log.warning("review %s: the reported recipe cannot be taken down yet: %s", review.id, error)
            return review

    def escalate(
        self, identity: str, version: int, *, actor: str, reason: str, text: str = "", now: datetime | None = None
    ) -> Review:
        """Leaves it to a senior. Arguments and errors as `approve`."""
        return self._decide("escalate", identity, version, actor, reason, text, False, now)

    def take_down(self, identity: str, *, actor: str = ITSELF, now: datetime | None = None) -> Review:
        """Deletes the saved recipe of a report that was found right; once more does no harm.

        Raises:
            RecordMissing: there is no such review.
            VersionConflict: it is no such report.
            StorageFull, StorageUnavailable: the recipe is there still.
        """
        now = now or datetime.now(UTC)
        review = self.get(identity, now=now)
        if review.trigger != "report" or review.state != "rejected" or review.subject is None:
            raise conflict(f"there is nothing to take down: the review is {review.state}")
        if self._recipes is None:
            raise StorageUnavailable("the saved recipes cannot be reached from here", hint="take it down at the server")
        there = self._recipes.take_down(review.subject)
        with self._database.writing() as connection:
            mine = (reviews.c.id == identity) & (reviews.c.released == 1)
            if connection.execute(update(reviews).where(mine).values(released=0)).rowcount:
                self._audit.append_in(connection, actor, "recipe.take_down", identity, {"there": there}, now=now)
            return self._get(connection, reviews.c.id == identity, now)

    def _decide(
        self,
        kind: Kind,
        identity: str,
        version: int,
        actor: str,
        reason: str,
        text: str,
        senior: bool,
        now: datetime | None,
    ) -> Review:
        find_reason(kind, reason)
        text = checked_text(text, needed=reason == OTHER)
        return self._act(identity, version, kind, actor, now, senior=senior, reason=reason, text=text or None)

    def _act(
        self,
        identity: str,
        version: int,
        action: Any,
        actor: str,
        now: datetime | None,
        *,
        senior: bool = False,
        **changes: Any,
    ) -> Review:
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            review = self._get(connection, has_id(identity), now)
            if review.version != version or not review.may(action):
                raise conflict(in_words(review))
            details: dict[str, Any] = {}
            if review.claimed_by not in (None, actor) and review.state == "claimed" and not senior:
                raise conflict(f"it is claimed by {review.claimed_by}", "leave it to them, or ask them to release it")
            if action in ("approve", "reject"):
                if review.state == "escalated" and not senior:
                    raise RoleMissing("what was escalated is decided by an operator", hint="ask one of them")
                if review.appeal is not None and review.decided_by == actor:
                    details = {"four_eyes": self._alone(connection, actor)}
                changes |= {"decided_by": actor, "decided_at": now}
                if action == "reject" or review.released:
                    changes["picture"] = None
            return self._change(connection, review, action, actor, now, details, **changes)

    def _alone(self, connection: Connection, actor: str) -> bool:
        """False, for the audit log, where nobody else could decide an appeal against their own decision.

        Raises:
            RoleMissing: somebody else could.
        """
        reviewing = operators.c.role.in_(("reviewer", "operator")) & operators.c.disabled_at.is_(None)
        others = select(func.count()).select_from(operators).where(reviewing & (operators.c.name != actor))
        if connection.execute(others).scalar_one():
            raise RoleMissing("the appeal is against your own decision", hint="somebody else has to decide it")
        return False
