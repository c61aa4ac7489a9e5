"""Switches for every worker: values, versions that rise, the kill switch, and a row of the log for each change."""

import threading

import pytest

from facemix.errors import StorageUnavailable
from facemix.governance.controls import MOST_REASON, Controls, KillSwitch


@pytest.fixture
def controls(database):
    return Controls(database)


def test_nothing_is_stopped_until_somebody_stops_it(controls):
    assert controls.kill_switch() == KillSwitch(False, "", "", None)
    assert controls.versions() == {}
    assert controls.get("models") is None


def test_the_kill_switch_says_why_and_by_whom(controls, audit):
    controls.kill("  the disk\n smoked ", actor="ann")
    stopped = controls.kill_switch()
    assert (stopped.on, stopped.reason, stopped.by) == (True, "the disk smoked", "ann")
    assert stopped.since is not None
    controls.resume(actor="bob")
    assert not controls.kill_switch().on
    assert [(row.actor, row.action) for row in reversed(audit.list())] == [("ann", "kill.on"), ("bob", "kill.off")]


def test_a_reason_has_a_bound(controls):
    controls.kill("x" * 5000, actor="ann")
    assert controls.kill_switch().reason == "x" * MOST_REASON


def test_a_version_rises_with_every_change_even_to_the_same(controls, noon):
    for _ in range(3):
        controls.set("a", {"x": [1, None, "é"]}, actor="ann", action="a.set", now=noon)
    controls.touch("models", actor="facemix", action="models.change")
    assert controls.versions() == {"a": 3, "models": 1}
    assert controls.get("a") == ({"x": [1, None, "é"]}, noon)


def test_a_change_without_its_row_does_not_happen(controls, monkeypatch):
    def refuse(*args, **options):
        raise StorageUnavailable("the log refuses", hint="try again")

    monkeypatch.setattr(controls._audit, "append_in", refuse)
    with pytest.raises(StorageUnavailable):
        controls.kill("now", actor="ann")
    assert not controls.kill_switch().on


def test_many_at_once_lose_no_change(controls, audit):
    start = threading.Barrier(6)

    def change(number):
        start.wait()
        for _ in range(5):
            controls.set("a", number, actor=f"t{number}", action="a.set")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert controls.versions() == {"a": 30}
    assert (audit.verify().rows, audit.verify().broken) == (30, None)
