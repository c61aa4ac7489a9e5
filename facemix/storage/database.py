"""One database, opened once per process and shared by its threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, delete, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from facemix.errors import StorageUnavailable
from facemix.storage import migrate
from facemix.storage.engine import READ_ONLY, make_engine
from facemix.storage.failures import storage_errors

DELETE_BATCH = 1000  # rows deleted in one transaction, so that nobody waits long for it


@dataclass(frozen=True)
class DatabaseReport:
    """What `Database.check` found: "SQLite 3.40.1", a location without its password, the schema's revision."""

    kind: str
    location: str
    schema: str


class Database:
    """SQLite or PostgreSQL behind one engine. Thread-safe; not to be carried across a fork."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reader = engine.execution_options(**{READ_ONLY: True})

    @classmethod
    def open(cls, url: str | URL) -> Self:
        """A database that nothing has connected to yet; `upgrade` before its first use.

        Args:
            url: ``sqlite:////folder/file`` or ``postgresql+psycopg://...`` (``postgresql://`` means the same).

        Raises:
            ConfigError: the URL names no database that facemix knows, or one in memory.
            InstallationError: the driver is missing.
            StorageUnavailable: the folder of the SQLite file cannot be made.
        """
        return cls(make_engine(url))

    def upgrade(self) -> bool:
        """See `migrate.upgrade`."""
        return migrate.upgrade(self.engine)

    def close(self) -> None:
        """Closes the connections that are not in use; the others when they are given back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def location(self) -> str:
        """The URL, with stars for the password: for the operator, not for clients."""
        return self.engine.url.render_as_string(hide_password=True)

    def check(self) -> DatabaseReport:
        """Whether it answers and has the schema that this program wants.

        Raises:
            SchemaTooNew: a newer facemix has migrated it.
            StorageUnavailable: it does not answer, or is not upgraded.
        """
        found, newest = migrate.revisions(self.engine)
        if found != newest:
            raise StorageUnavailable(
                f"the schema of the database is {found!r}, not {newest!r}", hint="upgrade it: Database.upgrade()"
            )
        name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self.engine.dialect.name]
        version = ".".join(str(part) for part in self.engine.dialect.server_version_info or ())
        return DatabaseReport(f"{name} {version}", self.location, found)

    def has(self, table: Table) -> bool:
        """Whether there is such a table. Raises `StorageUnavailable`."""
        with self.reading() as connection:
            return inspect(connection).has_table(table.name)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StorageUnavailable: the database refused.
        """
        with storage_errors(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block, rolled back when it raises.

        Raises:
            StorageFull: no space is left.
            StorageUnavailable: the database refused.
        """
        with storage_errors(), self.engine.begin() as connection:
            yield connection

    def scrub(self) -> int:
        """Empties SQLite's write-ahead log, in which deleted rows stand until it is written over; 0, as a sweep that
        deletes no row. While somebody reads from the log it stays, and the next call tries again. PostgreSQL does the
        like by itself, in its own time (autovacuum).

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        if self.engine.dialect.name == "sqlite":
            with storage_errors(), self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None  # it is connected
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return 0

    def insert_missing(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Inserts those rows whose primary key is not there yet, all in one transaction.

        Raises:
            StorageFull, StorageUnavailable: see `writing`.
        """
        if not rows:
            return
        insert = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        with self.writing() as connection:
            connection.execute(insert(table).on_conflict_do_nothing(index_elements=table.primary_key.columns), rows)

    def delete_where(self, table: Table, condition: ColumnElement[bool]) -> int:
        """Deletes what meets the condition, a batch at a time; how many rows that were.

        Raises:
            StorageFull, StorageUnavailable: see `writing`; the batches before stay deleted.
        """
        (key,) = table.primary_key.columns
        batch = select(key).where(condition).limit(DELETE_BATCH)
        deleted = 0
        while True:
            with self.writing() as connection:
                found = connection.execute(delete(table).where(key.in_(batch))).rowcount
            if not found:
                return deleted
            deleted += found
