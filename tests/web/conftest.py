import pytest
from web_client import running

from facemix.storage.database import Database


@pytest.fixture(scope="module")
def client():
    """The application with the fake mixer, loaded."""
    with running() as made:
        yield made


@pytest.fixture
def database(tmp_path):
    """An empty one with all its tables, in a file."""
    with Database.open(f"sqlite:///{tmp_path}/facemix.db") as made:
        made.upgrade()
        yield made
