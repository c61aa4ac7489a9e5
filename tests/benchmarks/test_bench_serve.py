from contextlib import contextmanager

import pytest

from benchmarks import bench_serve
from benchmarks.bench_serve import compare, summary
from benchmarks.engines import OURS, Engine
from benchmarks.servers import NotStarted


def row(clients, throughput, limit, **more):
    figures = {
        "p50_ms": 10.0,
        "p95_ms": 20.0,
        "p99_ms": 30.0,
        "cores": 1.5,
        "memory_mib": 100.0,
        "generator_cores": 0.01,
    }
    limits = {"phased": limit, "overlapped": limit / 2}
    return {
        "clients": clients,
        "throughput": throughput,
        "refused": 0,
        "failed": 0,
        "limits": limits,
        **figures,
        **more,
    }


def test_ratios_are_taken_within_a_turn():
    turns = [[row(32, 9.0, 10.0)], [row(32, 19.0, 20.0)], [row(32, 4.0, 5.0, memory_mib=140.0, failed=2)]]
    (found,) = summary(turns, "phased")
    assert found["over_limit"] == 0.9
    assert found["over_limit_by_turn"] == [0.9, 0.95, 0.8]
    assert found["throughput"] == 9.0
    assert (found["memory_mib"], found["failed"]) == (140.0, 2)


def test_a_lone_client_is_compared_with_the_lone_pipeline():
    turns = [[row(1, 9.0, 10.0, p50_ms=52.0, alone_ms=50.0)], [row(1, 9.0, 10.0, p50_ms=41.0, alone_ms=40.5)]]
    (found,) = summary(turns, "phased")
    assert found["over_alone_ms"] == 1.25
    assert summary([], "phased") == []


class Turns:
    """Stands in for a bench: notes who was measured."""

    def __init__(self):
        self.environment, self.times, self.seen = {}, bench_serve.FULL, []

    def turn(self, server, clients):
        self.seen.append(server)
        return [row(number, 1.0, 2.0) for number in clients]

    def way(self):
        return "overlapped"


def test_our_engine_is_measured_between_the_others(monkeypatch):
    @contextmanager
    def running(command, *, ready, environment):
        if command == ("broken",):
            raise NotStarted("it ended")
        yield command[0]

    monkeypatch.setattr(bench_serve, "running", running)
    wanted = [Engine(OURS, ("ours",)), Engine("absent", ("absent",), absent="not here")]
    wanted += [Engine(name, (name,)) for name in ("a", "broken", "b")]
    bench = Turns()
    found = compare(bench, wanted, (4,))
    assert bench.seen == ["ours", "a", "ours", "b", "ours"]
    assert found["absent"] == {"left_out": "not here", "turns": 0, "rows": []}
    assert found["broken"] == {"left_out": "it ended", "turns": 0, "rows": []}
    assert found[OURS]["turns"] == 3
    assert found[OURS]["rows"][0]["over_limit"] == 1.0


@pytest.mark.parametrize("times", [bench_serve.FULL, bench_serve.QUICK])
def test_the_full_form_stays_under_eight_minutes_on_paper(times):
    loads = 2 * times.few + 3 * times.many + 2 * times.limit + 2 * times.alone
    turns = (times.rounds + 4) * loads
    rest = (
        2 * times.many + 4 * times.limit + times.starts * times.idle + times.overload + times.stop + 4 * times.leaving
    )
    starts = (times.starts + times.rounds + 4 + 5) * 5
    assert turns + rest + starts < 8 * 60
