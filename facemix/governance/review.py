"""The queue of what a person decides: results that were held, results that were drawn by lot, faces that were reported.

A held picture lies here sealed, and no longer than until the decision, or for `hours`. Every change names the version
that its maker saw, so that of two reviewers who act at once one is told so, and comes with a row of the audit log in
the same transaction.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets as random
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from facemix.errors import (
    Busy,
    RecordMissing,
    RoleMissing,
    StorageUnavailable,
    VersionConflict,
)
from facemix.governance.audit import AuditLog
from facemix.governance.reasons import OTHER, Kind, checked_text, find_reason
from facemix.governance.report_details import joined_detail, report_reason
from facemix.governance.review_rows import (
    ID_BYTES,
    conflict,
    has_id,
    has_token,
    in_words,
    is_late,
    is_waiting,
    missing,
    read_review,
    select_reviews,
)
from facemix.governance.review_states import (
    OPEN,
    STATES,
    TRANSITIONS,
    TRIGGERS,
    Action,
    Picture,
    Review,
    State,
    Tally,
    Trigger,
)
from facemix.governance.secrets import Secrets, open_secrets
from facemix.settings import Settings
from facemix.storage.blobs import open_blobs
from facemix.storage.database import Database
from facemix.storage.governance_tables import operators, reviews
from facemix.storage.recipes import RecipeStore
from facemix.storage.tokens import token_hash

log = logging.getLogger("facemix.governance")

ITSELF = "facemix"  # the actor of what nobody at the console did
COLLECTED = timedelta(minutes=10)  # how long a picture stays after it was first fetched: a download may break off
REPORT_WAITS = timedelta(days=365)  # a report holds no picture, and closes only by a decision
LOOSE_REPORT_WAITS = timedelta(days=90)  # one that names no saved recipe: its request may be made up
MOST_WAITING = 1000  # of either kind: results, and reports that name no saved recipe
MOST_DETAIL = 2000  # characters
SWEEP_BATCH = 100
_DECISIONS: tuple[State, ...] = ("approved", "rejected")


class Reviews:
    """The table. Thread-safe; several processes may share it.

    Args:
        database: upgraded.
        secrets: seals the pictures, and makes the tokens of those who wait.
        hours: from being held until it expires.
        due_hours: from being held until somebody should have decided.
        recipes: the saved recipes, so that one that was reported can be taken down.
        keep_days: for how long decisions are remembered; 0 means for ever.
        most: reviews that may wait; beyond that `hold` refuses.
    """

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        hours: float,
        due_hours: float,
        *,
        recipes: RecipeStore | None = None,
        keep_days: int = 400,
        most: int = MOST_WAITING,
    ) -> None:
        self._database, self._secrets, self._recipes = database, secrets, recipes
        self._window, self._due = timedelta(hours=hours), timedelta(hours=min(due_hours, hours))
        self._keep_days, self._most = keep_days, most
        self._audit = AuditLog(database)
        self.latest: Tally | None = None
        """The tally of the last sweep, for whoever may not wait for a database."""

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

    # --- what comes in -------------------------------------------------------------------------------------

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
            if recipe_hash is not None and not released and trigger != "report":
                same = (
                    (reviews.c.recipe_hash == recipe_hash)
                    & (reviews.c.trigger == trigger)
                    & (reviews.c.subject.is_(None) if subject is None else reviews.c.subject == subject)
                    & (reviews.c.released == 0)
                    & (reviews.c.media_type.is_(None) if media_type is None else reviews.c.media_type == media_type)
                    & (reviews.c.owner.is_(None) if owner is None else reviews.c.owner == owner)
                )
                found = (
                    connection.execute(select_reviews().where(is_waiting(now) & same).limit(1)).mappings().one_or_none()
                )
                if found is not None:
                    return read_review(found, now), self._token(found["id"])
            if trigger == "report":
                joined = self._join(connection, row, now)
                if joined is not None:
                    return joined, self._token(joined.id)
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

    # --- what reviewers see --------------------------------------------------------------------------------

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
        seen = self._audit.about_in(connection, review.id, since=review.created_at)
        if not any(row.action == "review.look" and row.actor == actor for row in seen):
            self._audit.append_in(connection, actor, "review.look", review.id, now=now)

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

    # --- what reviewers do ---------------------------------------------------------------------------------

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

    def verdict(
        self, recipe_hash: str, *, trigger: Trigger, subject: str | None = None, since: datetime | None = None
    ) -> State | None:
        """What was last decided on results of that recipe, ``approved`` or ``rejected``; None where nothing was.

        Args:
            trigger: an approval of one kind says nothing about another.
            subject: nor does one about a protected person about another one; None for decisions about anybody.
            since: decisions from before do not count, as from before somebody else was put under protection.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = (reviews.c.recipe_hash == recipe_hash) & reviews.c.state.in_(_DECISIONS)
        wanted &= reviews.c.trigger == trigger
        if subject is not None:
            wanted &= reviews.c.subject == subject
        if since is not None:
            wanted &= reviews.c.decided_at >= since
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

    def approved(self, recipe_hash: str, *, trigger: Trigger, since: datetime | None = None) -> bool:
        """Whether a result of that recipe need not be held again. Arguments and errors as `verdict`."""
        return self.verdict(recipe_hash, trigger=trigger, since=since) == "approved"

    # --- the person who waits ------------------------------------------------------------------------------

    def status(self, token: str, *, now: datetime | None = None) -> Review:
        """How it stands. Raises `RecordMissing`, `StorageUnavailable`."""
        with self._database.reading() as connection:
            return self._get(connection, has_token(token), now or datetime.now(UTC))

    def collect(self, token: str, *, fetched: bool = True, now: datetime | None = None) -> Picture:
        """What was held, once it is approved. From the first time on it stays for ten minutes more, at most.

        Args:
            fetched: False only looks whether it could be had, and starts no clock.

        Raises:
            RecordMissing: there is no such review, it is not approved, or the picture is gone.
            SealBroken, StorageFull, StorageUnavailable: it cannot be had.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            review, picture = self._opened(connection, has_token(token) & (reviews.c.state == "approved"), now)
            if fetched and not self._collected(connection, review):
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
            VersionConflict: there is nothing to appeal, or not any more.
            StorageFull, StorageUnavailable: the database refused; nothing was changed.
        """
        now = now or datetime.now(UTC)
        text = checked_text(text, needed=True)
        with self._database.writing() as connection:
            review = self._get(connection, has_token(token), now)
            if not review.may_be_appealed(now):
                raise conflict("it cannot be appealed", "only a rejection can, once, and while its time lasts")
            due = min(now + self._due, review.expires_at)
            return self._change(connection, review, "appeal", ITSELF, now, appeal=text, due_at=due)

    # --- what time does ------------------------------------------------------------------------------------

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

    # --- within a transaction ------------------------------------------------------------------------------

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
                raise conflict(f"{review.claimed_by} has claimed it", "leave it to them, or ask them to release it")
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

    def _change(
        self,
        connection: Connection,
        review: Review,
        action: Action,
        actor: str,
        now: datetime,
        details: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Review:
        state = TRANSITIONS[review.state, action]
        mine = (reviews.c.id == review.id) & (reviews.c.version == review.version)
        changed = update(reviews).where(mine).values(state=state, version=review.version + 1, **changes)
        if not connection.execute(changed).rowcount:
            raise conflict("it has been changed meanwhile")
        reason = {"reason": changes["reason"]} if "reason" in changes else {}
        said = {"from": review.state, "to": state, "version": review.version + 1, **reason, **(details or {})}
        self._audit.append_in(connection, actor, f"review.{action}", review.id, said, now=now)
        return self._get(connection, reviews.c.id == review.id, now)

    def _get(
        self, connection: Connection, wanted: ColumnElement[bool], now: datetime, *, stored: bool = False
    ) -> Review:
        row = connection.execute(select_reviews().where(wanted)).mappings().one_or_none()
        if row is None:
            raise missing()
        return read_review(row, None if stored else now)

    def _opened(self, connection: Connection, wanted: ColumnElement[bool], now: datetime) -> tuple[Review, Picture]:
        row = connection.execute(select_reviews(reviews.c.picture).where(wanted)).mappings().one_or_none()
        if row is None or row["picture"] is None or row["expires_at"] <= now:
            raise missing("the picture is gone, or was never there")
        content = self._secrets.open("review", row["picture"], about=row["id"].encode())
        return read_review({name: row[name] for name in row if name != "picture"}, now), Picture(
            content, row["media_type"]
        )

    def _waits(self, trigger: Trigger, subject: str | None) -> timedelta:
        if trigger != "report":
            return self._window
        return LOOSE_REPORT_WAITS if subject is None else REPORT_WAITS

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

    def _collected(self, connection: Connection, review: Review) -> bool:
        seen = self._audit.about_in(connection, review.id, since=review.created_at)
        return any(row.action == "review.collect" for row in seen)

    def _token(self, identity: str) -> str:
        """Made from the id, so that whoever asks again is told it again; it cannot be found without the secret."""
        digest = hmac.new(self._secrets.derive("review status"), identity.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
