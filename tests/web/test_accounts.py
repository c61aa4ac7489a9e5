import asyncio
import hashlib
import json
import threading
import time

import pytest
from anyio import fail_after, to_thread
from cachetools import TTLCache
from web_client import CAT, OTHER, PHOTO, files, running

from facemix.errors import StorageUnavailable
from facemix.safety import terms
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger
from facemix.storage.tables import ledger
from facemix.web.accounts import LOOK_UPS_AT_ONCE, Accounts, LedgerMiddleware
from facemix.web.rates import Sender

MIX = "/api/v1/mix"
BOTH = {"face_a": PHOTO, "face_b": OTHER}


def rows(database):
    with database.reading() as connection:
        return connection.execute(ledger.select().order_by(ledger.c.at)).mappings().all()


def served(database, *ask, **settings):
    """Serves with an account book, asks, stops; what the ledger holds then."""
    with running(accounts=Accounts(database, ledger=settings.pop("ledger", True)), **settings) as client:
        answers = [request(client) for request in ask]
    return answers, rows(database)


def test_every_request_for_work_leaves_a_row_answered_or_refused(database):
    (good, bad), written = served(
        database,
        lambda client: client.post(MIX, files=files(**BOTH), headers={"X-Request-Id": "one"}),
        lambda client: client.post(MIX, files=files(face_a=CAT, face_b=PHOTO), headers={"X-Request-Id": "two"}),
    )
    assert (good.status_code, bad.status_code) == (200, 422)
    first, second = written
    assert (first["request_id"], first["route"], first["status"]) == ("one", "POST /api/v1/mix", 200)
    assert (first["error_code"], first["key_name"]) == (None, None)
    assert first["model_id"].startswith("fake-32@")
    assert first["bytes_in"] > len(PHOTO) + len(OTHER)
    assert first["bytes_out"] == len(good.content)
    assert first["milliseconds"] > 0
    assert (second["request_id"], second["status"], second["error_code"]) == ("two", 422, "face_not_found")


def test_a_form_of_the_page_leaves_a_row_and_reading_matter_none(database):
    _, written = served(
        database,
        lambda client: client.get("/"),
        lambda client: client.get("/healthz"),
        lambda client: client.get("/static/facemix.css"),
        lambda client: client.post("/", files=files(**BOTH), data={"consent": terms.VERSION}),
    )
    assert [row["route"] for row in written] == ["POST /"]


def test_a_row_says_nothing_of_who_or_what(database):
    _, written = served(
        database,
        lambda client: client.post(
            f"{MIX}?name=secret-query", files={"face_a": ("holiday-of-anna.jpg", PHOTO), "face_b": ("b.png", OTHER)}
        ),
    )
    text = str(dict(written[0]))
    assert written[0]["status"] == 200
    for secret in ("127.0.0.1", "testclient", "anna", "secret-query"):
        assert secret not in text


def test_no_row_says_how_a_job_may_be_fetched(database):
    started = []

    def start(client):
        body = {"parents": [{"sample": 1}, {"sample": 2}], "seconds": 0.2, "fps": 10, "size": 128}
        job = client.post("/api/v1/animations", json=body).json()["job"]
        started.append(job["id"])
        while client.get(f"/api/v1/jobs/{job['id']}").json()["state"] in ("queued", "running"):
            time.sleep(0.02)

    _, written = served(database, start)
    (row,) = [row for row in written if row["route"] == "JOB animation"]
    assert row["status"] == 200
    assert row["request_id"] == hashlib.sha256(started[0].encode()).hexdigest()[:32]
    assert started[0] not in json.dumps([dict(row) for row in written], default=str)


def test_a_key_names_its_requests_and_an_unknown_one_is_refused(database):
    secret = KeyStore(database).create("integrator")
    (known, unknown, none), written = served(
        database,
        lambda client: client.post(MIX, files=files(**BOTH), headers={"Authorization": f"Bearer {secret}"}),
        lambda client: client.post(MIX, files=files(**BOTH), headers={"Authorization": "Bearer fmx_made-up"}),
        lambda client: client.post(MIX, files=files(**BOTH)),
    )
    assert [answer.status_code for answer in (known, unknown, none)] == [200, 401, 200]
    assert unknown.json()["code"] == "key_unknown"
    assert [row["key_name"] for row in written] == ["integrator", None, None]
    assert written[1]["error_code"] == "key_unknown"


def test_each_key_and_each_address_has_its_own_rate(database):
    secret = KeyStore(database).create("integrator")
    keyed = {"Authorization": f"Bearer {secret}"}
    answers, _ = served(
        database,
        *[lambda client: client.post(MIX, files=files(**BOTH))] * 3,
        *[lambda client: client.post(MIX, files=files(**BOTH), headers=keyed)] * 4,
        lambda client: client.get("/api/v1/samples/1"),
        rate_per_address="2/minute",
        rate_per_key="3/minute",
    )
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200, 200, 200, 429, 200]
    assert answers[2].json()["code"] == "rate_limited"
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


def test_a_key_may_have_a_rate_of_its_own(database):
    secret = KeyStore(database).create("integrator", requests_per_minute=1)
    keyed = {"Authorization": f"Bearer {secret}"}
    answers, _ = served(
        database, *[lambda client: client.post(MIX, files=files(**BOTH), headers=keyed)] * 2, rate_per_key="3/minute"
    )
    assert [answer.status_code for answer in answers] == [200, 429]


def test_without_a_ledger_keys_still_count(database):
    secret = KeyStore(database).create("integrator")
    (answer,), written = served(
        database,
        lambda client: client.post(MIX, files=files(**BOTH), headers={"Authorization": f"Bearer {secret}"}),
        ledger=False,
    )
    assert answer.status_code == 200
    assert written == []


def test_a_database_that_is_gone_costs_rows_and_keys_but_no_mix(tmp_path, monkeypatch):
    database = Database.open(f"sqlite:///{tmp_path}/facemix.db")
    database.upgrade()

    def refuse(*_):
        raise StorageUnavailable("the disk is full", hint="make room")

    monkeypatch.setattr(Ledger, "append_many", refuse)
    monkeypatch.setattr(KeyStore, "find", refuse)
    accounts = Accounts(database)
    with running(accounts=accounts) as client:
        assert client.post(MIX, files=files(**BOTH)).status_code == 200
        accounts._writer.flush(10)
        state = accounts.ledger_state()
        assert (state.ok, state.waiting, state.error) == (False, 1, "the disk is full")
        assert "facemix_ledger_waiting_rows 1.0" in client.get("/metrics").text
        keyed = client.post(MIX, files=files(**BOTH), headers={"Authorization": "Bearer fmx_x"})
        assert (keyed.status_code, keyed.json()["code"]) == (503, "storage_unavailable")
        assert client.get("/readyz").status_code == 200


def test_a_key_is_asked_for_once_in_a_while(database, monkeypatch):
    secret = KeyStore(database).create("integrator")
    asked = []
    find = KeyStore.find
    monkeypatch.setattr(KeyStore, "find", lambda self, secret: asked.append(1) or find(self, secret))
    accounts = Accounts(database, ledger=False)

    async def go():
        return [await accounts.sender_of(secret) for _ in range(3)], await accounts.sender_of("fmx_no")

    assert asyncio.run(go()) == ([Sender("integrator")] * 3, None)
    assert len(asked) == 2


def test_a_key_that_is_forgotten_this_very_moment_is_asked_for_again(database):
    secret = KeyStore(database).create("integrator")
    accounts, now = Accounts(database, ledger=False), [0.0]

    def clock():  # a look takes longer than a key is remembered
        now[0] += 0.6
        return now[0]

    accounts._known = TTLCache(8, 1.0, clock)

    async def go():
        return [await accounts.sender_of(secret) for _ in range(6)]

    assert asyncio.run(go()) == [Sender("integrator")] * 6


def test_keys_are_looked_up_in_threads_of_their_own(database, monkeypatch):
    released, asked = threading.Event(), []

    def find(self, secret):
        asked.append(secret)
        assert released.wait(60)

    monkeypatch.setattr(KeyStore, "find", find)
    accounts = Accounts(database, ledger=False)

    async def go():
        shared = to_thread.current_default_thread_limiter()
        waiting = [asyncio.create_task(accounts.sender_of(f"fmx_{number}")) for number in range(50)]
        try:
            with fail_after(60):
                while accounts._look_ups.waiting < 50 - LOOK_UPS_AT_ONCE:
                    await asyncio.sleep(0.005)
                assert shared.borrowed_tokens == 0
                assert await to_thread.run_sync(lambda: "read") == "read"
        finally:
            released.set()
        await asyncio.gather(*waiting)

    asyncio.run(go())
    assert len(asked) == 50


def test_a_database_that_hangs_gets_no_thread_from_those_who_leave(database, monkeypatch):
    released, asked = threading.Event(), []

    def find(self, secret):
        asked.append(secret)
        assert released.wait(60)

    monkeypatch.setattr(KeyStore, "find", find)
    accounts = Accounts(database, ledger=False)

    async def go():
        for number in range(20):
            asking = asyncio.create_task(accounts.sender_of(f"fmx_{number}"))
            await asyncio.sleep(0.005)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        while len(asked) < LOOK_UPS_AT_ONCE:
            await asyncio.sleep(0.001)
        released.set()

    asyncio.run(go())
    assert len(asked) == LOOK_UPS_AT_ONCE


def test_an_answer_that_breaks_off_is_no_success():
    written = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/api/v1/mix"}
    with pytest.raises(ZeroDivisionError):
        asyncio.run(LedgerMiddleware(app, written.append)(scope, None, send))
    assert [row.status for row in written] == [500]
