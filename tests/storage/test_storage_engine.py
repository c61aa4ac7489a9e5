import stat
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from facemix.errors import ConfigError, InstallationError, StorageUnavailable
from facemix.storage.engine import default_url, make_engine, parse_url


@pytest.fixture
def engine(sqlite_url):
    made = make_engine(sqlite_url)
    yield made
    made.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_means_psycopg(scheme):
    parsed = parse_url(f"{scheme}://user:word@host:5433/name")
    assert parsed == make_url("postgresql+psycopg://user:word@host:5433/name")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "facemix.sqlite3",
        "postgresql://user:hunter2@host:port/name",
        "mysql://user:hunter2@host/name",
        "postgresql+psycopg2://user:hunter2@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_another_url_is_refused_without_its_password(url):
    with pytest.raises(ConfigError) as refused:
        parse_url(url)
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_the_default_is_a_file_in_the_data_folder_whatever_its_name(tmp_path):
    folder = tmp_path / "a b%20?#"
    engine = make_engine(default_url(folder))
    engine.connect().close()
    engine.dispose()
    assert (folder / "facemix.sqlite3").exists()
    assert Path(default_url(Path("~/x")).database).parent == Path.home() / "x"


def test_the_folder_is_made_for_its_owner_only(tmp_path):
    make_engine(default_url(tmp_path / "deep" / "data"))
    assert stat.S_IMODE((tmp_path / "deep" / "data").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="cannot be made"):
        make_engine(default_url(tmp_path / "file" / "data"))


def test_sqlite_is_set_up_on_every_connection(engine):
    pragmas = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas}
            assert found == pragmas
            connection.rollback()


def test_postgresql_is_given_limits_that_the_url_may_change(postgres_url):
    for url, wanted in ((postgres_url, "30s"), (f"{postgres_url}&options=-c%20statement_timeout%3D7s", "7s")):
        engine = make_engine(url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == wanted
        engine.dispose()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InstallationError, match="PostgreSQL") as refused:
        make_engine("postgresql://host/name")
    assert "facemix[postgres]" in refused.value.hint


def test_sqlite_writers_that_read_first_wait_for_each_other(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (value INTEGER)")
        connection.exec_driver_sql("INSERT INTO counter VALUES (0)")

    def count():
        for _ in range(20):
            with engine.begin() as connection:
                value = connection.exec_driver_sql("SELECT value FROM counter").scalar_one()
                connection.exec_driver_sql(f"UPDATE counter SET value = {value + 1}")

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT value FROM counter").scalar_one() == 60
