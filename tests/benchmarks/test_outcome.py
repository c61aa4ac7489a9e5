import json
from dataclasses import asdict

import pytest

from benchmarks.outcome import Load, percentile, slope


def test_throughput_is_the_slope_of_the_count_however_answers_are_bundled():
    even = Load(100.0, ended=[100 + number / 40 for number in range(1, 400)], status=[200] * 399)
    assert even.throughput(2, 9) == pytest.approx(40, rel=0.01)
    bundled = [100 + 0.4 * (1 + number // 16) for number in range(400)]
    for shift in (0.0, 0.1, 0.3):
        found = Load(100.0, ended=[end + shift for end in bundled], status=[200] * 400).throughput(2, 9)
        assert found == pytest.approx(40, rel=0.03)


def test_refusals_are_no_throughput():
    load = Load(0.0, ended=[one / 10 for one in range(100)], status=[200, 503] * 50)
    assert load.throughput(1, 9) == pytest.approx(5, rel=0.05)
    assert load.throughput(1, 9, status=503) == pytest.approx(5, rel=0.05)


def test_latencies_leave_out_the_beginning_and_other_statuses():
    load = Load(
        10.0, begun=[10, 11, 12, 13], asked=[10, 11.5, 12.25, 13], ended=[11, 12, 15, 14], status=[200, 200, 200, 503]
    )
    assert load.latencies() == [1, 1, 3]
    assert load.latencies(after=1) == [1, 3]
    assert load.latencies(since="asked", after=1) == [0.5, 2.75]
    assert load.latencies(503) == [1]


def test_percentiles_are_values_that_occurred():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, one) for one in (0, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert percentile([], 50) != percentile([], 50)


def test_a_slope_needs_two_points():
    assert slope([1, 2, 3], [2, 4, 6]) == pytest.approx(2)
    assert slope([1], [5]) == slope([], []) == slope([2, 2], [1, 5]) == 0


def test_a_load_survives_json():
    load = Load(1.0, 2.0, [1.0], [1.0], [1.5], [2.0], [200], [False], 3, 0.25)
    assert Load(**json.loads(json.dumps(asdict(load)))) == load
