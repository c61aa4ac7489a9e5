import re
from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage.keys import Key, KeyStore


@pytest.fixture
def keys(database):
    return KeyStore(database)


def test_a_key_is_found_by_its_secret(keys, noon):
    limited = keys.create("limited", 60, now=noon)
    free = keys.create("free", now=noon)
    assert re.fullmatch(r"fmx_[A-Za-z0-9_-]{43}", limited)
    assert keys.find(limited) == Key("limited", 60, noon, None)
    assert keys.find(free) == Key("free", None, noon, None)


@pytest.mark.parametrize("secret", ["", "limited", "fmx_", "\0", "\ud800", "'; DROP TABLE keys; --"])
def test_any_other_text_finds_none(keys, secret):
    given = keys.create("limited", 60)
    assert keys.find(secret) is None
    assert keys.find(given[:-1]) is None
    assert keys.find(given) is not None


def test_the_secret_is_stored_nowhere(keys, database):
    secret = keys.create("a")
    with database.reading() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM keys").all()
    assert secret not in " ".join(str(value) for value in row)


def test_a_revoked_key_is_listed_but_not_found(keys, noon):
    secret = keys.create("a", now=noon)
    later = noon + timedelta(hours=1)
    keys.revoke("a", now=later)
    assert keys.find(secret) is None
    assert keys.list() == [Key("a", None, noon, later)]
    with pytest.raises(RecordMissing, match="'a'"):
        keys.revoke("a")
    with pytest.raises(RequestInvalid, match="already"):
        keys.create("a")


def test_keys_are_listed_by_name(keys):
    for name in ("b", "B", "a-2", "a.1", "1"):
        keys.create(name)
    assert [key.name for key in keys.list()] == ["1", "B", "a-2", "a.1", "b"]


def test_a_name_is_taken_once(keys):
    secret = keys.create("a", 5)
    with pytest.raises(RequestInvalid, match="already"):
        keys.create("a", 6)
    assert keys.find(secret).requests_per_minute == 5


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a\n", "\0", "\ud800", "ü", "a" * 65])
def test_a_malformed_name_is_refused(keys, name):
    with pytest.raises(RequestInvalid, match="cannot name a key"):
        keys.create(name)
    with pytest.raises(RecordMissing):
        keys.revoke(name)
    assert keys.list() == []


@pytest.mark.parametrize("rate", [0, -1, 1_000_001])
def test_a_limit_out_of_range_is_refused(keys, rate):
    with pytest.raises(RequestInvalid, match=f"{rate} requests"):
        keys.create("a", rate)
    assert keys.list() == []
