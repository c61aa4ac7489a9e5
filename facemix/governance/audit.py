"""The audit log: what operators and the program itself did, in rows of which each covers the one before by its hash.

A row that was changed, taken out or put in afterwards breaks the chain, and `AuditLog.verify` names the place. Whoever
can write to the database can write the whole chain anew: the newest hash, kept elsewhere, tells that, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from facemix.storage.database import Database
from facemix.storage.governance_tables import audit

ITSELF = "facemix"  # the actor of what the program does by itself, and nobody at the console
GENESIS = "0" * 64
_LOCK = 0x66616365  # PostgreSQL: the advisory lock under which rows are added one by one
_TRIES = 5


@dataclass(frozen=True)
class AuditRow:
    """One action.

    Attributes:
        number: rises by one with every row, from 1.
        at: when, in UTC.
        actor: name of the operator, or ``command line``, or ``facemix`` for what it did by itself.
        action: a word of the program, as ``review.approve``.
        subject: what it was done to, None where there is no such thing.
        details: JSON-serialisable figures; never a photograph, a file name or an address.
        previous, hash: SHA-256 of the row before and of this one, hexadecimal.
    """

    number: int
    at: datetime
    actor: str
    action: str
    subject: str | None
    details: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class AuditCheck:
    """What `AuditLog.verify` found: how many rows are right, the hash of the last, and what is wrong then, if it is."""

    rows: int
    newest: str
    broken: str | None


class AuditLog:
    """The table. Thread-safe; several processes may add to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        actor: str,
        action: str,
        subject: str | None = None,
        details: Mapping[str, Any] | None = None,
        *,
        now: datetime | None = None,
    ) -> AuditRow:
        """Adds a row.

        Raises:
            StorageFull, StorageUnavailable: the database refused; nothing was added.
        """
        for last in (*(False,) * _TRIES, True):
            try:
                with self._database.writing() as connection:
                    return self.append_in(connection, actor, action, subject, details, now=now)
            except IntegrityError:  # another process took the number
                if last:
                    raise
        raise AssertionError("the last try answers or raises")

    def append_in(
        self,
        connection: Connection,
        actor: str,
        action: str,
        subject: str | None = None,
        details: Mapping[str, Any] | None = None,
        *,
        now: datetime | None = None,
    ) -> AuditRow:
        """The same within a transaction of the caller, so that an action and its row come to be together."""
        if connection.dialect.name == "postgresql":  # SQLite's writers queue up by themselves
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        newest = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1))
        number, previous = newest.one_or_none() or (0, GENESIS)
        at = (now or datetime.now(UTC)).astimezone(UTC)
        written = json.dumps(dict(details or {}), sort_keys=True, separators=(",", ":"))
        covered = _hash(number + 1, at, actor, action, subject, written, previous)
        row = {
            "number": number + 1,
            "at": at,
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": written,
            "previous": previous,
            "hash": covered,
        }
        connection.execute(insert(audit), row)
        return AuditRow(**{**row, "details": json.loads(written)})

    def list(self, limit: int = 100, before: int | None = None) -> list[AuditRow]:
        """The newest rows first, at most `limit`; `before` a row's number goes on from an earlier page.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(audit.c.number < before)
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(wanted).mappings()]

    def about(self, subject: str, *, since: datetime) -> list[AuditRow]:  # type: ignore[valid-type]  # see `list`
        """The rows about one thing from that time on, the oldest first.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            return self.about_in(connection, subject, since=since)

    def about_in(self, connection: Connection, subject: str, *, since: datetime) -> list[AuditRow]:  # type: ignore[valid-type]
        """The same within a transaction of the caller."""
        wanted = select(audit).where(audit.c.at >= since, audit.c.subject == subject).order_by(audit.c.number)
        return [_read(row) for row in connection.execute(wanted).mappings()]

    def verify(self) -> AuditCheck:
        """Reads the whole chain and says where it first breaks.

        Raises:
            StorageUnavailable: the database refused.
        """
        number, previous = 0, GENESIS
        for row in self._all():
            if row["number"] != number + 1:
                return AuditCheck(number, previous, f"row {number + 1} is missing: row {row['number']} follows")
            number = row["number"]
            if row["previous"] != previous:
                return AuditCheck(number - 1, previous, f"row {number} does not name the row before it")
            fields = (row[name] for name in ("number", "at", "actor", "action", "subject", "details", "previous"))
            if row["hash"] != _hash(*fields):
                return AuditCheck(number - 1, previous, f"row {number} was changed")
            previous = row["hash"]
        return AuditCheck(number, previous, None)

    def _all(self) -> Iterator[Any]:
        with self._database.reading() as connection:
            wanted = select(audit).order_by(audit.c.number).execution_options(yield_per=1000)
            yield from connection.execute(wanted).mappings()


def _read(row: Any) -> AuditRow:
    return AuditRow(**{**row, "details": json.loads(row["details"])})


def _hash(number: int, at: datetime, actor: str, action: str, subject: str | None, details: str, previous: str) -> str:
    when = at.astimezone(UTC).isoformat(timespec="microseconds")
    covered = json.dumps([number, when, actor, action, subject, details])
    return hashlib.sha256(f"{previous}\n{covered}".encode()).hexdigest()
