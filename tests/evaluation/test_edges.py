import numpy as np
import pytest

from facemix.evaluation.edges import double_edges


def noise(seed, count=12):
    return np.random.default_rng(seed).integers(60, 190, (count, 32, 32, 1)).repeat(3, 3).astype(np.uint8)


STARTS, ENDS = noise(1), noise(2)
FADES = ((STARTS.astype(float) + ENDS) / 2).round().astype(np.uint8)


def blend(weight, a, b):
    return (weight * a.astype(float) + (1 - weight) * b).round().astype(np.uint8)


def test_a_cross_fade_is_one():
    assert double_edges(FADES, STARTS, ENDS) == pytest.approx(np.ones(12), abs=0.01)


def test_one_parents_face_is_nothing_double():
    assert np.abs(double_edges(STARTS, STARTS, ENDS)).max() < 0.01
    assert np.abs(double_edges(ENDS, STARTS, ENDS)).max() < 0.01


def test_a_face_of_its_own_is_nothing_double():
    assert double_edges(noise(3), STARTS, ENDS).mean() < 0.03


def test_detail_of_its_own_beside_the_cross_fades_lowers_it_in_proportion():
    # Half of the pixel from the fade and half from elsewhere: the fade has half of the other's variance, so a third of
    # the energy is its own.
    assert double_edges(blend(0.5, FADES, noise(3)), STARTS, ENDS).mean() == pytest.approx(1 / 3, abs=0.05)


def test_contrast_does_not_count():
    pale = blend(0.4, FADES, np.full_like(FADES, 128))
    assert double_edges(pale, STARTS, ENDS).mean() == pytest.approx(1, abs=0.03)


def test_what_all_faces_share_does_not_count():
    mask = noise(9, count=1).astype(float) * 2 - 250
    starts, ends, middles = (
        np.clip(one * 0.3 + mask * 0.5 + 60, 0, 255).round().astype(np.uint8) for one in (STARTS, ENDS, noise(3))
    )
    assert double_edges(middles, starts, ends).mean() < 0.1
    fades = ((starts.astype(float) + ends) / 2).round().astype(np.uint8)
    assert double_edges(fades, starts, ends).mean() == pytest.approx(1, abs=0.05)


def test_equal_ends_have_no_figure():
    assert np.isnan(double_edges(FADES, STARTS, STARTS)).all()


def test_a_single_pair_has_no_others_to_tell_what_faces_share():
    assert np.isnan(double_edges(FADES[:1], STARTS[:1], ENDS[:1])).all()
