"""What stands for pictures that are no photographs, and for photographs as people have them."""

import numpy as np
import pytest
from portraits import head

from facemix.evaluation.not_photographs import CLASS_OF, FITTED, HELD_OUT, made
from facemix.evaluation.ordinary import ORDINARY
from facemix.safety.photo_gate import CLASSES


@pytest.fixture(scope="module")
def crop():
    return np.ascontiguousarray(head()[60:188, 70:198])


@pytest.mark.parametrize("name", [*FITTED, *HELD_OUT])
def test_a_kind_changes_the_picture_and_the_same_draw_gives_it_again(crop, name):
    kind = {**FITTED, **HELD_OUT}[name]
    before = crop.copy()
    for seed in range(3):
        first, again = (made(kind, crop, np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == crop.shape
        assert first.dtype == np.uint8
        assert np.array_equal(first, again)
        assert np.abs(first.astype(int) - crop).mean() > 1
    assert np.array_equal(crop, before)


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_photograph_is_still_the_same_face(crop, name):
    before = crop.copy()
    changed = ORDINARY[name](crop, np.random.default_rng(1))
    assert changed.shape == crop.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, crop)
    assert np.corrcoef(changed.mean(2).ravel(), crop.mean(2).ravel())[0, 1] > 0.7
    assert np.array_equal(crop, before)


def test_every_fitted_kind_has_a_class_and_no_kind_is_both():
    assert CLASS_OF.keys() == FITTED.keys()
    assert set(CLASS_OF.values()) == set(CLASSES[1:])
    assert not FITTED.keys() & HELD_OUT.keys()
