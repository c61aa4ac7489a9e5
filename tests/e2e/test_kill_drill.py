"""The short form of ``make drill-kill``: a real server that is killed while it answers."""

import pytest

from benchmarks import drill_kill

pytestmark = pytest.mark.slow


def test_what_was_answered_is_in_the_ledger_once_however_often_the_server_is_killed(tmp_path):
    made = drill_kill.checkpoint(tmp_path / "checkpoint")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    outcome = drill_kill.drill(drill_kill.quick(made), data, rounds=3, seed=1)
    assert outcome.rounds == 3
    assert outcome.answers > 0
    assert outcome.rows >= outcome.answers
    assert (outcome.missing, outcome.doubled) == (0, 0)
    assert "answers without a row" in drill_kill.describe(outcome)
