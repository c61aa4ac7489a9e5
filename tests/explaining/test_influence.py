"""Influence on pictures that are made so that the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemix.explaining.influence import FLOOR, change, influence

SIDE = 48


def flat(level):
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def mixed(pictures, weights):
    return np.rint(sum(w * p.astype(float) for w, p in zip(weights, pictures, strict=True))).astype(np.uint8)


def left_out(pictures, weights):
    """The mixes without each of the parents, as a cross-fade makes them."""
    for place in range(len(pictures)):
        rest = [0.0 if other == place else weight for other, weight in enumerate(weights)]
        total = sum(rest)
        rest = [weight / total for weight in rest] if total else [float(other != place) for other in range(len(rest))]
        yield mixed(pictures, np.array(rest) / sum(rest))


def of(pictures, weights):
    return influence(mixed(pictures, weights), list(left_out(pictures, weights)), weights)


def test_a_parent_without_weight_has_no_influence():
    drew = of([flat(40), flat(200)], (1.0, 0.0))
    np.testing.assert_allclose(drew.shares[1], 0, atol=1e-6)
    np.testing.assert_allclose(drew.totals(), [1, 0], atol=1e-6)


def test_two_parents_alike_in_weight_share_equally():
    drew = of([flat(40), flat(200)], (0.5, 0.5))
    np.testing.assert_allclose(drew.shares, 0.5, atol=1e-6)


def test_two_equal_parents_share_by_weight():
    drew = of([flat(90), flat(90)], (0.7, 0.3))
    np.testing.assert_allclose(drew.totals(), [0.7, 0.3], atol=1e-6)


def test_in_a_cross_fade_the_weights_come_back():
    drew = of([flat(20), flat(220)], (0.8, 0.2))
    np.testing.assert_allclose(drew.totals(), [0.8, 0.2], atol=0.005)


def test_a_region_of_one_parent_shows_there_and_not_elsewhere():
    a, b = flat(40), flat(200)
    patch = np.zeros((SIDE, SIDE), bool)
    patch[8:22, 8:40] = True
    frame = mixed([a, b], (0.2, 0.8))
    frame[patch] = a[patch]
    without_a, without_b = b.copy(), a.copy()
    drew = influence(frame, [without_a, without_b], (0.2, 0.8))
    inner = patch.copy()
    inner[:12], inner[18:], inner[:, :12], inner[:, 36:] = False, False, False, False
    assert drew.shares[0][inner].min() > 0.9
    assert drew.shares[0][30:].max() < 0.3
    assert drew.totals(inner.astype(np.float32))[0] > 0.9
    assert drew.totals((~patch).astype(np.float32))[0] < 0.3


def test_of_a_single_parent_everything_is_its_own():
    drew = influence(flat(80), [], (1.0,))
    np.testing.assert_array_equal(drew.shares, np.ones((1, SIDE, SIDE)))


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 pictures"):
        influence(flat(1), [flat(1), flat(2)], (0.5, 0.25, 0.25))


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_shares_sum_to_one_everywhere_and_are_none_negative(count, seed):
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (count, 16, 16, 3), np.uint8)
    weights = random.dirichlet(np.ones(count))
    drew = of(list(pictures), tuple(weights))
    np.testing.assert_allclose(drew.shares.sum(0), 1, atol=1e-5)
    assert drew.shares.min() >= 0
    assert drew.totals().sum() == pytest.approx(1)


def test_where_nobody_changes_anything_the_weights_speak():
    a, b = flat(40), flat(40)
    b[:, SIDE // 2 :] = 240
    drew = of([a, b], (0.9, 0.1))
    assert drew.shares[0][:, 2].mean() == pytest.approx(0.9, abs=0.01)
    assert drew.amounts[:, :, 2].sum(0).max() == pytest.approx(FLOOR, abs=0.05)


def test_a_change_is_measured_in_levels_and_smoothed():
    other = flat(100)
    other[20:28, 20:28] += 60
    moved = change(flat(100), other)
    assert moved.dtype == np.float32
    assert moved[24, 24] == pytest.approx(60, abs=3)
    assert 0 < moved[19, 24] < 60
    assert moved[2, 2] == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(change(flat(10), flat(25)), 15, atol=1e-3)
