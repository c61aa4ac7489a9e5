"""Browsers that are signed in. The cookie's token is shown to the browser alone: only its SHA-256 is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from facemix.errors import SignInFailed
from facemix.governance.audit import AuditLog
from facemix.governance.operators import Proof, Role, still_proven
from facemix.storage.database import Database
from facemix.storage.governance_tables import operators, sessions
from facemix.storage.tokens import new_token, token_hash

LONGEST_TOKEN = 64  # characters; those that are given out have 43


@dataclass(frozen=True)
class Session:
    """A sign-in that holds.

    Attributes:
        operator: name of the person.
        role: what the person may do now, not when the sign-in began.
        csrf: stands in every form of this session; another site cannot know it.
        expires_at: when it ends by itself, in UTC.
        token_hash: which one it is.
    """

    operator: str
    role: Role
    csrf: str
    expires_at: datetime
    token_hash: str


class Sessions:
    """The table. Thread-safe.

    Args:
        hours: how long a sign-in lasts, whatever is done meanwhile.
    """

    def __init__(self, database: Database, *, hours: float) -> None:
        self._database = database
        self._audit = AuditLog(database)
        self._lifetime = timedelta(hours=hours)

    def begin(self, proof: Proof, *, now: datetime | None = None) -> tuple[str, Session]:
        """Signs somebody in: the cookie's token, which nothing can show again, and the session. What has expired is
        cleared away meanwhile.

        Raises:
            SignInFailed: the password was changed or the person disabled since the proof.
            StorageFull, StorageUnavailable: the database refused.
        """
        at = now or datetime.now(UTC)
        token, csrf = new_token(), new_token()
        row = {
            "token_hash": token_hash(token),
            "operator": proof.operator,
            "csrf": csrf,
            "created_at": at,
            "seen_at": at,
            "expires_at": at + self._lifetime,
        }
        with self._database.writing() as connection:
            self._audit.append_in(connection, proof.operator, "sign_in", proof.operator, now=at)
            if not still_proven(connection, proof):
                raise SignInFailed("the password was changed meanwhile", hint="sign in with the new one")
            connection.execute(delete(sessions).where(sessions.c.expires_at <= at))
            connection.execute(insert(sessions), row)
        found = self.find(token, now=at)
        if found is None:  # disabled in this very moment
            raise SignInFailed("the sign-in was ended at once", hint="ask an operator")
        return token, found

    def find(self, token: str, *, now: datetime | None = None) -> Session | None:
        """The session of a cookie; None where it has ended, or there never was one.

        Raises:
            StorageUnavailable: the database refused.
        """
        if not token or len(token) > LONGEST_TOKEN:
            return None
        wanted = (
            select(sessions.c.operator, operators.c.role, sessions.c.csrf, sessions.c.expires_at, sessions.c.token_hash)
            .join_from(sessions, operators, operators.c.name == sessions.c.operator)
            .where(
                sessions.c.token_hash == token_hash(token),
                sessions.c.expires_at > (now or datetime.now(UTC)),
                operators.c.disabled_at.is_(None),
            )
        )
        with self._database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else Session(*row)

    def end(self, session: Session) -> None:
        """Signs this one browser out. Raises `StorageFull`, `StorageUnavailable`."""
        with self._database.writing() as connection:
            self._audit.append_in(connection, session.operator, "sign_out", session.operator)
            connection.execute(delete(sessions).where(sessions.c.token_hash == session.token_hash))

    def count(self, *, now: datetime | None = None) -> dict[str, int]:
        """How many browsers are signed in, by name. Raises `StorageUnavailable`."""
        wanted = select(sessions.c.operator).where(sessions.c.expires_at > (now or datetime.now(UTC)))
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for name in connection.execute(wanted).scalars():
                found[name] = found.get(name, 0) + 1
        return found
