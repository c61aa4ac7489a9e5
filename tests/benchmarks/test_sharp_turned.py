"""What benchmarks.sharp_turned measures."""

import numpy as np
import pytest
from sharp_faces import drawn

from benchmarks.sharp_turned import from_behind, turn

SIDE = 128


def test_a_turn_is_signed_and_says_nothing_of_how_the_head_is_held():
    upright = [[40.0, 50.0], [80.0, 50.0], [70.0, 70.0]]
    lying = [[50.0, 40.0], [50.0, 80.0], [30.0, 70.0]]
    assert turn(upright) == pytest.approx(0.25)
    assert turn(lying) == pytest.approx(0.25)


def test_lines_from_behind_are_those_of_who_shows_no_head_there():
    turned, frontal = drawn(SIDE, seed=0), drawn(SIDE, seed=1)
    flat = np.full_like(turned, 128)
    shown = [np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)]
    found = [from_behind(middle, flat, [turned, frontal], shown) for middle in (turned, frontal, flat)]
    assert found[0] > 0.05
    assert found[1] < 0.01
    assert found[2] == 0
    assert from_behind(turned, turned, [turned, frontal], shown) < 0.01  # the model has them, too
    assert np.isnan(from_behind(turned, flat, [turned, frontal], shown[:1] * 2))
