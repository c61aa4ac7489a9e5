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


def test_an_expired_key_is_listed_but_not_found(keys, noon):
    secret = keys.create("a", days=2, now=noon)
    ends = noon + timedelta(days=2)
    assert keys.find(secret, now=ends - timedelta(seconds=1)).expires_at == ends
    assert keys.find(secret, now=ends) is None
    (key,) = keys.list()
    assert (key.is_live(noon), key.is_live(ends)) == (True, False)
    assert (keys.count(now=noon), keys.count(now=ends)) == (1, 0)
    with pytest.raises(RecordMissing):
        keys.rotate("a", now=ends)
    keys.revoke("a", now=ends)
    assert keys.list()[0].revoked_at == ends


def test_a_new_secret_takes_the_place_of_the_old_one(keys):
    first = keys.create("a", 60, scopes=["faces", "mix"], budget_day=1.5, budget_month=20)
    before = keys.find(first)
    second = keys.rotate("a")
    assert keys.find(first) is None
    assert keys.find(second) == before
    assert before.scopes == {"mix", "faces"}
    assert (before.budget_day, before.budget_month) == (1.5, 20)
    keys.revoke("a")
    with pytest.raises(RecordMissing):
        keys.rotate("a")
    assert keys.find(second) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["mix", "everything"]},
        {"scopes": ["mix faces"]},
        {"days": 0},
        {"days": 36501},
        {"budget_day": 0},
        {"budget_day": -1.0},
        {"budget_month": float("nan")},
        {"budget_month": float("inf")},
    ],
)
def test_what_is_out_of_range_is_refused(keys, wrong):
    with pytest.raises(RequestInvalid) as refused:
        keys.create("a", **wrong)
    assert refused.value.where in wrong
    assert keys.list() == []


def test_what_is_done_beside_a_change_is_done_with_it_or_not_at_all(keys):
    def refuse(connection):
        raise RequestInvalid("no", hint="no")

    with pytest.raises(RequestInvalid, match="no"):
        keys.create("a", also=refuse)
    assert keys.list() == []
    secret = keys.create("a")
    for change in (keys.rotate, keys.revoke):
        with pytest.raises(RequestInvalid, match="no"):
            change("a", also=refuse)
    assert keys.find(secret) is not None
