"""A mix less one of its parents, or less one of its edits."""

import pytest

from facemix.mixing.omission import edits_without, without_parent
from facemix.mixing.recipe import Edits


def test_the_others_take_the_share_in_proportion():
    weights, edits = without_parent((0.5, 0.3, 0.2), Edits(), 0)
    assert weights == pytest.approx((0, 0.6, 0.4))
    assert edits == Edits()


def test_where_a_parent_was_alone_the_others_share_equally():
    assert without_parent((0.0, 1.0, 0.0), Edits(), 1)[0] == (0.5, 0.0, 0.5)


def test_regions_and_colour_lose_the_parent_too():
    edits = Edits(regions={"eyes": (0.5, 0.25, 0.25), "mouth": (1.0, 0.0, 0.0)}, colour=(0.0, 0.0, 1.0), seed=4)
    weights, rest = without_parent((0.2, 0.4, 0.4), edits, 0)
    assert weights == pytest.approx((0, 0.5, 0.5))
    assert rest.regions == {"eyes": (0, 0.5, 0.5)}  # the mouth, which was all its own, follows the whole
    assert rest.colour == (0.0, 0.0, 1.0)
    assert rest.seed == 4
    assert without_parent((0.2, 0.4, 0.4), edits, 2)[1].colour is None


def test_what_was_kept_of_a_parent_goes_with_it():
    edits = Edits(keep={"hair": 0, "glasses": 1, "background": "mixed"})
    assert without_parent((0.6, 0.4), edits, 0)[1].keep == {"glasses": 1, "background": "mixed"}
    assert without_parent((0.6, 0.4), edits, 1)[1].keep == {"hair": 0, "background": "mixed"}


def test_what_is_left_out_still_fits_the_number_of_parents():
    edits = Edits(regions={"nose": (0.1, 0.9)}, colour=(0.3, 0.7))
    for place in (0, 1):
        weights, rest = without_parent((0.6, 0.4), edits, place)
        rest.check_parents(2)
        assert sum(weights) == pytest.approx(1)
        assert weights[place] == 0


def test_edits_come_apart_the_farthest_moved_first():
    edits = Edits(attributes={"age": -2.0, "smile": 1.0}, variation={"number": 3, "radius": 0.2}, vividness=0.25)
    fewer = edits_without(edits)
    assert list(fewer) == ["age", "smile", "variation"]
    assert fewer["age"].attributes == {"smile": 1.0}
    assert fewer["variation"].variation is None
    assert fewer["variation"].attributes == edits.attributes
    assert all(one.vividness == 0.25 for one in fewer.values())


def test_without_edits_there_is_nothing_to_leave_out():
    assert edits_without(Edits(interpolation="slerp")) == {}
