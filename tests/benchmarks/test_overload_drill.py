import pytest

from benchmarks import drills


@pytest.fixture
def overloaded():
    return {
        "seconds": 20.0,
        "goodput": 19.0,
        "statuses": {"200": 380, "503": 420},
        "memory_mib_by_time": [(0.0, 500.0)],
        "refused_without_retry_after": 0,
    }


def test_an_overload_is_judged_by_the_limit_before_and_after(overloaded):
    found = drills.against(overloaded, [18.0, 22.0], queue=256, batch=16)
    assert found["goodput_over_limit"] == 0.95
    assert found["bound_seconds"] == pytest.approx(1.2 * (256 + 32) / (3 * 20.0))


def test_the_queue_is_full_before_anything_counts():
    # At twice the limit the queue gains as much as is done: it is full after queue / frames / limit seconds.
    assert drills.filling(20.0, 256, 60.0) > 256 / 3 / 20
    assert drills.filling(20.0, 256, 2.0) == 1.0


def test_an_overload_is_described_line_by_line(overloaded):
    text = drills.describe(overloaded)
    assert "answers: 503" in text
    assert "memory_mib_by_time" not in text


@pytest.mark.slow
def test_twice_the_capacity_is_measured(bench_server, bench_pair):
    found = drills.overload(bench_server, bench_pair, rate=5.0, ramp=0.2, seconds=1.5)
    assert set(found["statuses"]) <= {"200", "503"}
    assert found["memory_peak_mib"] >= found["memory_mib"] > 0
    assert found["not_sent"] == 0


@pytest.mark.slow
def test_what_is_done_for_clients_that_left_is_counted(bench_server, bench_pair):
    found = drills.leaving(bench_server, bench_pair, clients=8, after=0.02, rounds=1)
    assert found["left"] + found["frames_computed"] > 0
    assert found["batches_after"] <= 1
    assert found["next_request"] == 200


@pytest.mark.slow
def test_a_stop_in_mid_load_loses_nothing(bench_environment, bench_pair):
    found = drills.stopping(bench_pair, bench_environment, clients=4, seconds=1.6)
    assert found["inside"] == found["inside_answered"]
    assert found["inside_lost"] == 0
    assert found["exit_status"] == 0
