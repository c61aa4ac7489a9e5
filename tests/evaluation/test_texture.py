import numpy as np
import pytest

from facemix.evaluation.face_sharpness import energies, oval
from facemix.evaluation.texture import kept, texture, textured
from facemix.evaluation.ways import faded

SIDE = 128
GREY = np.full((SIDE, SIDE, 3), 128, np.uint8)
PLAIN = np.stack([GREY, GREY])
PARENTS = np.stack([textured(GREY, (0, which)) for which in (1, 2)])


def test_it_has_the_strength_that_it_says_in_the_face_and_none_around():
    found = texture(SIDE, (0, 1))
    assert found[oval(SIDE) > 0.99].std() == pytest.approx(6, rel=0.05)
    assert np.abs(found[oval(SIDE) == 0]).max() == 0


def test_it_is_fine():
    found = energies(PARENTS[0])
    assert found["band_1"] + found["band_2"] > 20 * (found["band_3"] + found["band_4"])


def test_it_is_the_same_again_and_nobody_elses():
    assert np.array_equal(PARENTS[0], textured(GREY, (0, 1)))
    mine, theirs = (texture(SIDE, (0, which)).ravel() for which in (1, 2))
    assert abs(np.corrcoef(mine, theirs)[0, 1]) < 0.05


def test_what_is_kept():
    assert kept((PARENTS[0], GREY), (PARENTS, PLAIN)) == pytest.approx(1, abs=0.1)
    assert kept((GREY, GREY), (PARENTS, PLAIN)) == 0
    assert kept((faded(PARENTS)(0.5), GREY), (PARENTS, PLAIN)) == pytest.approx(0.5, abs=0.05)
    halves = np.where(np.arange(SIDE)[:, None] < SIDE // 2, *PARENTS)
    assert kept((halves, GREY), (PARENTS, PLAIN)) == pytest.approx(1, abs=0.1)
