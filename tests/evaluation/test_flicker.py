import numpy as np
import pytest

from facemix.evaluation.face_sharpness import BANDS
from facemix.evaluation.flicker import STEP, flicker, shares


def noise(seed, count, side=64):
    return np.random.default_rng(seed).integers(60, 190, (count, side, side, 1)).repeat(3, 3).astype(np.uint8)


def test_runs_are_those_of_an_animation():
    found = shares()
    assert all(0 < run[0] < run[-1] < 1 for run in found)
    assert np.diff(found, axis=1) == pytest.approx(np.full((3, 4), STEP))


def test_frames_that_go_straight_on_do_not_flicker():
    ends = noise(1, 2).astype(float)
    run = np.stack([(1 - t) * ends[0] + t * ends[1] for t in np.linspace(0, 1, 5)]).round().astype(np.uint8)
    found = flicker([run])
    assert set(found) == {"flicker", *(f"flicker_band_{number}" for number in range(1, BANDS + 1))}
    assert max(found.values()) < 0.05


def test_frames_that_have_nothing_to_do_with_one_another_do():
    assert flicker([noise(1, 9), noise(2, 9)])["flicker"] == pytest.approx(0.75**0.5, abs=0.02)


def test_what_goes_to_and_fro_is_worst():
    two = noise(1, 2)
    assert flicker([two[[0, 1, 0, 1, 0]]])["flicker"] == pytest.approx(1)


def test_a_band_hears_what_flickers_in_it_alone():
    # Light drifts evenly, the finest texture jumps.
    drift = np.arange(7)[:, None, None, None] * 12.0
    jumps = np.stack([noise(seed, 1)[0] for seed in range(7)]).astype(float) - 125
    found = flicker([(60 + drift + 0.05 * jumps).round().astype(np.uint8)])
    assert found["flicker"] < 0.3
    assert found["flicker_band_1"] > 0.8


def test_frames_that_stand_still_have_no_figure():
    assert all(np.isnan(list(flicker([noise(1, 1)[[0, 0, 0]]]).values())))
