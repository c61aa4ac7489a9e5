"""What leaves by a job has a row that its mark leads to, counted once; and no job begins that nobody may pay for."""

import asyncio
import base64
import hashlib
import io
import json
import time
import zipfile

import pytest
from fake_mixer import FakeMixer
from prometheus_client.parser import text_string_to_metric_families as parse
from web_client import CAT, OTHER, PHOTO, running

from facemix.governance.budgets import day_of
from facemix.governance.costs import Costs
from facemix.governance.prices import Prices
from facemix.mixing.recipe import Recipe
from facemix.safety.known import uses_of
from facemix.safety.terms import VERSION
from facemix.serving.meter import Meter, took
from facemix.serving.types import Cost
from facemix.settings import Settings
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger
from facemix.storage.tables import ledger
from facemix.web import accounts as accounts_module
from facemix.web.accounts import Accounts, LedgerMiddleware
from facemix.web.governed import Governed
from facemix.web.jobs import Jobs, Result
from facemix.web.ledger_rows import request_row

MIX, BATCHES, FILMS = "/api/v1/mix", "/api/v1/batches", "/api/v1/animations"
SAMPLES = {"parents": [{"sample": 1}, {"sample": 2}]}
FILM = {**SAMPLES, "seconds": 0.2, "fps": 10, "size": 128}


class Costly(FakeMixer):
    async def mix(self, *args, **options):
        made = await super().mix(*args, **options)
        cost = Cost(frames_encoded=2, frames_decoded=1, device_seconds=0.3)
        took(0.1, cost)
        return type(made)(**{**vars(made), "cost": cost})


def rows(database):
    with database.reading() as connection:
        return connection.execute(ledger.select().order_by(ledger.c.id)).mappings().all()


def image(data):
    return {"image": base64.b64encode(data).decode()}


BATCH = {
    "items": [
        {"parents": [image(PHOTO), image(OTHER)]},
        {"parents": [image(CAT), image(OTHER)]},
        SAMPLES,
    ]
}


def ended(client, answer, headers=None):
    assert answer.status_code == 202, answer.text
    path = f"/api/v1/jobs/{answer.json()['job']['id']}"
    limit = time.monotonic() + 60
    while (job := client.get(path, headers=headers).json())["state"] in ("queued", "running"):
        assert time.monotonic() < limit
        time.sleep(0.01)
    return job


def started(database, tmp_path, **options):
    accounts = Accounts(database, **options)
    accounts.start()
    governed = Governed.open(Settings(data_dir=tmp_path, mark=False, label=False, credentials=False), database)
    governed.marker = None
    return running(Costly, accounts=accounts, governed=governed)


@pytest.fixture
def batch(database, tmp_path, monkeypatch):
    """A batch of three, of which one fails: its job, its manifest's recipes, the counters and the order of events."""
    Prices(database).set(actor="test", device_second=10.0)
    secret = KeyStore(database).create("anna")
    headers = {"Authorization": f"Bearer {secret}", "X-Facemix-Consent": VERSION, "X-Request-Id": "order-7"}
    events = []
    add, keep = Accounts.add_item, Jobs._keep

    def added(self, item):
        events.append(item.recipe_hash)
        add(self, item)

    async def kept(self, *args):
        events.append("kept")
        await keep(self, *args)

    monkeypatch.setattr(Accounts, "add_item", added)
    monkeypatch.setattr(Jobs, "_keep", kept)
    with started(database, tmp_path) as client:
        job = ended(client, client.post(BATCHES, json=BATCH, headers=headers), headers)
        assert job["state"] == "done", job
        archive = client.get(f"/api/v1/jobs/{job['id']}/result", headers=headers).content
        counted = {
            sample.labels["outcome"]: sample.value
            for family in parse(client.get("/metrics").text)
            for sample in family.samples
            if sample.name == "facemix_accounted_requests_total"
        }
    return archive, counted, events


def recipes_in(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        items = json.loads(packed.read("manifest.json"))["items"]
    return [Recipe.model_validate(one["recipe"]) for one in items if "recipe" in one]


def test_every_item_that_is_given_out_has_a_row_by_its_recipe(batch, database):
    archive, _, events = batch
    made = recipes_in(archive)
    assert len(made) == 2
    assert events == [*(one.hash for one in made), "kept"]
    items = [row for row in rows(database) if row["route"] == "ITEM batch"]
    assert [row["recipe_hash"] for row in items] == [one.hash for one in made]
    for row, recipe in zip(items, made, strict=True):
        assert uses_of(database, recipe.hash).rows == 1
        assert (row["request_id"], row["key_name"], row["consent"]) == ("order-7", "anna", VERSION)
        assert (row["weights"], row["model_id"]) == (recipe.model.weights, str(recipe.model))
        assert json.loads(row["record"])["recipe_sha256"] == recipe.hash
    (job,) = [row for row in rows(database) if row["route"] == "JOB batch"]
    assert (job["weights"], job["recipe_hash"]) == (made[0].model.weights, None)


def test_no_row_of_an_item_tells_which_photograph_it_was(batch, database):
    (first, _) = [row for row in rows(database) if row["route"] == "ITEM batch"]
    assert hashlib.sha256(PHOTO).hexdigest() not in str(dict(first))
    (a, b) = json.loads(first["record"])["recipe"]["parents"]
    assert len({a["photo_hmac"], b["photo_hmac"]}) == 2


def test_items_are_counted_neither_as_requests_nor_as_mixes(batch, database):
    _, counted, _ = batch
    written = rows(database)
    items = [row for row in written if row["route"].startswith("ITEM")]
    assert {(row["cost"], row["device_seconds"], row["frames_decoded"]) for row in items} == {(0.0, 0.0, 0)}
    others = [row for row in written if row not in items]
    # The page of metrics was asked for after all of them.
    assert sum(counted.values()) == len(others)
    costs, now = Costs(database), written[-1]["at"]
    asked = [row for row in others if row["key_name"] == "anna"]
    assert costs.usage("anna", day_of(now)).requests == len(asked)
    report = costs.report(1, "key", now=now)
    assert {line.name: line.requests for line in report.lines}["anna"] == len(asked)
    assert {line.currency for line in report.totals} == {"USD"}
    (mixes,) = report.mixes
    assert mixes.mixes == 1  # the job
    assert sum(total.requests for total in Ledger(database).totals()) == Ledger(database).count() == len(others)


def test_the_row_of_a_film_s_job_has_the_recipe_that_its_file_is_signed_with(database, tmp_path, monkeypatch):
    signed = []

    def sign(self, data, media_type, recipe, parents=()):
        signed.append(recipe)
        return data

    monkeypatch.setattr("facemix.web.release.Release.signed", sign)
    with started(database, tmp_path) as client:
        assert ended(client, client.post(FILMS, json=FILM))["state"] == "done"
    (job,) = [row for row in rows(database) if row["route"] == "JOB animation"]
    assert [(one.hash, one.model.weights) for one in signed] == [(job["recipe_hash"], job["weights"])]


# --- budgets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keyed", "code"), [(True, "budget_spent"), (False, "budget_exhausted")])
@pytest.mark.parametrize(("path", "body"), [(FILMS, FILM), (BATCHES, {"items": [SAMPLES]})])
def test_a_job_whose_turn_comes_when_the_budget_is_spent_fails(database, tmp_path, path, body, keyed, code):
    Prices(database).set(actor="test", device_second=10.0)
    headers, budget = {}, {"budget_day": 2.0}
    if keyed:
        headers, budget = {"Authorization": f"Bearer {KeyStore(database).create('poor', budget_day=2.0)}"}, {}
    with started(database, tmp_path, **budget) as client:
        turn = client.portal.call(asyncio.Event)

        async def before(progress):
            await turn.wait()
            return Result(b"", "text/plain", "x")

        jobs = client.app.state.facemix.jobs
        client.portal.call(lambda: jobs.submit("before", 1, before, owner=None))
        waiting = client.post(path, json=body, headers=headers)
        assert client.post(MIX, json=SAMPLES, headers=headers).status_code == 200  # for 3.0
        client.portal.call(turn.set)
        job = ended(client, waiting, headers)
    assert (job["state"], job["problem"]["code"]) == ("failed", code)
    (row,) = [row for row in rows(database) if row["route"].startswith("JOB") and row["route"] != "JOB before"]
    assert (row["outcome"], row["error_code"], row["device_seconds"]) == ("refused", code, 0.0)


def test_prices_are_looked_at_again_after_a_defect(database, monkeypatch, caplog):
    monkeypatch.setattr(accounts_module, "REFRESH_SECONDS", 0.01)
    accounts = Accounts(database)
    accounts.start()
    looks = []

    def broken():
        looks.append(1)
        raise RuntimeError("a defect of the driver")

    monkeypatch.setattr(accounts.prices, "current", broken)
    limit = time.monotonic() + 60
    while len(looks) < 3:
        assert time.monotonic() < limit
        time.sleep(0.01)
    monkeypatch.undo()
    Prices(database).set(actor="test", device_second=100.0)
    while accounts._table.version < 2:
        assert time.monotonic() < limit
        time.sleep(0.01)
    accounts.close()
    assert caplog.text.count("prices and budgets are as they were read last") == 1
    assert "Traceback" in caplog.text


# --- rows of requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("POST", "/verify", True),
        ("POST", "/report", True),
        ("POST", "/held/abc/appeal", True),
        ("POST", "/consoles", True),
        ("GET", "/api/v1/model", True),
        ("GET", "/verify", False),
        ("POST", "/console", False),
        ("POST", "/console/keys/add", False),
        ("POST", "/static/facemix.css", False),
        ("GET", "/healthz", False),
    ],
)
def test_every_post_but_those_of_the_console_has_a_row(method, path, counted):
    written = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        pass

    scope = {"type": "http", "method": method, "path": "/base" + path, "root_path": "/base", "headers": []}
    asyncio.run(LedgerMiddleware(app, written.append)(scope, None, send))
    assert len(written) == counted


def test_a_form_that_reports_leaves_a_row(database, tmp_path):
    with started(database, tmp_path) as client:
        client.post("/verify", files={"file": ("a.png", PHOTO)})
        client.post("/held/secret-token/appeal", data={"text": "why"})
    written = rows(database)
    assert [row["route"] for row in written] == ["POST /verify", "POST /held/{token}/appeal"]
    assert "secret-token" not in str([dict(row) for row in written])


def test_an_idempotency_key_is_told_apart_and_not_told():
    def row(*headers):
        scope = {"type": "http", "method": "POST", "path": MIX, "headers": headers}
        return request_row(scope, 200, 1.0, 0, 0, Meter()).idempotency_key

    key = b"5f0c9a52-secret"
    assert row((b"idempotency-key", key)) == f"sha256:{hashlib.sha256(key).hexdigest()[:32]}"
    assert row((b"idempotency-key", b"\xff")) != row((b"idempotency-key", b"\xfe"))
    assert row() is row((b"idempotency-key", b" ")) is None
