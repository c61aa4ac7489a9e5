import asyncio
import logging

import pytest
from fleets import FakeFleet
from web_client import running

from facemix.errors import StorageUnavailable
from facemix.governance.controls import Controls, KillSwitch
from facemix.settings import Settings
from facemix.web import watching
from facemix.web.governed import Governed
from facemix.web.halting import Halt
from facemix.web.watching import Watcher


class Book:
    """Stands for the table of controls."""

    def __init__(self):
        self.seen = {}
        self.switch = KillSwitch()
        self.failing = False

    def versions(self):
        if self.failing:
            raise StorageUnavailable("the database is away", hint="wait")
        return dict(self.seen)

    def kill_switch(self):
        if self.failing == "later":
            raise StorageUnavailable("the database is away", hint="wait")
        return self.switch

    def turn(self, switch):
        self.switch = switch
        self.seen["kill"] = self.seen.get("kill", 0) + 1


class Held:
    unplanned = False
    has_standby = False


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def watched(book):
    """The halt and how often models were to be changed, by a watcher of the book."""
    halt, changes = Halt(), []
    return Watcher(book, halt, Held(), lambda: changes.append(1)), halt, changes


def look(watcher, **how):
    asyncio.run(watcher.look(**how))


def test_the_switch_is_followed(book, watched):
    watcher, halt, changes = watched
    look(watcher, first=True)
    assert halt.error is None
    book.turn(KillSwitch(True, "a fault", "somebody"))
    look(watcher)
    assert "a fault" in halt.error.message
    book.turn(KillSwitch(True, "another", "somebody"))
    look(watcher)
    assert "another" in halt.error.message
    book.turn(KillSwitch())
    look(watcher)
    assert halt.error is None
    assert changes == []


def test_models_are_followed_once_per_change(book, watched):
    watcher, _, changes = watched
    book.seen["models"] = 4
    look(watcher, first=True)
    look(watcher)
    assert changes == []
    book.seen["models"] = 5
    look(watcher)
    look(watcher)
    assert changes == [1]


def test_models_that_the_first_look_missed_are_followed(book, watched):
    watcher, _, changes = watched
    book.failing, book.seen["models"] = True, 4
    look(watcher, first=True)
    book.failing = False
    look(watcher)
    assert changes == [1]


@pytest.mark.parametrize("failing", [True, "later"])
def test_a_database_that_is_away_leaves_everything_as_it_was(book, watched, failing, caplog):
    caplog.set_level(logging.INFO, "facemix.web")
    watcher, halt, _ = watched
    book.turn(KillSwitch(True, "a fault", "somebody"))
    look(watcher, first=True)
    book.turn(KillSwitch())
    kept, book.failing = book.versions, failing
    if failing == "later":
        book.versions = lambda: dict(book.seen)
    for _ in range(3):
        look(watcher)
    assert halt.error is not None
    assert len([one for one in caplog.messages if "cannot be looked at" in one]) == 1
    book.failing, book.versions = False, kept
    look(watcher)
    assert halt.error is None
    assert "can be looked at again" in caplog.text


def test_what_runs_out_by_itself_is_looked_at_now_and_then(book, watched, monkeypatch):
    watcher, _, changes = watched
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(watching, "AGAIN_SECONDS", 0.003)

    async def for_a_while(number):
        task = asyncio.create_task(watcher.run())
        async with asyncio.timeout(60):
            while len(changes) < number:
                await asyncio.sleep(0.001)
        task.cancel()

    watcher._models.has_standby = True
    asyncio.run(for_a_while(2))
    watcher._models.has_standby, watcher._models.unplanned = False, True
    asyncio.run(for_a_while(4))


def test_a_defect_does_not_end_the_looking(book, watched, monkeypatch, caplog):
    watcher, halt, _ = watched
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.001)
    looked = []

    def versions():
        looked.append(1)
        if len(looked) < 3:
            raise ZeroDivisionError("a defect")
        return {"kill": 1}

    book.versions, book.switch = versions, KillSwitch(True, "a fault", "somebody")

    async def until_halted():
        task = asyncio.create_task(watcher.run())
        async with asyncio.timeout(60):
            while halt.error is None:
                await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(until_halted())
    assert "a look at what operators switch failed" in caplog.text


# --- applications on one database --------------------------------------------------------------------------


def governed(database, folder):
    return Governed.open(Settings(data_dir=folder), database)


def code(client):
    answer = client.get("/api/v1/samples/1")
    return answer.json()["code"] if answer.status_code != 200 else None


def until(client, wanted):
    for _ in range(3000):
        if code(client) == wanted:
            return
        asyncio.run(asyncio.sleep(0.01))
    pytest.fail(f"the answer stays {code(client)}")


def test_every_worker_on_a_database_stops_and_goes_on(database, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)
    controls = Controls(database)
    made = [governed(database, tmp_path) for _ in range(2)]
    with running(governed=made[0]) as one, running(governed=made[1]) as other:
        assert [code(one), code(other)] == [None, None]
        controls.kill("a fault", actor="test")
        until(one, "halted")
        until(other, "halted")
        controls.resume(actor="test")
        until(one, None)
        until(other, None)


def test_a_worker_that_starts_while_it_is_stopped_answers_nobody(database, tmp_path):
    Controls(database).kill("a fault", actor="test")
    with running(governed=governed(database, tmp_path)) as client:
        assert code(client) == "halted"


def test_a_change_of_the_models_is_followed(database, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)
    fleet = FakeFleet(("face", "a", "default"))
    with running(governed=governed(database, tmp_path), fleet=fleet) as client:
        fleet.set(("face", "b", "default"))
        Controls(database).touch("models", actor="test", action="model.promote")
        for _ in range(3000):
            if client.get("/api/v1/model").headers["x-facemix-model"].startswith("face@bbbb"):
                break
            asyncio.run(asyncio.sleep(0.01))
        else:
            pytest.fail("the model did not change")
        assert fleet.anew == 1  # when it started; a change is only followed
