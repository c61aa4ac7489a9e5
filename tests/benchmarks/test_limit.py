import pytest

from benchmarks.limit import WAYS, Limit


@pytest.mark.slow
def test_the_limit_is_measured_on_command(bench_environment, bench_pair):
    limit = Limit(bench_pair, bench_environment)
    try:
        assert limit.about["backend"] == "torch fp32"
        assert set(limit.rates(0.0)) == set(WAYS)
        assert limit.alone(0.0) > 0
    finally:
        limit.close()
