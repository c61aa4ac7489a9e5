"""`facemix costs`, with rows of a ledger."""

import json
from datetime import UTC, datetime

import pytest

from facemix.governance.audit import AuditLog
from facemix.governance.prices import Prices
from facemix.settings import Settings
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.web.run import open_database


@pytest.fixture
def installed(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FACEMIX_DEVICE", "cpu")


def entry(**given):
    base = {"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "price_version": 1}
    return LedgerRow(**(base | given))


def test_a_report_of_nothing_says_so(run, installed):
    status, out, _ = run("costs", "report")
    assert status == 0
    assert out.startswith("no request since 20")


def test_a_report_is_summed_up_by_what_is_asked_for(run, installed):
    with open_database(Settings()) as database:
        Prices(database).current()
        rows = [
            entry(cost=0.25, key_name="studio", frames_decoded=1, cpu_seconds=3.0, bytes_in=1_500_000),
            entry(cost=0.5, outcome="refused", status=422),
        ]
        Ledger(database).append_many(rows)
    lines = run("costs", "report", "--by", "key", "--days", "1")[1].splitlines()
    assert lines[0].startswith("no key: USD 0.5; 1 requests, 0.0 CPU-seconds")
    assert lines[1].startswith("studio: USD 0.25; 1 requests, 3.0 CPU-seconds, 0.0 device-seconds, 1.5 MB in")
    assert lines[2].startswith("in all: USD 0.75; 2 requests")
    assert lines[3] == "a thousand mixes: USD 250; 750 with what all else costs shared out to them (1 mixes)"
    found = json.loads(run("costs", "report", "--by", "outcome", "--json")[1])
    assert {line["name"]: line["cost"] for line in found["lines"]} == {"refused": 0.5, "kept": 0.25}
    assert datetime.fromisoformat(found["until"]) > datetime.now(UTC).replace(hour=0, minute=0)
    assert run("costs", "report", "--by", "face")[0] == 2


def test_prices_are_shown_and_set(run, installed):
    assert run("costs", "prices")[1].startswith("version 1, from 20")
    status, out, _ = run("costs", "set-prices", "--cpu-second", "0.00002", "--currency", "EUR")
    assert status == 0
    assert "version 2" in out
    assert "EUR 0.00002 per CPU-second, 0 per device-second, 0.09 per GB" in out
    assert [table["version"] for table in json.loads(run("costs", "prices", "--json")[1])] == [2, 1]
    with open_database(Settings()) as database:
        assert AuditLog(database).list()[0].actor == "command line"


@pytest.mark.parametrize("options", [[], ["--gigabyte", "-1"], ["--currency", "euros"], ["--cpu-second", "nan"]])
def test_absurd_prices_are_refused(run, installed, options):
    status, out, err = run("costs", "set-prices", *options)
    assert (status, out) == (2, "")
    assert "hint" in err
