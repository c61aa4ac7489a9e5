"""Hair, glasses and background: where they are, and whose a mix has."""

import numpy as np
import pytest

from facemix.faces.align import TEMPLATE
from facemix.mixing.recipe import TRAITS
from facemix.mixing.traits import glasses_shares, kept_shares, trait_masks

SIZE = 64


def shares(*weights):
    return np.repeat(np.repeat(np.array(weights, np.float32)[:, None, None], SIZE, 1), SIZE, 2)


def worn(*who):
    return np.array(who, bool)


def test_every_trait_has_a_place():
    found = trait_masks(SIZE)
    assert set(found) == set(TRAITS)
    for cover in found.values():
        assert cover.shape == (SIZE, SIZE)
        assert cover.dtype == np.float32
        assert 0 <= cover.min() < 0.01
        assert 0.9 < cover.max() <= 1


def test_glasses_cover_both_eyes_alike_and_no_mouth():
    cover = trait_masks(SIZE)["glasses"]
    left, right, *mouth = [cover[int(y * SIZE), int(x * SIZE)] for x, y in TEMPLATE]
    assert left > 0.95
    assert right > 0.95
    assert max(mouth) < 0.05
    np.testing.assert_allclose(cover, cover[:, ::-1], atol=1e-6)


def test_hair_is_above_and_the_background_below_it():
    found = trait_masks(SIZE)
    assert found["hair"][0, 0] > 0.9
    assert found["background"][-1, 0] > 0.9
    assert max(found[name][SIZE // 2, SIZE // 2] for name in ("hair", "background")) < 0.05


@pytest.mark.parametrize("keep", [{}, {"hair": "mixed", "background": "mixed"}, {"glasses": 0}])
def test_what_is_mixed_changes_no_share(keep):
    np.testing.assert_array_equal(kept_shares(shares(0.3, 0.7), keep, SIZE), shares(0.3, 0.7))


@pytest.mark.parametrize("trait", ["hair", "background"])
def test_what_is_kept_is_one_parents_where_it_is(trait):
    given = shares(0.2, 0.5, 0.3)
    found = kept_shares(given, {trait: 2}, SIZE)
    cover = trait_masks(SIZE)[trait]
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)
    np.testing.assert_allclose(found[2], 0.3 + 0.7 * cover, atol=1e-6)
    np.testing.assert_allclose(found[0], 0.2 * (1 - cover), atol=1e-6)
    np.testing.assert_array_equal(given, shares(0.2, 0.5, 0.3))


def test_hair_and_background_can_be_of_different_parents():
    found = kept_shares(shares(0.0, 0.0, 1.0), {"hair": 0, "background": 1}, SIZE)
    assert found[0, 0, 0] > 0.9
    assert found[1, -1, 0] > 0.9
    assert found[2, SIZE // 2, SIZE // 2] > 0.95
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)
    assert found.min() >= 0


@pytest.mark.parametrize(
    ("weights", "who"), [((0.5, 0.5), (False, False)), ((1.0, 0.0), (False, True)), ((0.0, 1.0), (True, False))]
)
def test_where_nobody_who_has_a_share_wears_any_nothing_is_decided(weights, who):
    assert glasses_shares(np.array(weights), worn(*who), None) is None


@pytest.mark.parametrize("who", [(True, False), (True, True), (False, False)])
def test_mixed_glasses_are_left_as_they_come(who):
    assert glasses_shares(np.array([0.5, 0.5]), worn(*who), "mixed") is None


@pytest.mark.parametrize("who", [(True, False), (False, False)])
@pytest.mark.parametrize("kept", [0, 1])
def test_kept_glasses_are_one_parents_alone(kept, who):
    found = glasses_shares(np.array([0.1, 0.9]), worn(*who), kept)
    np.testing.assert_array_equal(found, np.eye(2)[kept])


@pytest.mark.parametrize(("weight", "wearer"), [(0.05, 0), (0.29, 0), (0.46, 1), (0.5, 1), (0.99, 1), (1.0, 1)])
def test_glasses_of_one_come_with_their_share_whole_or_not_at_all(weight, wearer):
    found = glasses_shares(np.array([weight, 1 - weight]), worn(True, False), None)
    np.testing.assert_allclose(found, [wearer, 1 - wearer], atol=1e-6)


def test_glasses_come_at_once_but_not_in_a_jump():
    weights = np.linspace(0, 1, 101)
    found = np.array([glasses_shares(np.array([w, 1 - w]), worn(True, False), None) for w in weights if w > 0])[:, 0]
    assert (np.diff(found) >= 0).all()
    assert np.diff(found).max() < 0.12
    assert ((found > 0.01) & (found < 0.99)).sum() <= 15


def test_two_pairs_are_not_laid_over_each_other():
    found = glasses_shares(np.array([0.45, 0.25, 0.3]), worn(True, True, False), None)
    assert found[0] > 0.95
    assert found.sum() == pytest.approx(1)
    assert found[2] == 0


def test_eyes_without_glasses_are_of_those_who_wear_none():
    found = glasses_shares(np.array([0.2, 0.5, 0.3]), worn(True, False, False), None)
    assert found[0] == 0
    assert found[1] > 0.95
    assert found.sum() == pytest.approx(1)


def test_many_small_shares_still_sum_to_one():
    count = 32
    found = glasses_shares(np.full(count, 1 / count, np.float32), np.arange(count) < 12, None)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1, abs=1e-5)
