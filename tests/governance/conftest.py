import shutil
from datetime import UTC, datetime

import pytest

from facemix.governance.audit import AuditLog
from facemix.governance.secrets import Secrets
from facemix.storage.database import Database


@pytest.fixture(scope="session")
def _upgraded(tmp_path_factory):
    """A database file with all tables and no rows: migrating takes longer than copying."""
    path = tmp_path_factory.mktemp("upgraded") / "facemix.sqlite3"
    with Database.open(f"sqlite:///{path}") as opened:
        opened.upgrade()
    return path


@pytest.fixture
def database(tmp_path, _upgraded):
    path = tmp_path / "data" / "facemix.sqlite3"
    path.parent.mkdir()
    shutil.copy(_upgraded, path)
    with Database.open(f"sqlite:///{path}") as opened:
        yield opened


@pytest.fixture
def secrets():
    return Secrets(b"a secret of an installation, long")


@pytest.fixture
def audit(database):
    return AuditLog(database)


@pytest.fixture
def noon():
    return datetime(2030, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
