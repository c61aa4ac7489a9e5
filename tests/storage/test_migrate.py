import multiprocessing
import shutil

import pytest
from migrating import upgrade_at_once
from sqlalchemy import inspect

from facemix.errors import SchemaTooNew, StorageUnavailable
from facemix.storage import governance_tables  # noqa: F401  # its tables belong to the metadata
from facemix.storage.database import Database
from facemix.storage.migrate import FOLDER, revisions, upgrade
from facemix.storage.tables import metadata

STEP = """
import time
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None


def upgrade() -> None:
    op.create_table("added", sa.Column("value", sa.Integer))
    {then}
"""


def longer(tmp_path, then):
    """The shipped migrations and one more."""
    folder = tmp_path / "migrations %d"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    newest = max(path.name for path in (FOLDER / "versions").glob("*.py")).split("_")[0]
    (folder / "versions" / "9999_added.py").write_text(STEP.format(before=newest, then=then))
    return folder


def tables(database):
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def test_an_empty_database_gets_every_table_once(empty):
    assert revisions(empty.engine)[0] is None
    assert upgrade(empty.engine)
    found, newest = revisions(empty.engine)
    assert found == newest
    assert tables(empty) == {*metadata.tables, "alembic_version"}
    assert {"recipes", "ledger", "reviews", "audit"} < tables(empty)
    assert not upgrade(empty.engine)


def test_an_older_database_is_brought_up(fresh, tmp_path):
    assert upgrade(fresh.engine, longer(tmp_path, "pass"))
    assert "added" in tables(fresh)


def test_a_step_that_fails_leaves_the_database_as_it_was(fresh, tmp_path):
    before = tables(fresh)
    with pytest.raises(ZeroDivisionError):
        upgrade(fresh.engine, longer(tmp_path, "1 / 0"))
    assert tables(fresh) == before
    assert not upgrade(fresh.engine)


def test_a_newer_database_is_refused_and_left_alone(fresh, tmp_path):
    upgrade(fresh.engine, longer(tmp_path, "pass"))
    for use in (lambda: upgrade(fresh.engine), fresh.check):
        with pytest.raises(SchemaTooNew, match="'9999'") as refused:
            use()
        assert "backup" in refused.value.hint
    assert "added" in tables(fresh)


def test_processes_that_start_at_once_migrate_once(url, tmp_path):
    folder = longer(tmp_path, "time.sleep(0.3)")  # while one migrates, the other must come by
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    processes = [context.Process(target=upgrade_at_once, args=(url, folder, barrier, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(answers.get() for _ in processes) == [False, True]
    with Database.open(url) as database:
        assert "added" in tables(database)


def test_a_migration_waits_longer_for_sqlite_than_a_request_does(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr("facemix.storage.migrate.LOCK_SECONDS", 0.05)
    with Database.open(sqlite_url) as holder, Database.open(sqlite_url) as waiting:
        holder.upgrade()
        folder = longer(tmp_path, "pass")
        with holder.writing(), pytest.raises(StorageUnavailable, match="locked"):
            upgrade(waiting.engine, folder)
        with waiting.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5000
        assert upgrade(waiting.engine, folder)


def test_a_migration_has_no_time_limit_of_a_request_on_postgresql(postgres_url, tmp_path):
    with Database.open(f"{postgres_url}&options=-c%20statement_timeout%3D100ms") as database:
        database.upgrade()
        assert upgrade(database.engine, longer(tmp_path, "op.execute('SELECT pg_sleep(0.2)')"))
        with pytest.raises(StorageUnavailable, match="57014"), database.reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(0.2)")
