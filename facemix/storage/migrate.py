"""Migrations, run by code, never by a shell: to the newest schema, by one process at a time, wholly or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from facemix.errors import SchemaTooNew
from facemix.storage.engine import READ_ONLY
from facemix.storage.failures import storage_errors

FOLDER = Path(__file__).resolve().parent / "migrations"
LOCK_SECONDS = 300  # how long a process waits for another that is migrating
_LOCK = 0x66616365_6D6978  # "facemix": the number of the advisory lock in PostgreSQL


def upgrade(engine: Engine, folder: Path = FOLDER) -> bool:
    """Brings the database to the newest schema; True if this call changed anything.

    Safe when several processes start at once: one migrates, the others wait and find nothing left to do. All steps
    stand in one transaction, so a step that fails leaves the database as it was.

    Raises:
        SchemaTooNew: the database was migrated by a newer facemix.
        StorageUnavailable, StorageFull: the database refused.
    """
    with storage_errors():
        before, newest = revisions(engine, folder)
        if before == newest:
            return False
        with _alone(engine) as connection:
            if _revision(connection, folder) == newest:
                return False
            command.upgrade(_config(folder, connection), "head")
            return True


def revisions(engine: Engine, folder: Path = FOLDER) -> tuple[str | None, str]:
    """The schema's revision in the database (None: no tables yet), and the newest one that this program knows.

    Raises:
        SchemaTooNew: the database's is none of those that this program knows.
        StorageUnavailable: the database cannot be read.
    """
    with storage_errors(), engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        newest = ScriptDirectory.from_config(_config(folder)).get_current_head()
        assert newest is not None  # the package ships at least one
        return _revision(connection, folder), newest


def _revision(connection: Connection, folder: Path) -> str | None:
    """Raises: SchemaTooNew."""
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config(folder)).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNew(
            f"the schema of the database is {found!r}; this facemix knows up to {max(known)!r}",
            hint="install the facemix that last used this database, or restore a backup from before its upgrade",
        )
    return found


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that keeps other migrations out; waits for one that is under way."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # where the transaction begins as the only writer
            with _patience(connection, LOCK_SECONDS), connection.begin():
                yield connection
            return
        with connection.begin():
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection


@contextmanager
def _patience(connection: Connection, seconds: float) -> Iterator[None]:
    """Has SQLite wait longer for the writer before it, outside of any transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None  # it was checked out just now
    (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout={seconds * 1000:.0f}").close()
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout={before}").close()


def _config(folder: Path, connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
