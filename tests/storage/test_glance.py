from facemix.storage.database import Database
from facemix.storage.engine import default_url
from facemix.storage.glance import DATABASE_FILE, surely_empty
from facemix.storage.governance_tables import protected


def test_no_file_or_table_or_row_is_nothing(tmp_path):
    file = tmp_path / "a folder with ? and %20" / DATABASE_FILE
    assert surely_empty(file, "protected")
    assert not file.parent.exists()
    file.parent.mkdir()
    file.touch()
    assert surely_empty(file, "protected")
    with Database.open(default_url(file.parent)) as database:
        assert not database.has(protected)
        database.upgrade()
        assert database.has(protected)
        assert surely_empty(file, "protected")


def test_a_row_is_seen_while_another_has_the_file_open(tmp_path):
    file = tmp_path / DATABASE_FILE
    with Database.open(default_url(tmp_path)) as database:
        database.upgrade()
        with database.writing() as connection:
            connection.exec_driver_sql(
                "INSERT INTO protected (id, label, consent, embedder, points, created_at) "
                "VALUES ('x', 'l', 'c', 'e', x'00', '2026-11-21 00:00:00')"
            )
        assert not surely_empty(file, "protected")
    assert not surely_empty(file, "protected")


def test_what_cannot_be_read_may_hold_something(tmp_path):
    file = tmp_path / DATABASE_FILE
    file.write_bytes(b"no database" * 100)
    assert not surely_empty(file, "protected")
    assert not surely_empty(tmp_path, "protected"), "a folder"
