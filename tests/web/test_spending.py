"""From a request to the bill: rows, counters, prices and budgets of one application."""

import asyncio
import hashlib
import time
from contextlib import contextmanager

import pytest
from fake_mixer import FakeMixer
from prometheus_client.parser import text_string_to_metric_families as parse
from web_client import CAT, DEFECT, OTHER, PHOTO, files, running

from facemix.errors import StorageUnavailable
from facemix.governance.prices import Prices
from facemix.safety import terms
from facemix.serving.meter import took
from facemix.serving.types import Cost
from facemix.storage.journal import spooled
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import OUTCOMES, Ledger
from facemix.storage.tables import ledger
from facemix.web import accounts as module
from facemix.web.accounts import Accounts, LedgerMiddleware
from facemix.web.budget import costs

MIX = "/api/v1/mix"
BOTH = {"face_a": PHOTO, "face_b": OTHER}
SAMPLES = {"parents": [{"sample": 1}, {"sample": 2}]}


class Costly(FakeMixer):
    """A mix takes 0.3 s of the device and 0.7 s of the processors; a look at a photograph 0.1 s of these."""

    def __init__(self):
        super().__init__(hook=lambda: took(0.1))

    async def mix(self, *args, **options):
        made = await super().mix(*args, **options)
        cost = Cost(frames_encoded=2, frames_decoded=1, device_seconds=0.3)
        took(0.7, cost)
        return type(made)(**{**vars(made), "cost": cost})

    async def frames(self, parents, specs, **options):
        made = await super().frames(parents, specs, **options)
        cost = Cost(frames_decoded=len(specs), device_seconds=0.01 * len(specs))
        took(0.02 * len(specs), cost)
        return type(made)(**{**vars(made), "cost": cost})


@contextmanager
def priced(database, spool=None, **budgets):
    accounts = Accounts(database, spool=spool, **budgets)
    accounts.start()
    with running(Costly, accounts=accounts) as client:
        client.accounts = accounts
        yield client


def rows(database):
    with database.reading() as connection:
        return connection.execute(ledger.select().order_by(ledger.c.id)).mappings().all()


def series(client):
    page = client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(page)
        for sample in family.samples
    }


def finished(client, path, **options):
    job = client.post(path, **options).json()["job"]
    while client.get(f"/api/v1/jobs/{job['id']}").json()["state"] in ("queued", "running"):
        time.sleep(0.02)
    return job["id"]


def test_the_rows_add_up_to_the_counters(database, tmp_path):
    Prices(database).set(actor="test", cpu_second=0.01, device_second=0.003, gigabyte=7.0, currency="EUR")
    with priced(database, tmp_path / "spool") as client:
        answers = [client.post(MIX, files=files(**BOTH)).status_code for _ in range(3)]
        answers.append(client.post(MIX, json=SAMPLES).status_code)
        answers.append(client.post("/", files=files(**BOTH), data={"consent": terms.VERSION}).status_code)
        answers.append(client.post(MIX, files=files(face_a=CAT, face_b=PHOTO)).status_code)
        answers.append(client.post(MIX, json=SAMPLES, headers={"Authorization": "Bearer fmx_no"}).status_code)
        answers.append(client.get("/api/v1/nothing").status_code)
        answers.append(client.get("/api/v1/samples/7").status_code)
        answers.append(client.post(MIX, files=files(face_a=DEFECT, face_b=PHOTO)).status_code)
        assert answers == [200] * 5 + [422, 401, 404, 200, 500]
        assert client.raw("POST", MIX, {"content-type": "application/json"}, [b"{"], hang_up=True)[0] is None
        film = {**SAMPLES, "seconds": 0.2, "fps": 10, "size": 128}
        finished(client, "/api/v1/animations", json=film)
        counted = series(client)
    written = rows(database)
    assert {row["outcome"] for row in written} == {"kept", "refused", "failed"}
    assert {row["price_version"] for row in written} == {2}
    for outcome in OUTCOMES:
        mine = [row for row in written if row["outcome"] == outcome]

        def total(name, mine=mine):
            return sum((float(row[name]) for row in mine), 0.0)

        label = ("outcome", outcome)
        assert counted["facemix_accounted_requests_total", (label,)] == len(mine)
        assert counted["facemix_accounted_cpu_seconds_total", (label,)] == total("cpu_seconds")
        assert counted["facemix_accounted_device_seconds_total", (label,)] == total("device_seconds")
        assert counted["facemix_accounted_bytes_total", (("direction", "in"), label)] == total("bytes_in")
        assert counted["facemix_accounted_bytes_total", (("direction", "out"), label)] == total("bytes_out")
        assert counted.get(("facemix_accounted_cost_total", (("currency", "EUR"), label)), 0.0) == total("cost")
    # What the ledger counts is what the server has answered: the counters of another middleware, by route and status.
    of_requests = {}
    for row in written:
        if not row["route"].startswith("JOB"):
            method, route = row["route"].split(" ", 1)
            labels = (("method", method), ("route", route), ("status", str(row["status"])))
            of_requests[labels] = of_requests.get(labels, 0) + 1
    for labels, count in of_requests.items():
        assert counted["facemix_requests_total", labels] == count
    by_code = [row["error_code"] for row in written if row["error_code"]]
    assert by_code
    for code in set(by_code):
        assert counted["facemix_refusals_total", (("reason", code),)] == by_code.count(code)


def test_a_row_says_what_its_request_took_and_cost(database):
    Prices(database).set(actor="test", cpu_second=1.0, device_second=10.0, gigabyte=0.0)
    with priced(database) as client:
        client.post(MIX, files=files(**BOTH), headers={"Idempotency-Key": "abc " * 100})
        client.post(MIX, files=files(face_a=CAT, face_b=PHOTO))
        client.post(MIX, files=files(face_a=DEFECT, face_b=PHOTO))
    kept, refused, failed = rows(database)
    assert (kept["outcome"], kept["reason"], kept["frames_decoded"]) == ("kept", None, 1)
    assert kept["idempotency_key"] == "sha256:" + hashlib.sha256(("abc " * 100).strip().encode()).hexdigest()[:32]
    assert (refused["idempotency_key"], failed["idempotency_key"]) == (None, None)
    assert kept["cpu_seconds"] >= 0.7
    assert kept["cost"] == pytest.approx(kept["cpu_seconds"] + 3.0)
    assert "decode" in kept["stage_ms"]
    # What was done before a refusal is paid for, too.
    assert (refused["outcome"], refused["reason"]) == ("refused", "face_not_found")
    assert refused["cost"] == refused["cpu_seconds"] > 0
    assert (failed["outcome"], failed["reason"]) == ("failed", "internal")


def test_a_job_has_a_meter_of_its_own(database):
    with priced(database) as client:
        finished(client, "/api/v1/animations", json={**SAMPLES, "seconds": 0.2, "fps": 10, "size": 128})
    by_route = {row["route"]: row for row in rows(database)}
    job, request = by_route["JOB animation"], by_route["POST /api/v1/animations"]
    assert (job["outcome"], job["price_version"]) == ("kept", 1)
    for row in (job, request):  # each has its own, and nothing of the other's
        assert row["cpu_seconds"] == pytest.approx(2 * row["device_seconds"])
    assert job["cpu_seconds"] > 0


def test_what_endpoints_leave_with_a_request_is_written_down(database):
    left = {
        "request_id": "r",
        "model": "m@abc",
        "weights": "ab" * 32,
        "recipe_hash": "cd" * 32,
        "stage_ms": {"look": 1.23456, "odd": float("nan")},
        "outcome": "held",
        "reason": "guard",
        "consent": "2026-11",
        "record": {"gates": [1, 2]},
        "refusal": "held_for_review",
    }
    written = []

    def ask(status, **changes):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"12"})

        async def send(message):
            pass

        state = {**left, **changes}
        scope = {"type": "http", "method": "POST", "path": MIX, "headers": [], "state": state}
        asyncio.run(LedgerMiddleware(app, written.append)(scope, None, send))
        return written.pop()

    row = ask(202)
    assert (row.outcome, row.reason, row.consent) == ("held", "guard", "2026-11")
    assert (row.weights, row.recipe_hash, row.model_id) == ("ab" * 32, "cd" * 32, "m@abc")
    assert (row.stage_ms, row.record, row.bytes_out) == ('{"look":1.235}', '{"gates":[1,2]}', 2)
    assert ask(422, refusal="result_withheld", reason=None).reason == "result_withheld"
    assert [ask(status).outcome for status in (422, 499, 500)] == ["refused", "failed", "failed"]
    strange = ask(200, outcome=None, refusal=None, record={1, 2}, reason=7, stage_ms="x", consent=b"no")
    assert (strange.outcome, strange.record, strange.reason, strange.stage_ms) == ("kept", None, None, None)
    assert strange.consent is None


def test_nobody_has_an_answer_before_its_row_is_written():
    events = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send({"type": "http.response.body", "body": b"23"})

    async def send(message):
        events.append(message.get("body", b"start"))

    scope = {"type": "http", "method": "POST", "path": MIX, "headers": []}
    asyncio.run(LedgerMiddleware(app, lambda row: events.append(row.bytes_out))(scope, None, send))
    assert events == [b"start", b"1", 3, b"23"]


def test_an_answer_is_given_when_neither_the_spool_nor_the_database_takes_its_row(database, tmp_path, monkeypatch):
    def refuse(*_):
        raise StorageUnavailable("the disk is full", hint="make room")

    spool = tmp_path / "spool"
    with priced(database, spool) as client:
        monkeypatch.setattr(Ledger, "append_many", refuse)
        assert client.post(MIX, json=SAMPLES).status_code == 200
        (path,) = spooled(spool)
        assert path.read_bytes().count(b"\n") == 1
        monkeypatch.setattr("facemix.storage.journal.Journal.append", lambda self, row: False)
        assert client.post(MIX, json=SAMPLES).status_code == 200
        counted = series(client)
        assert counted["facemix_ledger_unspooled_rows_total", ()] == 1
        monkeypatch.undo()
    assert len(rows(database)) == 2


# --- budgets -------------------------------------------------------------------------------------------------


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_a_key_whose_budget_is_spent_is_refused_before_its_body_is_read(database):
    Prices(database).set(actor="test", device_second=10.0)
    store = KeyStore(database)
    poor, rich = store.create("poor", budget_day=2.0), store.create("rich", budget_day=1000.0, budget_month=1000.0)
    with priced(database) as client:
        assert client.post(MIX, json=SAMPLES, headers=bearer(poor)).status_code == 200
        headers = {**bearer(poor), "content-type": "application/json"}
        status, _, body, taken = client.raw("POST", MIX, headers, [b"{", b"}"])
        assert (status, taken) == (402, 0)
        assert b"budget_spent" in body
        assert client.get("/api/v1/samples/1", headers=bearer(poor)).status_code == 402
        # What is no work goes on, and others do.
        assert client.get("/api/v1/model", headers=bearer(poor)).status_code == 200
        assert client.post(MIX, json=SAMPLES, headers=bearer(rich)).status_code == 200
        assert client.post(MIX, json=SAMPLES).status_code == 200
    spent = [row for row in rows(database) if row["status"] == 402]
    assert {(row["key_name"], row["outcome"], row["reason"]) for row in spent} == {("poor", "refused", "budget_spent")}
    assert all(row["device_seconds"] == 0 for row in spent)


def test_a_budget_outlives_a_restart(database, tmp_path):
    Prices(database).set(actor="test", device_second=10.0)
    secret = KeyStore(database).create("poor", budget_month=2.0)
    answers = []
    for _ in range(2):
        with priced(database, tmp_path / "spool") as client:
            answers.append(client.post(MIX, json=SAMPLES, headers=bearer(secret)).status_code)
    assert answers == [200, 402]


def test_the_whole_server_may_have_a_budget(database):
    Prices(database).set(actor="test", device_second=10.0)
    with priced(database, budget_day=2.0) as client:
        assert client.post(MIX, json=SAMPLES).status_code == 200
        refused = client.post(MIX, json=SAMPLES)
        assert (refused.status_code, refused.json()["code"]) == (429, "budget_exhausted")
        assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600
        assert "2" not in refused.json()["details"]
        page = client.post("/", files=files(**BOTH), data={"consent": terms.VERSION}, headers={"Accept": "text/html"})
        assert page.status_code == 429
        assert "budget" in page.text
        assert client.get("/").status_code == 200


def test_a_budget_that_cannot_be_read_lets_nobody_in(database, monkeypatch):
    def refuse(*_):
        raise StorageUnavailable("the database is gone", hint="wait")

    monkeypatch.setattr(Ledger, "spent", refuse)
    with priced(database, budget_day=2.0) as client:
        assert client.post(MIX, json=SAMPLES).status_code == 503
        assert client.get("/api/v1/model").status_code == 200
        monkeypatch.undo()
        assert client.post(MIX, json=SAMPLES).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "work"),
    [
        ("POST", "/api/v1/mix", True),
        ("POST", "/api/v1/animations", True),
        ("POST", "/api/v1/recipes", True),
        ("POST", "/", True),
        ("GET", "/api/v1/samples/3", True),
        ("HEAD", "/api/v1/samples/3", True),
        ("GET", "/", False),
        ("GET", "/api/v1/jobs/abc/result", False),
        ("DELETE", "/api/v1/faces/abc", False),
        ("POST", "/api/v1/reports", False),
        ("POST", "/api/v1/reviews/abc/appeal", False),
        ("POST", "/api/v1/prompts", False),
        ("POST", "/console/keys/add", False),
        ("GET", "/healthz", False),
    ],
)
def test_only_work_is_paid_for(method, path, work):
    assert costs({"type": "http", "method": method, "path": "/base" + path, "root_path": "/base"}) is work


# --- prices ---------------------------------------------------------------------------------------------------


def test_a_server_notices_new_prices(database, monkeypatch):
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.02)
    with priced(database) as client:
        client.post(MIX, json=SAMPLES)
        Prices(database).set(actor="test", device_second=100.0)
        limit = time.monotonic() + 60
        while client.accounts._table.version < 2:
            assert time.monotonic() < limit
            time.sleep(0.01)
        client.post(MIX, json=SAMPLES)
    first, second = rows(database)
    assert (first["price_version"], second["price_version"]) == (1, 2)
    assert second["cost"] > 30 > first["cost"] > 0


def test_without_prices_a_server_answers_and_nothing_costs_anything(database, monkeypatch):
    def refuse(*_):
        raise StorageUnavailable("the database is gone", hint="wait")

    monkeypatch.setattr(Prices, "current", refuse)
    with priced(database) as client:
        assert client.post(MIX, json=SAMPLES).status_code == 200
    (row,) = rows(database)
    assert (row["price_version"], row["cost"]) == (0, 0.0)
