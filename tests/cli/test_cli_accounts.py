"""API keys and the people who sign in, on the command line."""

import io
import re
from datetime import UTC, datetime

import pytest

from facemix.governance.audit import AuditLog
from facemix.governance.operators import Operators
from facemix.settings import load_settings
from facemix.storage.keys import KeyStore
from facemix.web.run import open_database

PASSWORD, NEW = "some words in a row", "other words in a row"


@pytest.fixture
def typed(monkeypatch):
    """typed(text) is what stands on standard input, which is no terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def audited():
    with open_database(load_settings()) as database:
        return [(row.actor, row.action, row.subject) for row in reversed(AuditLog(database).list())]


def proven(name, password):
    with open_database(load_settings()) as database:
        return Operators(database).check(name, password) is not None


def test_a_key_with_everything(run):
    limits = ("--per-minute", 60, "--days", 30, "--budget-day", 1.5, "--budget-month", 20)
    status, out, _ = run("keys", "add", "studio", "--scope", "faces", "--scope", "mix", *limits)
    assert status == 0
    assert re.fullmatch(r"fmx_[A-Za-z0-9_-]{43}\n", out)
    listed = run("keys", "list")[1]
    said = (
        r"studio: live, made \S+, expires \S+, 60 per minute, good for mix, faces, USD 1\.5 per day, USD 20 per month\n"
    )
    assert re.fullmatch(said, listed)
    run("costs", "set-prices", "--currency", "EUR")
    assert "EUR 1.5 per day, EUR 20 per month\n" in run("keys", "list")[1]
    assert out.strip() not in listed
    assert audited()[0] == ("command line", "key.add", "studio")


def test_what_has_ended_is_listed_with_its_day(run):
    run("keys", "add", "revoked", "--days", 30)
    run("keys", "revoke", "revoked")
    with open_database(load_settings()) as database:
        KeyStore(database).create("expired", days=1, now=datetime(2026, 1, 2, tzinfo=UTC))
    expired, revoked = run("keys", "list")[1].splitlines()
    assert expired == "expired: expired 2026-01-03, made 2026-01-02, any key's rate"
    assert re.fullmatch(r"revoked: revoked \S+, made \S+, any key's rate", revoked)


@pytest.mark.parametrize(
    "wrong", [("--scope", "everything"), ("--days", "0"), ("--budget-day", "-1"), ("--budget-month", "nan")]
)
def test_a_key_that_cannot_be(run, wrong):
    status, out, err = run("keys", "add", "studio", *wrong)
    assert (status, out) == (2, "")
    assert "hint" in err
    assert audited() == []


def test_a_new_secret(run):
    old = run("keys", "add", "studio")[1].strip()
    new = run("keys", "rotate", "studio")[1].strip()
    with open_database(load_settings()) as database:
        assert KeyStore(database).find(old) is None
        assert KeyStore(database).find(new).name == "studio"
    assert run("keys", "revoke", "studio")[0] == 0
    assert run("keys", "rotate", "studio")[0] == 2
    assert [action for _, action, _ in audited()] == ["key.add", "key.rotate", "key.revoke"]


def test_people(run, typed):
    typed(f"{PASSWORD}\n")
    assert run("operators", "add", "anna", "--role", "operator", "--password-stdin")[0] == 0
    assert proven("anna", PASSWORD)
    typed(NEW)
    assert run("operators", "password", "anna", "--password-stdin")[0] == 0
    assert proven("anna", NEW)
    assert run("operators", "role", "anna", "reviewer")[0] == 0
    assert re.fullmatch(r"anna: reviewer, may sign in, added \S+\n", run("operators", "list")[1])
    assert run("operators", "disable", "anna")[0] == 0
    assert "anna: reviewer, disabled" in run("operators", "list")[1]
    assert not proven("anna", NEW)
    assert run("operators", "enable", "anna")[0] == 0
    assert proven("anna", NEW)
    assert {actor for actor, _, _ in audited()} == {"command line"}
    assert len(audited()) == 5


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (("add", "anna", "--role", "boss", "--password-stdin"), PASSWORD, "no role 'boss'"),
        (("add", "anna", "--role", "member", "--password-stdin"), "short", "5 characters"),
        (("add", "anna", "--role", "member", "--password-stdin"), "", "0 characters"),
        (("add", "a b", "--role", "member", "--password-stdin"), PASSWORD, "cannot name"),
        (("add", "anna", "--role", "member"), PASSWORD, "no terminal"),
        (("add", "anna", "--password-stdin"), PASSWORD, "--role"),
        (("password", "nobody", "--password-stdin"), PASSWORD, "no person 'nobody'"),
        (("role", "nobody", "member"), "", "no person 'nobody'"),
        (("disable", "nobody"), "", "no person 'nobody'"),
    ],
)
def test_what_cannot_be_done_to_people(run, typed, arguments, given, said):
    typed(given)
    status, out, err = run("operators", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert not given or given not in err
    assert audited() == []


def test_the_terminal_is_asked_twice(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    answers = []
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    answers[:] = [PASSWORD, NEW]
    status, _, err = run("operators", "add", "anna", "--role", "member")
    assert status == 2
    assert "differ" in err
    answers[:] = [PASSWORD, PASSWORD]
    assert run("operators", "add", "anna", "--role", "member")[0] == 0
    assert proven("anna", PASSWORD)


def test_a_server_that_others_reach_names_the_command(run, monkeypatch):
    monkeypatch.setenv("FACEMIX_HOST", "0.0.0.0")
    status, _, err = run("serve")
    assert status == 2
    assert "`facemix keys add NAME` or `facemix operators add NAME --role operator`" in err
