import asyncio
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from fake_mixer import FakeMixer

from facemix.errors import RecordMissing, StorageUnavailable
from facemix.settings import Settings
from facemix.storage.blobs import BlobStore
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.storage.memory_shelf import MemoryShelf
from facemix.storage.recipes import RecipeStore
from facemix.storage.shelf import utc_now
from facemix.web.accounts import Accounts
from facemix.web.lifecycle import lifespan
from facemix.web.state import ServerState
from facemix.web.stores import Stores
from facemix.web.sweeping import sweeping, sweeps_of
from facemix.web.tracing import Tracing

TEN_MINUTES = timedelta(minutes=10)


def run(sweeps, until, *, interval=0.001):
    """Sweeps until `until()` holds."""

    async def go():
        async with sweeping(sweeps, interval):
            async with asyncio.timeout(60):
                while not until():
                    await asyncio.sleep(0.001)

    asyncio.run(go())


class Counted:
    """A sweep whose outcomes are given: a number, or an error; the last one holds for ever."""

    def __init__(self, *outcomes) -> None:
        self.outcomes, self.calls = list(outcomes), 0

    def __call__(self):
        self.calls += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def messages(caplog):
    return [record.message for record in caplog.records if record.name == "facemix.web"]


def test_it_says_in_one_line_what_went_and_nothing_when_nothing_did(caplog):
    caplog.set_level(logging.INFO, "facemix.web")
    first, second = Counted(3, 0), Counted(1, 0)
    run({"recipes": first, "ledger rows": second}, lambda: second.calls >= 3)
    assert messages(caplog) == ["deleted what has expired: 3 recipes, 1 ledger rows"]


@pytest.mark.parametrize("error", [StorageUnavailable("the server is gone", hint=""), ZeroDivisionError("oops")])
def test_a_sweep_that_fails_costs_no_other_and_is_told_once(caplog, error):
    caplog.set_level(logging.INFO, "facemix.web")
    failing, other = Counted(error, error, error, 2, 0, error), Counted(0)
    run({"recipes": failing, "rows": other}, lambda: failing.calls >= 8)
    assert other.calls >= 7
    told = f"expired recipes cannot be deleted: {error}"
    assert messages(caplog) == [told, "deleted what has expired: 2 recipes", told]


def test_it_ends_at_once_although_a_database_hangs():
    entered, release = threading.Event(), threading.Event()

    def hang():
        entered.set()
        release.wait(120)
        return 0

    async def go():
        async with sweeping({"recipes": hang}):
            while not entered.is_set():
                await asyncio.sleep(0.001)
        release.set()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_it_waits_between_its_rounds_and_never_on_the_event_loop():
    threads, once = [], Counted(0)

    def look():
        threads.append(threading.current_thread())
        return once()

    async def go():
        async with sweeping({"recipes": look}, 1000):
            while not threads:
                await asyncio.sleep(0.001)
            for _ in range(20):
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(go(), 60))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_what_has_expired_goes_from_every_store(database):
    now = datetime.now(UTC)
    clock = [now - TEN_MINUTES]
    shelf = DatabaseShelf(database, 2**24, lambda: clock[0])
    blobs = BlobStore.open("memory:///")
    recipes = RecipeStore(database, blobs)
    old = shelf.put("face", b"1", owner=None, seconds=1)
    young = shelf.put("face", b"1", owner=None, seconds=900)
    clock[0] = now
    short, long = (
        recipes.save("{}", model_weights="0" * 64, expires_at=now + change, picture=b"png", now=now - TEN_MINUTES)
        for change in (-TEN_MINUTES / 2, TEN_MINUTES)
    )
    book = Ledger(database)
    book.append_many(
        LedgerRow(request_id="r", route="x", status=200, at=now - timedelta(days=days)) for days in (0, 9, 11, 500)
    )
    accounts = Accounts(database)
    sweeps = sweeps_of(Stores(Settings(), shelf, recipes), accounts, ledger_days=10)
    assert {name: sweep() for name, sweep in sweeps.items()} == {
        "things on the shelf": 1,
        "recipes": 1,
        "ledger rows": 2,
    }
    accounts.close()
    assert book.count() == 2
    assert [info.name.split("/")[1] for info in blobs.list()] == [long.id]
    shelf.get("face", young.id, owner=None)
    recipes.get(long.id)
    for gone in (lambda: shelf.get("face", old.id, owner=None), lambda: recipes.get(short.id)):
        with pytest.raises(RecordMissing):
            gone()


def test_rows_may_be_kept_for_ever_and_there_need_be_no_database(database):
    accounts = Accounts(database)
    stores = Stores.in_memory(Settings())
    assert list(sweeps_of(stores, accounts, ledger_days=0)) == ["things on the shelf"]
    assert list(sweeps_of(stores, None, ledger_days=10)) == ["things on the shelf"]
    accounts.close()


def test_an_idle_application_sweeps_its_shelf_from_the_start_and_while_it_runs(monkeypatch):
    monkeypatch.setattr("facemix.web.sweeping.INTERVAL_SECONDS", 0.001)
    now = [utc_now()]
    shelf = MemoryShelf(2**20, lambda: now[0])
    state = ServerState(Settings(), lambda observer: FakeMixer(), stores=Stores(Settings(), shelf))

    async def empty():
        while shelf.held_bytes:
            await asyncio.sleep(0.001)

    async def go():
        shelf.put("face", b"1", owner=None, seconds=1)
        now[0] += timedelta(seconds=1)
        async with lifespan(state, None, Tracing()):
            await empty()
            shelf.put("face", b"1", owner=None, seconds=1)
            now[0] += timedelta(seconds=1)
            await empty()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_a_database_that_is_gone_keeps_no_application_from_running(tmp_path, caplog):
    database = Database.open(f"sqlite:///{tmp_path}/facemix.db")  # without tables
    shelf = DatabaseShelf(database, 2**24)
    state = ServerState(Settings(), lambda observer: FakeMixer(), stores=Stores(Settings(), shelf))

    async def go():
        async with lifespan(state, None, Tracing()):
            while state.loaded is None or not messages(caplog):
                await asyncio.sleep(0.001)

    caplog.set_level(logging.WARNING, "facemix.web")
    asyncio.run(asyncio.wait_for(go(), 60))
    assert "no tables" in messages(caplog)[0]
