"""API keys. The secret is shown once, when it is made; only its SHA-256 is stored (`tokens.py` gives the reason)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage.database import Database
from facemix.storage.tables import keys
from facemix.storage.tokens import new_token, token_hash

PREFIX = "fmx_"  # lets a scanner for leaked secrets recognise one
MOST_PER_MINUTE = 1_000_000
MOST_BUDGET = 1e9
MOST_DAYS = 36500
# What a key may be good for, in the order in which they are shown.
SCOPES = ("mix", "faces", "recipes", "jobs", "verify", "usage")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

Also = Callable[[Connection], object]
"""What is done in the same transaction, before the change; nothing is changed when it raises."""


@dataclass(frozen=True)
class Key:
    """A key without its secret; the times are in UTC.

    Attributes:
        requests_per_minute: None means the rate of any key.
        revoked_at, expires_at: when it stopped or stops to be valid; None means not.
        scopes: what it is good for; None means everything.
        budget_day, budget_month: what its requests may cost; None means no limit.
    """

    name: str
    requests_per_minute: int | None
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    budget_day: float | None = None
    budget_month: float | None = None

    def is_live(self, now: datetime | None = None) -> bool:
        """Whether it is valid now, or at `now`."""
        ended = self.expires_at is not None and self.expires_at <= (now or datetime.now(UTC))
        return self.revoked_at is None and not ended


_COLUMNS = (
    keys.c.name,
    keys.c.requests_per_minute,
    keys.c.created_at,
    keys.c.revoked_at,
    keys.c.expires_at,
    keys.c.scopes,
    keys.c.budget_day,
    keys.c.budget_month,
)


class KeyStore:
    """The table of keys. A revoked key stays listed, and its name taken: the ledger speaks of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        requests_per_minute: int | None = None,
        *,
        scopes: Collection[str] | None = None,
        days: int | None = None,
        budget_day: float | None = None,
        budget_month: float | None = None,
        now: datetime | None = None,
        also: Also = lambda connection: None,
    ) -> str:
        """Makes a key and returns its secret, which nothing can show again.

        Args:
            name: 1 to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit.
            requests_per_minute: 1 to 1,000,000, or None for the rate of any key (``FACEMIX_RATE_PER_KEY``).
            scopes: some of `SCOPES`; None means everything, also what comes to be there later.
            days: 1 to 36,500 until it expires; None means that it does not.
            budget_day, budget_month: more than 0, in the currency of the price table; None means no limit.
            now: the time to write down; None means this moment.
            also: see `Also`.

        Raises:
            RequestInvalid: the name is malformed or taken, or something is out of range.
            StorageFull, StorageUnavailable: the database refused.
        """
        if not _NAME.match(name):
            raise RequestInvalid(
                f"{name[:80]!r} cannot name a key",
                hint="use 1 to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit",
                where="name",
            )
        if requests_per_minute is not None and not 1 <= requests_per_minute <= MOST_PER_MINUTE:
            raise RequestInvalid(
                f"{requests_per_minute} requests per minute cannot be allowed",
                hint=f"choose 1 to {MOST_PER_MINUTE}, or none, for the rate of any key",
                where="per_minute",
            )
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise RequestInvalid(
                f"a key cannot live for {days} days",
                hint=f"choose 1 to {MOST_DAYS}, or none, for a key that does not expire",
                where="days",
            )
        at = now or datetime.now(UTC)
        secret = new_token(PREFIX)
        row = {
            "name": name,
            "secret_hash": token_hash(secret),
            "requests_per_minute": requests_per_minute,
            "created_at": at,
            "expires_at": None if days is None else at + timedelta(days=days),
            "scopes": _written(scopes),
            "budget_day": _budget(budget_day, "budget_day"),
            "budget_month": _budget(budget_month, "budget_month"),
        }
        try:
            with self._database.writing() as connection:
                also(connection)
                connection.execute(insert(keys), row)
        except IntegrityError as error:
            raise RequestInvalid(
                f"there is a key {name!r} already",
                hint="choose another name; that of a revoked key stays taken",
                where="name",
            ) from error
        return secret

    def find(self, secret: str, *, now: datetime | None = None) -> Key | None:
        """The key of that secret; None if there is none, or it is revoked or expired.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = select(*_COLUMNS).where(keys.c.secret_hash == token_hash(secret), *_live(now))
        with self._database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else _read(row)

    def list(self) -> list[Key]:
        """Every key, revoked and expired ones too, by name.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS)).all()
        return sorted(map(_read, rows), key=lambda key: key.name)  # databases collate differently

    def count(self, *, now: datetime | None = None) -> int:
        """How many keys are valid.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(keys).where(*_live(now))).scalar_one()

    def rotate(self, name: str, *, now: datetime | None = None, also: Also = lambda connection: None) -> str:
        """Gives a key a new secret and returns it. The old one is worth nothing from then on; everything else of the
        key stays.

        Raises:
            RecordMissing: no valid key has that name.
            StorageFull, StorageUnavailable: the database refused.
        """
        secret = new_token(PREFIX)
        self._change(name, {"secret_hash": token_hash(secret)}, _live(now), also)
        return secret

    def revoke(self, name: str, *, now: datetime | None = None, also: Also = lambda connection: None) -> None:
        """From now on the key is not found.

        Raises:
            RecordMissing: no key has that name that is not revoked yet.
            StorageFull, StorageUnavailable: the database refused.
        """
        self._change(name, {"revoked_at": now or datetime.now(UTC)}, (keys.c.revoked_at.is_(None),), also)

    def _change(self, name: str, values: dict[str, Any], which: tuple[ColumnElement[bool], ...], also: Also) -> None:
        missing = RecordMissing(f"there is no valid key {name[:80]!r}", hint="list the keys to see their names")
        if not _NAME.match(name):
            raise missing
        with self._database.writing() as connection:
            also(connection)
            if not connection.execute(update(keys).where(keys.c.name == name, *which).values(**values)).rowcount:
                raise missing


def _live(now: datetime | None) -> tuple[ColumnElement[bool], ...]:
    at = now or datetime.now(UTC)
    return keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > at)


def _read(row: Any) -> Key:
    values = dict(row._mapping)
    scopes = values.pop("scopes")
    return Key(**values, scopes=None if scopes is None else frozenset(scopes.split()))


def _written(scopes: Collection[str] | None) -> str | None:
    if scopes is None:
        return None
    unknown = [word for word in scopes if word not in SCOPES]
    if unknown or not scopes:
        raise RequestInvalid(
            f"there is no scope {unknown[0][:40]!r}" if unknown else "a key without any scope is good for nothing",
            hint=f"the scopes are {', '.join(SCOPES)}; none named means all of them",
            where="scopes",
        )
    return " ".join(word for word in SCOPES if word in scopes)


def _budget(value: float | None, where: str) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 < value <= MOST_BUDGET):
        raise RequestInvalid(
            f"a budget of {value:g} cannot be kept",
            hint=f"choose more than 0 and at most {MOST_BUDGET:g}, or none, for no limit",
            where=where,
        )
    return value
