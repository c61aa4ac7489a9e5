import os
from datetime import UTC, datetime

import postgres_server
import pytest

from facemix.storage.database import Database
from facemix.storage.ledger import LedgerRow

NOON = datetime(2030, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="session")
def server():
    programs = postgres_server.binaries()
    if programs is None:
        if os.environ.get(postgres_server.REQUIRED) == "required":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    with postgres_server.running_server(programs) as running:
        yield running


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/data/facemix.sqlite3"


@pytest.fixture
def postgres_url(server):
    return server.url(server.create())


@pytest.fixture(params=["sqlite", "postgres"])
def url(request):
    """An empty database of either kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def empty(url):
    """Opened, not yet upgraded."""
    with Database.open(url) as database:
        yield database


@pytest.fixture
def fresh(empty):
    """Upgraded, and this test's alone: it may change the tables."""
    assert empty.upgrade()
    return empty


@pytest.fixture(scope="session")
def _shared_postgres(server):
    with Database.open(server.url(server.create())) as database:
        database.upgrade()
        yield database


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """Upgraded, and without rows. PostgreSQL's tables are emptied between tests, which is quicker than making them."""
    if request.param == "postgres":
        shared = request.getfixturevalue("_shared_postgres")
        with shared.writing() as connection:
            connection.exec_driver_sql("TRUNCATE recipes, ledger, keys, shelf")
        yield shared
    else:
        with Database.open(request.getfixturevalue("sqlite_url")) as opened:
            opened.upgrade()
            yield opened


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def row():
    """Makes ledger rows."""

    def made(**given) -> LedgerRow:
        return LedgerRow(**{"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "at": NOON, **given})

    return made
