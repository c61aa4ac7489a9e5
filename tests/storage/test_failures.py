import sqlite3

import pytest
from small_disk import fill, small_disk
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError, IntegrityError

from facemix.errors import StorageFull, StorageUnavailable
from facemix.storage import engine as engines
from facemix.storage.database import Database
from facemix.storage.tables import recipes


def recipe_row(noon, identity="a", recipe="{}"):
    weights = "0" * 64
    return {
        "id": identity,
        "recipe": recipe,
        "model_weights": weights,
        "delete_token_hash": weights,
        "created_at": noon,
    }


def save(database, noon, **given):
    with database.writing() as connection:
        connection.execute(insert(recipes), recipe_row(noon, **given))


def count(database):
    with database.reading() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM recipes").scalar_one()


def save_until_full(database, noon):
    """How many rows were saved before the disk was full."""
    for number in range(10_000):
        try:
            save(database, noon, identity=str(number), recipe=f"{number:x<20000}")
        except StorageFull:
            return number
    raise AssertionError("the disk is never full")


def test_a_violated_constraint_is_no_matter_of_the_storage(database, noon):
    save(database, noon)
    with pytest.raises(IntegrityError):
        save(database, noon)


def test_bad_sql_is_no_matter_of_the_storage(database):
    with pytest.raises(DBAPIError), database.reading() as connection:
        connection.exec_driver_sql("SELEC")


def test_a_database_without_tables_says_what_to_do(empty, noon):
    with pytest.raises(StorageUnavailable, match="no tables") as refused:
        save(empty, noon)
    assert "upgrade" in refused.value.hint


def test_the_parameters_of_a_statement_are_in_no_message(empty, noon):
    with pytest.raises(StorageUnavailable) as refused:
        save(empty, noon, recipe="SECRET")
    assert "SECRET" not in f"{refused.value} {refused.value.__cause__}"


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "x.sqlite3").write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with Database.open(f"sqlite:///{tmp_path}/x.sqlite3") as database:
        with pytest.raises(StorageUnavailable, match="is not an SQLite database") as refused:
            database.check()
        assert str(tmp_path) not in refused.value.message


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with (
        Database.open(f"sqlite:///{tmp_path}") as database,
        pytest.raises(StorageUnavailable, match="cannot be opened"),
    ):
        database.upgrade()


def test_a_writer_that_waits_too_long_is_refused(sqlite_url, monkeypatch, noon):
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.05)
    with Database.open(sqlite_url) as database:
        database.upgrade()
        other = sqlite3.connect(database.engine.url.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="locked"):
            save(database, noon)
        assert count(database) == 0  # readers do not wait
        other.execute("ROLLBACK")
        other.close()
        save(database, noon)


def test_a_pool_without_a_free_connection_is_a_refusal(sqlite_url, monkeypatch, noon):
    monkeypatch.setattr(engines, "POOL_SECONDS", 0.01)
    with Database.open(sqlite_url) as database:
        database.upgrade()
        held = [database.engine.connect() for _ in range(15)]
        with pytest.raises(StorageUnavailable, match="no connection"):
            save(database, noon)
        for connection in held:
            connection.close()


def test_a_full_sqlite_file_is_told_apart_and_recovers(sqlite_url, noon):
    with Database.open(sqlite_url) as database:
        database.upgrade()

        def limit(pages):
            with database.writing() as connection:
                connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        with database.reading() as connection:
            used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        limit(used + 20)
        saved = save_until_full(database, noon)
        assert 0 < saved == count(database)
        limit(10_000)
        save(database, noon)


def test_a_full_disk_under_sqlite_is_told_apart_and_recovers(tmp_path, noon):
    with small_disk(tmp_path / "disk", 2) as disk, Database.open(f"sqlite:///{disk}/facemix.sqlite3") as database:
        database.upgrade()
        filler = fill(disk)
        saved = save_until_full(database, noon)
        assert saved == count(database)
        filler.unlink()
        save(database, noon)
        assert count(database) == saved + 1


def test_a_full_disk_under_sqlite_at_the_start_recovers(tmp_path, noon):
    with small_disk(tmp_path / "disk", 2) as disk:
        filler = fill(disk)
        with Database.open(f"sqlite:///{disk}/facemix.sqlite3") as database:
            with pytest.raises(StorageUnavailable):
                database.upgrade()
            filler.unlink()
            database.upgrade()
            save(database, noon)


def test_a_full_disk_under_postgresql_is_told_apart_and_recovers(server, noon):
    with small_disk(server.folder / "disk", 24) as disk:
        (disk / "space").mkdir()
        server.own(disk / "space")
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}/space'")
        name = server.create("TABLESPACE small")
        with Database.open(server.url(name)) as database:
            database.upgrade()
            filler = fill(disk)
            saved = save_until_full(database, noon)
            assert saved == count(database)
            filler.unlink()
            save(database, noon)
            assert count(database) == saved + 1
        server.execute(f"DROP DATABASE {name}")
        server.execute("DROP TABLESPACE small")


def test_a_server_that_is_gone_is_refused_and_found_again(server, noon):
    name = server.create()
    with Database.open(server.url(name)) as database:
        database.upgrade()
        server.shut(name)
        with pytest.raises(StorageUnavailable):
            save(database, noon)
        server.reopen(name)
        save(database, noon)


def test_a_server_that_was_never_there_is_refused_without_a_name(tmp_path):
    with Database.open(f"postgresql://someone:hunter2@/name?host={tmp_path}") as database:
        with pytest.raises(StorageUnavailable, match="cannot be reached") as refused:
            database.check()
        assert not any(word in refused.value.message for word in ("someone", "hunter2", str(tmp_path)))
        assert "hunter2" not in database.location


def test_a_user_without_rights_is_refused(server, noon):
    name = server.create()
    with Database.open(server.url(name)) as database:
        database.upgrade()
    server.execute("CREATE ROLE stranger LOGIN")
    url = server.url(name).replace("postgres@", "stranger@")
    with Database.open(url) as database, pytest.raises(StorageUnavailable, match="42501"):
        save(database, noon)
