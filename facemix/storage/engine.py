"""SQLAlchemy engines for the two databases, set up alike wherever one is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from facemix.errors import ConfigError, InstallationError, StorageUnavailable
from facemix.storage.glance import DATABASE_FILE

BUSY_SECONDS = 5  # SQLite: how long a writer waits for another
CONNECT_SECONDS = 5  # PostgreSQL: until a server that does not answer counts as gone
POOL_SECONDS = 5  # until no connection of the pool being free counts as a failure
STATEMENT_SECONDS = 30  # PostgreSQL: the longest statement, migrations excepted
READ_ONLY = "facemix_read_only"  # execution option of a transaction that will not write
_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg")
_HINT = "use sqlite:////folder/facemix.sqlite3 or postgresql+psycopg://user:password@host/database"


def default_url(data_dir: Path) -> URL:
    """The SQLite file in the data folder."""
    return URL.create("sqlite", database=str(data_dir.expanduser().absolute() / DATABASE_FILE))


def parse_url(url: str | URL) -> URL:
    """The URL with its driver made explicit.

    Raises:
        ConfigError: not a URL, another kind of database, or an SQLite database in memory, which no two
            connections would share.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its text may hold a password
        raise ConfigError("the URL of the database cannot be read", hint=_HINT) from None
    if parsed.drivername in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigError(f"{parsed.drivername!r} is not a database that facemix knows", hint=_HINT)
    if parsed.database in (None, "", ":memory:") or "uri" in parsed.query:
        raise ConfigError("an SQLite database must be a file", hint=_HINT)
    return parsed


def make_engine(url: str | URL) -> Engine:
    """An engine; nothing is connected yet. The folder of an SQLite file is made (for its owner only).

    Raises:
        ConfigError: see `parse_url`.
        InstallationError: the driver for PostgreSQL is not installed.
        StorageUnavailable: the folder cannot be made.
    """
    parsed = parse_url(url)
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed)


def _postgres(url: URL) -> Engine:
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "facemix",
        "tcp_user_timeout": 15_000,  # ms; a server that vanished without a word
        "options": f"-c statement_timeout={STATEMENT_SECONDS}s -c timezone=UTC",
    }
    given = {name: value for name, value in arguments.items() if name not in url.query}  # what the URL says wins
    try:
        return create_engine(
            url, connect_args=given, pool_pre_ping=True, pool_timeout=POOL_SECONDS, hide_parameters=True
        )
    except ModuleNotFoundError as error:
        raise InstallationError(
            "the driver for PostgreSQL is not installed", hint="pip install 'facemix[postgres]'"
        ) from error


def _sqlite(url: URL) -> Engine:
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(
            "the folder of the database cannot be made", hint="check FACEMIX_DATA_DIR and who may write there"
        ) from error
    engine = create_engine(
        url,
        # Transactions are begun by `_begin` below, not by the driver.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    """Write-ahead log: readers do not wait for writers. NORMAL: a power cut may cost the last commits, not the file.
    What is deleted is overwritten with zeros (`Database.scrub` does the same for the log)."""
    _use_wal(connection)
    connection.execute("PRAGMA secure_delete=ON").close()
    connection.execute("PRAGMA synchronous=NORMAL").close()
    connection.execute("PRAGMA foreign_keys=ON").close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Once for the life of the file. SQLite refuses this, without waiting, while another process opens the file."""
    until = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(0.01)


def _begin(connection: Connection) -> None:
    """Writers queue up at the start of their transaction.

    One that began as a reader and then wrote would be refused at once, whatever the time-out, if another had written
    in between.
    """
    reads = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
