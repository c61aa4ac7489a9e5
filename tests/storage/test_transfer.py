import re
import subprocess
import sys
from pathlib import Path

import pytest

from facemix.storage import transfer as module
from facemix.storage.blobs import BlobStore
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger
from facemix.storage.recipes import RecipeStore
from facemix.storage.transfer import transfer

GUIDE = Path(__file__).parents[2] / "docs" / "storage.md"


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite"])
def pair(request, sqlite_url, postgres_url):
    """Two upgraded databases of different kinds."""
    urls = {"sqlite": sqlite_url, "postgres": postgres_url}
    source, target = request.param.split(" to ")
    with Database.open(urls[source]) as first, Database.open(urls[target]) as second:
        first.upgrade()
        second.upgrade()
        yield first, second


def test_everything_works_the_same_in_the_other_database(pair, row, noon, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    source, target = pair
    secret = KeyStore(source).create("a", 60, now=noon)
    monkeypatch.setattr(module, "SHELF_BATCH", 2)
    blobs = BlobStore.open("memory:///")
    saved = RecipeStore(source, blobs).save("{}", model_weights="0" * 64, expires_at=None, picture=b"\x89PNG", now=noon)
    old, new = (DatabaseShelf(one, 2**24) for one in pair)
    things = [old.put("face", bytes(range(256)), owner="a", seconds=600, note="ü") for _ in range(3)]
    Ledger(source).append_many([row(bytes_in=number) for number in range(5)])
    copied = {name: rows for name, rows in transfer(source, target).items() if rows}
    assert copied == {"recipes": 1, "ledger": 5, "keys": 1, "shelf": 3}
    assert KeyStore(target).find(secret) == KeyStore(source).find(secret)
    assert RecipeStore(target, blobs).get(saved.id) == RecipeStore(source, blobs).get(saved.id)
    assert RecipeStore(target, blobs).picture(saved.id) == b"\x89PNG"
    assert [new.get("face", thing.id, owner="a") for thing in things] == things
    assert Ledger(target).totals() == Ledger(source).totals()
    RecipeStore(target, blobs).delete(saved.id, saved.delete_token)


def test_a_second_copy_adds_what_is_new(pair, row):
    source, target = pair
    Ledger(source).append_many([row()])
    transfer(source, target)
    Ledger(source).append_many([row()])
    assert transfer(source, target)["ledger"] == 2
    assert Ledger(target).count() == 2


def test_the_program_in_the_guide_copies(sqlite_url, postgres_url):
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    urls = re.findall(r'Database\.open\("(.*?)"\)', program)
    assert len(urls) == 2
    for shown, real in zip(urls, (sqlite_url, postgres_url), strict=True):
        program = program.replace(shown, real)
    with Database.open(sqlite_url) as database:
        database.upgrade()
        secret = KeyStore(database).create("a")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=GUIDE.parents[1]
    )
    assert done.returncode == 0, done.stderr
    assert "'keys': 1" in done.stdout
    with Database.open(postgres_url) as database:
        assert KeyStore(database).find(secret) is not None
