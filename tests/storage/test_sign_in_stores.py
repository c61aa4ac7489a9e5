"""People, their sign-ins and their keys on both databases, with many at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from facemix.errors import RequestInvalid, SignInFailed
from facemix.governance.audit import AuditLog
from facemix.governance.keys import AuditedKeys
from facemix.governance.operators import Operators
from facemix.governance.sessions import Sessions
from facemix.storage.database import Database

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD, NEW = "some words in a row", "other words in a row"
AT_ONCE = 8


@pytest.fixture
def upgraded(url):
    with Database.open(url) as made:
        made.upgrade()
        yield made


def test_many_change_people_and_keys_at_once(upgraded):
    people, sessions = Operators(upgraded, QUICK), Sessions(upgraded, hours=1)
    people.create("anna", PASSWORD, "operator", actor="test")
    proof = people.check("anna", PASSWORD)

    def work(number):
        keys = AuditedKeys(upgraded, f"actor-{number}")
        try:
            keys.add("same")
            made = 1
        except RequestInvalid:
            made = 0
        keys.add(f"key-{number}", scopes=["mix"], days=3, budget_day=1.5)
        keys.renew(f"key-{number}")
        token, _ = sessions.begin(proof)
        return made, sessions.find(token).operator

    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(work, range(AT_ONCE)))
    assert sum(made for made, _ in done) == 1
    assert {name for _, name in done} == {"anna"}
    check = AuditLog(upgraded).verify()
    assert (check.broken, check.rows) == (None, 1 + 1 + 3 * AT_ONCE)


def test_no_session_outlives_a_change_of_the_password(upgraded):
    """Whichever comes first: after both no session of the former password is there."""
    people, sessions = Operators(upgraded, QUICK), Sessions(upgraded, hours=1)
    people.create("anna", PASSWORD, "operator", actor="test")
    proof = people.check("anna", PASSWORD)

    def begin(_):
        try:
            return sessions.begin(proof)[0]
        except SignInFailed:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [pool.submit(begin, number) for number in range(AT_ONCE // 2)]
        changed = pool.submit(people.set_password, "anna", NEW, actor="test")
        begun += [pool.submit(begin, number) for number in range(AT_ONCE // 2)]
        changed.result()
        tokens = [one.result() for one in begun]
    assert [token for token in tokens if token is not None and sessions.find(token) is not None] == []
    assert sessions.count() == {}
