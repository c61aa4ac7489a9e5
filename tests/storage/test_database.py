import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from facemix.errors import StorageUnavailable
from facemix.storage import database as databases
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.ledger import Ledger
from facemix.storage.tables import keys, ledger, recipes

NEWEST = "0004"


def key_row(noon, name):
    return {"name": name, "secret_hash": name * 64, "created_at": noon}


def names(connection):
    return [name for (name,) in connection.exec_driver_sql("SELECT name FROM keys ORDER BY name")]


def test_check_names_kind_version_and_schema(database):
    report = database.check()
    kind, version = report.kind.split(" ")
    assert kind in ("SQLite", "PostgreSQL")
    assert version[0].isdigit()
    assert report.location == database.location
    assert report.schema == NEWEST


def test_check_refuses_a_database_that_was_not_upgraded(empty):
    with pytest.raises(StorageUnavailable, match=f"not '{NEWEST}'"):
        empty.check()


def test_the_location_hides_the_password():
    with Database.open("postgresql://user:hunter2@host/name") as database:
        assert database.location == "postgresql+psycopg://user:***@host/name"


def test_a_block_that_raises_writes_nothing(database, noon):
    def twice():
        with database.writing() as connection:
            connection.execute(insert(keys), key_row(noon, "a"))
            connection.execute(insert(keys), key_row(noon, "a"))

    with pytest.raises(IntegrityError):
        twice()
    with database.reading() as connection:
        assert names(connection) == []


def test_readers_do_not_wait_for_a_writer_and_see_what_is_committed(database, noon):
    with database.writing() as writer:
        writer.execute(insert(keys), key_row(noon, "a"))
        with database.reading() as reader:
            assert names(reader) == []
    with database.reading() as reader:
        assert names(reader) == ["a"]


def test_inserting_again_adds_only_what_is_missing(database, noon):
    first, second = key_row(noon, "a"), key_row(noon, "b")
    database.insert_missing(keys, [])
    database.insert_missing(keys, [first])
    database.insert_missing(keys, [{**first, "secret_hash": "other"}, second])
    with database.reading() as connection:
        assert names(connection) == ["a", "b"]
        assert connection.exec_driver_sql("SELECT secret_hash FROM keys WHERE name = 'a'").scalar_one() == "a" * 64


def test_deleting_goes_on_over_batches(database, row, monkeypatch):
    monkeypatch.setattr(databases, "DELETE_BATCH", 3)
    Ledger(database).append_many([row(status=200 + number % 2) for number in range(16)])
    assert database.delete_where(ledger, ledger.c.status == 200) == 8
    assert database.delete_where(ledger, ledger.c.status == 200) == 0
    assert Ledger(database).count() == 8


def test_a_closed_database_opens_again_when_it_is_used(database):
    database.close()
    assert database.delete_where(recipes, recipes.c.id == "a") == 0


def test_what_was_deleted_is_nowhere_in_the_files_after_scrubbing(tmp_path):
    marker = b"planted-marker-0123456789"

    def holding() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if marker in path.read_bytes()]

    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as database:
        database.upgrade()
        things = DatabaseShelf(database, 2**24)
        kept = things.put("face", marker * 400, owner=None, seconds=600)
        assert holding() == ["facemix.sqlite3-wal"]
        database.scrub()
        assert holding() == ["facemix.sqlite3"]
        things.delete("face", kept.id, owner=None)
        assert database.scrub() == 0
        assert holding() == []
