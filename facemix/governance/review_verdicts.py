"""What the rest of the program asks the queue: how it stands, and what was decided on the results of a recipe."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, select

from facemix.governance.review_rows import is_late, is_waiting
from facemix.governance.review_states import STATES, State, Tally, Trigger
from facemix.governance.review_table import ReviewTable
from facemix.storage.governance_tables import reviews

_DECISIONS: tuple[State, ...] = ("approved", "rejected")


class Verdicts(ReviewTable):
    """Looks at the table, and changes nothing."""

    def tally(self, *, now: datetime | None = None) -> Tally:
        """Raises `StorageUnavailable`."""
        now = now or datetime.now(UTC)
        by_state = select(reviews.c.state, func.count()).where(~is_late(now)).group_by(reviews.c.state)
        late = select(func.count()).select_from(reviews).where(is_late(now))
        queue = select(func.min(reviews.c.created_at)).where(is_waiting(now))
        overdue = select(func.count()).select_from(reviews).where(is_waiting(now) & (reviews.c.due_at <= now))
        with self._database.reading() as connection:
            found: dict[Any, int] = {row[0]: row[1] for row in connection.execute(by_state)}
            counts: dict[State, int] = {state: found.get(state, 0) for state in STATES}
            counts["expired"] += connection.execute(late).scalar_one()
            return Tally(counts, connection.execute(overdue).scalar_one(), connection.execute(queue).scalar_one())

    def verdict(self, recipe_hash: str, *, trigger: Trigger, subject: str | None = None) -> State | None:
        """What was last decided on results of that recipe, ``approved`` or ``rejected``; None where nothing was.

        Args:
            trigger: an approval of one kind says nothing about another.
            subject: nor does one about a protected person about another one; None for decisions about anybody.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = (reviews.c.recipe_hash == recipe_hash) & reviews.c.state.in_(_DECISIONS)
        wanted &= reviews.c.trigger == trigger
        if subject is not None:
            wanted &= reviews.c.subject == subject
        last = select(reviews.c.state).where(wanted).order_by(reviews.c.decided_at.desc()).limit(1)
        with self._database.reading() as connection:
            return connection.execute(last).scalar_one_or_none()  # type: ignore[return-value]

    def rejected(self, among: Collection[str] | None = None) -> frozenset[str]:
        """Hashes of the recipes whose results are not given out again: those on which, of some trigger (and, of the
        guard's, of some person), the last decision is a rejection. An appeal changes nothing until it is granted.

        Args:
            among: to look only for these.

        Raises:
            StorageUnavailable: the database refused.
        """
        decided = reviews.c.decided_at.is_not(None) & reviews.c.recipe_hash.is_not(None)
        if among is not None:
            decided &= reviews.c.recipe_hash.in_(among)
        # Of what was rejected and is appealed, escalated or expired since, the decision stands.
        against = select(reviews.c.recipe_hash).where(decided & (reviews.c.state != "approved"))
        person = case((reviews.c.trigger == "guard", reviews.c.subject), else_=None)
        wanted = (
            select(reviews.c.recipe_hash, reviews.c.trigger, person, reviews.c.state)
            .where(decided & reviews.c.recipe_hash.in_(against))
            .order_by(reviews.c.decided_at)
        )
        with self._database.reading() as connection:
            last = {tuple(row)[:3]: row.state for row in connection.execute(wanted)}
        return frozenset(key[0] for key, state in last.items() if state != "approved")
