"""What a database driver says, in this program's words.

Messages name neither host, user nor path, because they may reach a client; the driver's own words stay in `__cause__`.
Defects of facemix (a violated constraint, bad SQL) are let through as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from facemix.errors import StorageFull, StorageUnavailable

_FULL = ("the disk of the database is full", "free space on it, or move the database; docs/storage.md says how")
_NO_TABLES = ("the database has no tables of facemix yet", "upgrade it first: Database.upgrade()")
_NO_CONNECTION = ("no connection to the database came free in time", "try again; the database is slow or overloaded")
_SQLITE = {
    sqlite3.SQLITE_BUSY: ("the database is locked by another process", "try again"),
    sqlite3.SQLITE_LOCKED: ("the database is locked by another process", "try again"),
    sqlite3.SQLITE_PERM: ("the database file may not be used", "check its owner and permissions"),
    sqlite3.SQLITE_READONLY: ("the database file may not be written", "check its permissions, and its folder's"),
    sqlite3.SQLITE_CANTOPEN: ("the database file cannot be opened", "check that its folder exists and is writable"),
    sqlite3.SQLITE_IOERR: ("the database file cannot be read or written", "check the disk"),
    sqlite3.SQLITE_CORRUPT: ("the database file is damaged", "restore a backup; docs/storage.md says how"),
    sqlite3.SQLITE_NOTADB: ("the database file is not an SQLite database", "check the path in FACEMIX_DATABASE_URL"),
}
_POSTGRES_FULL = "53100"
_POSTGRES_NO_TABLE = "42P01"
_POSTGRES_FORBIDDEN = "42501"


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the driver raises inside into `StorageUnavailable` or `StorageFull`."""
    try:
        yield
    except PoolTimeout as error:
        raise StorageUnavailable(_NO_CONNECTION[0], hint=_NO_CONNECTION[1]) from error
    except DBAPIError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: DBAPIError) -> StorageUnavailable | None:
    """The refusal that the driver's error amounts to; None where the fault is not the database's."""
    if isinstance(error, IntegrityError | DataError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_refusal(error.orig)
    return _postgres_refusal(error)


def _sqlite_refusal(error: sqlite3.Error) -> StorageUnavailable | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # extended codes keep the kind there
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(_FULL[0], hint=_FULL[1])
    if code == sqlite3.SQLITE_ERROR:
        if "no such table" in str(error):
            return StorageUnavailable(_NO_TABLES[0], hint=_NO_TABLES[1])
        return None
    message, hint = _SQLITE.get(code, ("the database refused", "the log says why"))
    return StorageUnavailable(message, hint=hint)


def _postgres_refusal(error: DBAPIError) -> StorageUnavailable | None:
    state = getattr(error.orig, "sqlstate", None)  # None where no connection came about
    if state == _POSTGRES_FULL:
        return StorageFull(_FULL[0], hint=_FULL[1])
    if state == _POSTGRES_NO_TABLE:
        return StorageUnavailable(_NO_TABLES[0], hint=_NO_TABLES[1])
    if isinstance(error, ProgrammingError) and state != _POSTGRES_FORBIDDEN:
        return None
    if state is None:
        return StorageUnavailable("the database server cannot be reached", hint="check that it runs and where")
    return StorageUnavailable(f"the database server refused (SQLSTATE {state})", hint="the log says why")
