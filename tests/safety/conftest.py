import shutil

import pytest

from facemix.governance.secrets import Secrets
from facemix.safety.gallery import Gallery
from facemix.storage.database import Database


@pytest.fixture(scope="session")
def _upgraded(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "facemix.sqlite3"
    with Database.open(f"sqlite:///{path}") as database:
        database.upgrade()
    return path


@pytest.fixture
def database(_upgraded, tmp_path):
    """Upgraded, and without rows."""
    shutil.copy(_upgraded, tmp_path / "facemix.sqlite3")
    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as opened:
        yield opened


@pytest.fixture
def gallery(database):
    return Gallery(database, Secrets(b"s" * 32))
