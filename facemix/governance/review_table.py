"""The table of reviews, as everything that is done with it begins: within a transaction a review is found, changed
together with its row of the audit log, and its picture opened.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, update

from facemix.governance.audit import ITSELF, AuditLog
from facemix.governance.review_rows import conflict, missing, read_review, select_reviews
from facemix.governance.review_states import TRANSITIONS, Action, Picture, Review, Tally
from facemix.governance.secrets import Secrets
from facemix.storage.database import Database
from facemix.storage.governance_tables import reviews
from facemix.storage.recipes import RecipeStore

MOST_WAITING = 1000  # of either kind: results, and reports that name no saved recipe


class ReviewTable:
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
        return read_review(row, now), Picture(content, row["media_type"])

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

    def _noted(self, connection: Connection, review: Review, action: str, actor: str = ITSELF) -> bool:
        """Whether the audit log has it already that `actor` did that with the review."""
        seen = self._audit.about_in(connection, review.id, since=review.created_at)
        return any(row.action == action and row.actor == actor for row in seen)

    def _token(self, identity: str) -> str:
        """Made from the id, so that whoever asks again is told it again; it cannot be found without the secret."""
        digest = hmac.new(self._secrets.derive("review status"), identity.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
