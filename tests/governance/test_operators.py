from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from facemix.errors import RecordMissing, RequestInvalid, SignInFailed
from facemix.governance.audit import AuditLog
from facemix.governance.operators import Operators, check_password, may
from facemix.governance.sessions import Sessions
from facemix.storage.governance_tables import operators as table
from facemix.storage.governance_tables import sessions as session_table

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OTHER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
PASSWORD, NEW = "some words in a row", "other words in a row"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def people(database):
    return Operators(database, QUICK)


@pytest.fixture
def sessions(database):
    return Sessions(database, hours=2)


def stored(database, name):
    with database.reading() as connection:
        return connection.execute(select(table.c.password_hash).where(table.c.name == name)).scalar_one()


def actions(database):
    return [(row.actor, row.action, row.subject) for row in reversed(AuditLog(database).list())]


def test_only_the_right_password_of_an_enabled_person_proves_anything(people):
    people.create("anna", PASSWORD, "operator", actor="test")
    assert people.check("anna", PASSWORD) is not None
    for name, password in (("anna", NEW), ("anna", ""), ("ANNA", PASSWORD), ("bob", PASSWORD), ("", ""), ("\0", "x")):
        assert people.check(name, password) is None
    assert people.check("anna", PASSWORD + "x" * 2000) is None
    people.disable("anna", actor="test")
    assert people.check("anna", PASSWORD) is None
    people.enable("anna", actor="test")
    assert people.check("anna", PASSWORD) is not None


def test_the_default_hash_is_argon2id_and_shows_no_password(database):
    Operators(database).create("anna", PASSWORD, "member", actor="test")
    assert stored(database, "anna").startswith("$argon2id$")
    assert PASSWORD not in stored(database, "anna")


def test_a_name_that_nobody_has_costs_a_hash_too(database):
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, *given):
            self.verified += 1
            return super().verify(*given)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    people = Operators(database, hasher)
    people.create("anna", PASSWORD, "member", actor="test")
    for name in ("anna", "bob", "no name at all", ""):
        people.check(name, "wrong words in a row")
    assert hasher.verified == 4


def test_nobodys_password_opens_nothing(people):
    assert people.check("bob", "what nobody has chosen for a password") is None


def test_a_hash_of_former_parameters_is_renewed(database, people):
    people.create("anna", PASSWORD, "member", actor="test")
    former = stored(database, "anna")
    newer = Operators(database, OTHER)
    proof = newer.check("anna", PASSWORD)
    assert stored(database, "anna") == proof.password_hash != former
    assert not OTHER.check_needs_rehash(proof.password_hash)
    assert newer.check("anna", PASSWORD) == proof


@pytest.mark.parametrize(
    "password", ["", "x" * 11, "x" * 1025, "Administrator", "aaaaaaaaaaaaaaa", "\ud800" + PASSWORD]
)
def test_easy_passwords_are_refused(people, password):
    with pytest.raises(RequestInvalid) as refused:
        people.create("administrator", password, "member", actor="test")
    assert refused.value.where == "password"
    assert password == "" or password not in str(refused.value.message)
    assert people.list() == []


def test_twelve_characters_will_do():
    check_password("anna", "abcdefghijkl")


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a\n", "\0", "ü", "a" * 65, "facemix", "Facemix"])
def test_a_malformed_name_is_refused(people, name):
    with pytest.raises(RequestInvalid, match="cannot name"):
        people.create(name, PASSWORD, "member", actor="test")
    assert people.list() == []


def test_a_name_is_taken_once_and_a_role_is_one_of_three(database, people):
    people.create("anna", PASSWORD, "member", actor="test")
    with pytest.raises(RequestInvalid, match="already"):
        people.create("anna", NEW, "operator", actor="test")
    assert people.check("anna", PASSWORD) is not None
    with pytest.raises(RequestInvalid, match="no role 'boss'"):
        people.create("bob", PASSWORD, "boss", actor="test")
    with pytest.raises(RequestInvalid, match="no role 'boss'"):
        people.set_role("anna", "boss", actor="test")
    assert actions(database) == [("test", "operator.add", "anna")]


@pytest.mark.parametrize("name", ["nobody", "\0", ""])
def test_nobody_cannot_be_changed_and_nothing_is_written_down(database, people, name):
    for change in (people.disable, people.enable):
        with pytest.raises(RecordMissing):
            change(name, actor="test")
    with pytest.raises(RecordMissing):
        people.set_role(name, "member", actor="test")
    with pytest.raises(RecordMissing):
        people.set_password(name, PASSWORD, actor="test")
    assert actions(database) == []


def test_every_change_stands_in_the_audit_log(database, people):
    people.create("anna", PASSWORD, "member", actor="command line")
    people.set_role("anna", "reviewer", actor="bob")
    people.set_password("anna", NEW, actor="bob")
    people.disable("anna", actor="bob")
    people.enable("anna", actor="bob")
    assert [action for _, action, _ in actions(database)] == [
        "operator.add",
        "operator.role",
        "operator.password",
        "operator.disable",
        "operator.enable",
    ]
    assert PASSWORD not in str(AuditLog(database).list())
    assert AuditLog(database).verify().broken is None


def test_people_are_counted_by_what_they_may(people):
    for name, role in (("a", "member"), ("b", "reviewer"), ("c", "operator"), ("d", "operator")):
        people.create(name, PASSWORD, role, actor="test")
    people.disable("d", actor="test")
    assert [people.count(role) for role in ("member", "reviewer", "operator")] == [3, 2, 1]
    assert [(one.name, one.role, one.disabled_at is None) for one in people.list()] == [
        ("a", "member", True),
        ("b", "reviewer", True),
        ("c", "operator", True),
        ("d", "operator", False),
    ]
    assert people.has("d")
    assert not people.has("e")


def test_a_role_may_what_those_below_it_may():
    assert may("operator", "member")
    assert may("reviewer", "reviewer")
    assert not may("reviewer", "operator")
    assert not may("boss", "member")


# --- sessions ----------------------------------------------------------------------------------------------


def begun(people, sessions, name="anna", **given):
    return sessions.begin(people.check(name, PASSWORD), **given)


def test_a_session_is_found_by_its_token_until_it_expires(people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    token, session = begun(people, sessions, now=NOON)
    assert (session.operator, session.role, session.expires_at) == ("anna", "operator", NOON + timedelta(hours=2))
    assert sessions.find(token, now=NOON + timedelta(minutes=119)) == session
    assert sessions.find(token, now=NOON + timedelta(hours=2)) is None
    assert sessions.find(token + "x", now=NOON) is None
    assert sessions.find("", now=NOON) is None


def test_neither_token_is_another_and_only_the_hash_is_stored(database, people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    made = [begun(people, sessions) for _ in range(3)]
    assert len({token for token, _ in made} | {session.csrf for _, session in made}) == 6
    with database.reading() as connection:
        kept = str(connection.execute(session_table.select()).all())
    assert all(token not in kept for token, _ in made)
    assert sessions.count() == {"anna": 3}


def test_a_session_ends_with_the_sign_out_alone(people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    (first, session), (second, _) = begun(people, sessions), begun(people, sessions)
    sessions.end(session)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda people: people.set_password("anna", NEW, actor="test"),
        lambda people: (people.disable("anna", actor="test"), people.enable("anna", actor="test")),
    ],
    ids=["password", "disabled"],
)
def test_another_password_or_disabling_ends_all_sessions_of_that_person(people, sessions, change):
    for name in ("anna", "bob"):
        people.create(name, PASSWORD, "operator", actor="test")
    anna, bob = begun(people, sessions)[0], begun(people, sessions, "bob")[0]
    change(people)
    assert sessions.find(anna) is None
    assert sessions.find(bob) is not None


def test_what_was_proven_before_a_change_begins_no_session_after_it(database, people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    proof = people.check("anna", PASSWORD)
    people.set_password("anna", NEW, actor="test")
    with pytest.raises(SignInFailed):
        sessions.begin(proof)
    proof = people.check("anna", NEW)
    people.disable("anna", actor="test")
    with pytest.raises(SignInFailed):
        sessions.begin(proof)
    assert sessions.count() == {}
    assert "sign_in" not in [action for _, action, _ in actions(database)]


def test_a_role_holds_from_the_next_look_on(people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    token, _ = begun(people, sessions)
    people.set_role("anna", "member", actor="test")
    assert sessions.find(token).role == "member"


def test_what_has_expired_is_cleared_away(database, people, sessions):
    people.create("anna", PASSWORD, "operator", actor="test")
    begun(people, sessions, now=NOON)
    begun(people, sessions, now=NOON + timedelta(hours=3))
    with database.reading() as connection:
        assert len(connection.execute(session_table.select()).all()) == 1
