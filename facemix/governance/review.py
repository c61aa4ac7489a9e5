"""The queue of what a person decides: results that were held, results that were drawn by lot, faces that were reported.

A held picture lies here sealed, and no longer than until the decision, or for `hours`. Every change names the version
that its maker saw, so that of two reviewers who act at once one is told so, and comes with a row of the audit log in
the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update

from facemix.errors import RecordMissing, StorageUnavailable, VersionConflict
from facemix.governance.audit import ITSELF
from facemix.governance.review_desk import Desk
from facemix.governance.review_intake import Intake
from facemix.governance.review_rows import is_late
from facemix.governance.review_states import OPEN
from facemix.governance.review_verdicts import Verdicts
from facemix.governance.review_waiting import Waiting
from facemix.governance.secrets import Secrets, open_secrets
from facemix.settings import Settings
from facemix.storage.blobs import open_blobs
from facemix.storage.database import Database
from facemix.storage.governance_tables import reviews
from facemix.storage.recipes import RecipeStore

SWEEP_BATCH = 100


class Reviews(Intake, Desk, Verdicts, Waiting):
    """The queue, whole: all that is done with the table, and what time does to it."""

    @classmethod
    def open(cls, settings: Settings, database: Database, secrets: Secrets | None = None) -> Reviews:
        """The queue that the settings name.

        Raises:
            ConfigError, StorageUnavailable: see `open_secrets` and `open_blobs`.
        """
        return cls(
            database,
            secrets or open_secrets(settings),
            settings.review_hours,
            settings.review_due_hours,
            recipes=RecipeStore(database, open_blobs(settings)),
            keep_days=settings.ledger_days,
        )

    def sweep(self, *, now: datetime | None = None) -> int:
        """Closes what nobody decided on in time, deletes pictures whose time is up, forgets what is older than
        `keep_days`, and takes down what could not be taken down before; how many reviews that were.

        Raises:
            StorageFull, StorageUnavailable: the database refused; the next sweep goes on.
        """
        now = now or datetime.now(UTC)
        swept = 0
        late = is_late(now) | (reviews.c.picture.is_not(None) & (reviews.c.expires_at <= now))
        while batch := self._ids(late):
            done = sum(self._close(identity, now) for identity in batch)
            swept += done
            if not done:
                break  # other processes are at the same rows
        if self._keep_days:
            ended = func.coalesce(reviews.c.decided_at, reviews.c.expires_at)
            old = (ended <= now - timedelta(days=self._keep_days)) & reviews.c.picture.is_(None)
            swept += self._database.delete_where(reviews, old & reviews.c.state.not_in(OPEN))
        self.latest = self.tally(now=now)
        return swept + self._take_down_standing(now)

    def _close(self, identity: str, now: datetime) -> bool:
        """One transaction for each: whoever holds the audit log's lock must not wait for a further row."""
        with self._database.writing() as connection:
            try:
                review = self._get(connection, reviews.c.id == identity, now, stored=True)
                if review.open:
                    self._change(connection, review, "expire", ITSELF, now, picture=None)
                    return True
            except (RecordMissing, VersionConflict):  # another process was faster
                return False
            there = (reviews.c.id == identity) & reviews.c.picture.is_not(None)
            if not connection.execute(update(reviews).where(there).values(picture=None)).rowcount:
                return False
            self._audit.append_in(connection, ITSELF, "review.delete_picture", identity, now=now)
            return True

    def _take_down_standing(self, now: datetime) -> int:
        if self._recipes is None:
            return 0
        standing = (reviews.c.trigger == "report") & (reviews.c.state == "rejected") & (reviews.c.released == 1)
        done, failure = 0, None
        for identity in self._ids(standing & reviews.c.subject.is_not(None)):
            try:
                self.take_down(identity, now=now)
                done += 1
            except StorageUnavailable as error:  # which keeps only this one from going
                failure = error
        if failure is not None:
            raise failure
        return done

    def _ids(self, wanted: ColumnElement[bool]) -> Sequence[str]:
        with self._database.reading() as connection:
            batch = select(reviews.c.id).where(wanted).order_by(reviews.c.expires_at, reviews.c.id).limit(SWEEP_BATCH)
            return connection.execute(batch).scalars().all()
