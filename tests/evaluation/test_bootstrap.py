import numpy as np
import pytest

from facemix.evaluation.bootstrap import Bootstrap


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        figure = Bootstrap(resamples=400).mean(generator.normal(5, 2, 60))
        covered += figure.low <= 5 <= figure.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_interval_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(0, 1, 400)
    figure = Bootstrap(resamples=4000).mean(values)
    half = 1.96 * values.std() / 20
    assert figure.mean == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - half, abs=0.01)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.01)


def test_equal_seeds_draw_alike_and_others_do_not():
    values = np.random.default_rng(2).uniform(size=30)
    assert Bootstrap(seed=3).mean(values) == Bootstrap(seed=3).mean(values)
    assert Bootstrap(seed=3).mean(values) != Bootstrap(seed=4).mean(values)


def test_every_resample_draws_as_many_as_there_are():
    counts = Bootstrap(resamples=50).counts(7)
    assert counts.shape == (50, 7)
    assert (counts.sum(1) == 7).all()


def test_what_could_not_be_measured_is_left_out():
    figure = Bootstrap().mean(np.array([1.0, np.nan, 1.0]))
    assert (figure.mean, figure.low, figure.high, figure.n) == (1, 1, 1, 2)
    nothing = Bootstrap().mean(np.array([np.nan]))
    assert (nothing.mean, nothing.low, nothing.high, nothing.n) == (None, None, None, 0)


@pytest.mark.parametrize("count", [2, 7, 8, 30])
def test_medians_are_those_of_the_drawn_values(count):
    values = np.random.default_rng(6).uniform(size=count)
    bootstrap = Bootstrap(resamples=200, seed=2)
    drawn = [np.median(np.repeat(values, times)) for times in bootstrap.counts(count)]
    figure = bootstrap.median(np.append(values, np.nan))
    assert (figure.mean, figure.n) == (pytest.approx(np.median(values), rel=1e-5), count)
    assert (figure.low, figure.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), rel=1e-5)


def test_a_median_of_nothing():
    figure = Bootstrap().median(np.array([np.nan]))
    assert (figure.mean, figure.low, figure.high, figure.n) == (None, None, None, 0)


def test_a_mean_as_a_statistic_has_the_interval_of_the_mean():
    values = np.random.default_rng(5).uniform(size=25)
    bootstrap = Bootstrap(seed=1)
    assert bootstrap.statistic(25, lambda counts: counts @ values / 25) == bootstrap.mean(values)
