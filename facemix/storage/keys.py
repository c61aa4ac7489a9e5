"""API keys. The secret is shown once, when it is made; only its SHA-256 is stored (`tokens.py` gives the reason)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage.database import Database
from facemix.storage.tables import keys
from facemix.storage.tokens import new_token, token_hash

PREFIX = "fmx_"  # lets a scanner for leaked secrets recognise one
MOST_PER_MINUTE = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True)
class Key:
    """A key without its secret. `requests_per_minute` None means the rate of any key; the times are in UTC."""

    name: str
    requests_per_minute: int | None
    created_at: datetime
    revoked_at: datetime | None


_COLUMNS = (keys.c.name, keys.c.requests_per_minute, keys.c.created_at, keys.c.revoked_at)


class KeyStore:
    """The table of keys. A revoked key stays listed, and its name taken: the ledger speaks of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, requests_per_minute: int | None = None, *, now: datetime | None = None) -> str:
        """Makes a key and returns its secret, which nothing can show again.

        Args:
            name: 1 to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit.
            requests_per_minute: 1 to 1,000,000, or None for the rate of any key (``FACEMIX_RATE_PER_KEY``).
            now: the time to write down; None means this moment.

        Raises:
            RequestInvalid: the name is malformed or taken, or the limit out of range.
            StorageFull, StorageUnavailable: the database refused.
        """
        if not _NAME.match(name):
            raise RequestInvalid(
                f"{name[:80]!r} cannot name a key",
                hint="use 1 to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit",
            )
        if requests_per_minute is not None and not 1 <= requests_per_minute <= MOST_PER_MINUTE:
            raise RequestInvalid(
                f"{requests_per_minute} requests per minute cannot be allowed",
                hint=f"choose 1 to {MOST_PER_MINUTE}, or none, for the rate of any key",
            )
        secret = new_token(PREFIX)
        row = {
            "name": name,
            "secret_hash": token_hash(secret),
            "requests_per_minute": requests_per_minute,
            "created_at": now or datetime.now(UTC),
        }
        try:
            with self._database.writing() as connection:
                connection.execute(insert(keys), row)
        except IntegrityError as error:
            raise RequestInvalid(
                f"there is a key {name!r} already", hint="choose another name; that of a revoked key stays taken"
            ) from error
        return secret

    def find(self, secret: str) -> Key | None:
        """The key of that secret; None if there is none or it is revoked.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = select(*_COLUMNS).where(keys.c.secret_hash == token_hash(secret), keys.c.revoked_at.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else Key(*row)

    def list(self) -> list[Key]:
        """Every key, revoked ones too, by name.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS)).all()
        return sorted((Key(*row) for row in rows), key=lambda key: key.name)  # databases collate differently

    def revoke(self, name: str, *, now: datetime | None = None) -> None:
        """From now on the key is not found.

        Raises:
            RecordMissing: no valid key has that name.
            StorageFull, StorageUnavailable: the database refused.
        """
        wanted = (
            update(keys)
            .where(keys.c.name == name, keys.c.revoked_at.is_(None))
            .values(revoked_at=now or datetime.now(UTC))
        )
        found = 0
        if _NAME.match(name):
            with self._database.writing() as connection:
                found = connection.execute(wanted).rowcount
        if not found:
            raise RecordMissing(f"there is no valid key {name[:80]!r}", hint="list the keys to see their names")
