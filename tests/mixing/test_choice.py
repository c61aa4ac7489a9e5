"""Whose detail is taken where, and how far it is trusted."""

import cv2
import numpy as np
import pytest
from sharp_faces import drawn

from facemix.faces.align import TEMPLATE
from facemix.imaging.bands import reduced
from facemix.mixing.choice import choose, shares_of, structure
from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import masks
from facemix.mixing.traits import trait_masks
from facemix.mixing.turning import heads
from facemix.mixing.warp import FIELD

CROP = 128
EYES = [(int(y * FIELD), int(x * FIELD)) for x, y in TEMPLATE[:2]]
FIRST, SECOND = (drawn(CROP, seed=seed).astype(np.float32) for seed in (0, 1))
# Where the others have their eyes and mouth, this one has cheeks.
TURNED = drawn(CROP, seed=2, shift=0.2).astype(np.float32)


def chosen(pictures, weights, mixed=None, *, regions=None, **changes):
    """The choice among parents that need no moving."""
    count = len(pictures)
    keep = changes.pop("keep", {})
    given = {
        "photographed": np.ones(count, bool),
        "glasses": np.zeros(count, bool),
        "ranks": np.arange(count),
        "strengths": np.full(count, 8.0, np.float32),
        "heads": heads(np.zeros(count)),
        **changes,
    }
    mixed = np.tensordot(weights, pictures, 1).astype(np.float32) if mixed is None else mixed
    return choose(
        mixed,
        [structure(one) for one in pictures],
        np.zeros((count, FIELD, FIELD, 2), np.float32),
        shares_of(weights, regions, keep),
        given.pop("strengths"),
        keep=keep,
        **given,
    )


def face(values):
    """Values in the middle of the face, where neither hair nor background is."""
    return values[..., FIELD // 4 : -FIELD // 4, FIELD // 4 : -FIELD // 4]


def test_shares_are_the_weights():
    found = shares_of((0.2, 0.3, 0.5))
    assert found.shape == (3, FIELD, FIELD)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(np.array([0.2, 0.3, 0.5])[:, None, None], found.shape), atol=1e-6)


def test_a_region_has_shares_of_its_own():
    found = shares_of((0.8, 0.2), {"eyes": (0.0, 1.0)})
    mask = masks(FIELD)[REGIONS.index("eyes")]
    np.testing.assert_allclose(found[0], 0.8 * (1 - mask), atol=1e-6)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)


def test_regions_and_what_is_kept_go_together():
    found = shares_of((0.5, 0.5), {"mouth": (1.0, 0.0)}, {"hair": 1, "glasses": 0})
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)
    assert found.min() >= 0
    assert found[1, 0, 0] > 0.9
    assert found[0, int(0.72 * FIELD), FIELD // 2] > 0.95


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5), (1.0, 0.0), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize("keep", [{}, {"hair": 1}, {"hair": 0, "background": 1, "glasses": 1}, {"glasses": "mixed"}])
def test_shares_sum_to_one_everywhere(weights, keep):
    pictures = [FIRST, SECOND, TURNED][: len(weights)]
    found = chosen(pictures, weights, keep=keep, glasses=np.arange(len(weights)) == 0)
    for shares in (found.soft, found.decided):
        assert shares.shape == (len(weights), FIELD, FIELD)
        assert shares.min() >= -1e-6
        np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    assert found.confidence.shape == (FIELD, FIELD)
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1 + 1e-6


@pytest.mark.parametrize("alone", [0, 1])
def test_who_is_alone_is_taken_and_trusted_whatever_the_model_drew(alone):
    weights = np.eye(2)[alone]
    found = chosen([FIRST, TURNED], weights, mixed=np.full_like(FIRST, 128))
    np.testing.assert_array_equal(found.soft[alone], 1)
    np.testing.assert_array_equal(found.decided[alone], 1)
    np.testing.assert_array_equal(found.confidence, 1)


def test_the_finest_band_is_decided_where_the_others_are_mixed():
    found = chosen([FIRST, SECOND], (0.5, 0.5))
    assert face(found.soft.max(0)).mean() < 0.8
    assert face(found.decided.max(0)).mean() > 0.8
    for shares in found.decided:
        assert 0.2 < face(shares).mean() < 0.8  # each has places of its own


def test_neighbours_mostly_go_to_one_parent_and_change_hands_smoothly():
    found = chosen([FIRST, SECOND], (0.5, 0.5)).decided[0]
    for axis in (0, 1):
        steps = np.abs(np.diff(found, axis=axis))
        assert steps.max() < 0.9
        assert steps.mean() < 0.05


def test_everybody_gets_places_in_proportion_to_weight():
    shares = np.linspace(0, 1, 21)
    taken = [face(chosen([FIRST, SECOND], (1 - t, t)).decided[1]).mean() for t in shares]
    assert (np.diff(taken) >= 0).all()
    assert (taken[0], taken[-1]) == (0, 1)
    assert np.abs(taken - shares).max() < 0.15


def test_who_agrees_with_the_model_is_taken():
    for pictures, agreeing in (([FIRST, TURNED], 0), ([TURNED, FIRST], 1)):
        found = chosen(pictures, (0.5, 0.5), mixed=FIRST)
        for eye in EYES:
            assert found.soft[agreeing][eye] > 0.8
            assert found.decided[agreeing][eye] > 0.5


def test_confidence_falls_where_nobody_agrees_with_the_model():
    together = chosen([FIRST, SECOND], (0.5, 0.5), mixed=FIRST).confidence
    for mixed in (np.full_like(FIRST, 160), 255 - FIRST):
        apart = chosen([FIRST, SECOND], (0.5, 0.5), mixed=mixed).confidence
        for eye in EYES:
            assert together[eye] > 0.9
            assert apart[eye] < 0.05


def test_confidence_rises_again_towards_a_parent_that_is_alone():
    found = [
        chosen([FIRST, SECOND], (w, 1 - w), mixed=255 - FIRST).confidence[EYES[0]] for w in np.linspace(0.5, 1, 11)
    ]
    assert (np.diff(found) >= 0).all()
    assert found[0] < 0.05
    assert found[-1] == 1


def test_eyes_are_taken_alike_on_both_sides():
    half = FIRST.copy()
    half[:, : CROP // 2] = TURNED[:, : CROP // 2]  # agrees on one side alone
    for pictures in ([half, SECOND], [SECOND, half]):
        found = chosen(pictures, (0.5, 0.5), mixed=FIRST)
        for shares in (found.soft[0], found.decided[0]):
            np.testing.assert_allclose(shares, shares[:, ::-1], atol=1e-5)


def test_the_order_of_parents_makes_no_difference():
    one = chosen([FIRST, SECOND], (0.3, 0.7), mixed=FIRST, ranks=np.array([0, 1]))
    other = chosen([SECOND, FIRST], (0.7, 0.3), mixed=FIRST, ranks=np.array([1, 0]))
    np.testing.assert_allclose(one.soft, other.soft[::-1], atol=1e-5)
    np.testing.assert_allclose(one.decided, other.decided[::-1], atol=1e-5)
    np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-5)


def test_a_blurred_photograph_gives_no_more_of_the_finest_band():
    even, blurred = (
        chosen([FIRST, SECOND], (0.5, 0.5), mixed=FIRST, strengths=np.array([8.0, other], np.float32))
        for other in (8.0, 0.2)
    )
    assert face(blurred.decided[0]).mean() >= face(even.decided[0]).mean() - 0.02


def test_who_has_no_photograph_gives_no_finest_band():
    given = {"photographed": np.array([True, False])}
    found = chosen([FIRST, SECOND], (0.1, 0.9), **given)
    np.testing.assert_allclose(face(found.decided[1]), 0, atol=1e-3)
    np.testing.assert_allclose(face(found.decided[0]), 1, atol=1e-3)
    assert face(found.soft[1]).mean() > 0.5  # in the other bands it has its share
    alone = chosen([FIRST, SECOND], (0.0, 1.0), **given)
    np.testing.assert_array_equal(alone.decided[1], 1)


def test_kept_hair_is_trusted_whatever_the_model_drew():
    found = chosen([FIRST, SECOND], (0.5, 0.5), mixed=TURNED, keep={"hair": 1})
    hair = trait_masks(FIELD)["hair"] > 0.99
    np.testing.assert_allclose(found.soft[1][hair], 1, atol=0.02)
    np.testing.assert_allclose(found.decided[1][hair], 1, atol=0.02)
    assert found.confidence[hair].min() > 0.98


@pytest.mark.parametrize(("weight", "wearer"), [(0.2, 1), (0.6, 0)])
def test_both_eyes_wear_glasses_or_neither(weight, wearer):
    found = chosen([FIRST, SECOND], (weight, 1 - weight), glasses=np.array([True, False]))
    for eye in EYES:
        for shares in (found.soft, found.decided):
            assert shares[wearer][eye] > 0.99
        assert found.confidence[eye] > 0.99


@pytest.mark.parametrize("kept", [0, 1])
def test_glasses_that_are_kept_are_kept_at_every_weight(kept):
    for weight in (0.0, 0.5, 1.0):
        found = chosen([FIRST, SECOND], (weight, 1 - weight), glasses=np.array([True, False]), keep={"glasses": kept})
        for eye in EYES:
            assert found.decided[kept][eye] > 0.99


def test_mixed_glasses_are_as_if_nobody_wore_any():
    mixed = chosen([FIRST, SECOND], (0.5, 0.5), glasses=np.array([True, False]), keep={"glasses": "mixed"})
    none = chosen([FIRST, SECOND], (0.5, 0.5))
    np.testing.assert_array_equal(mixed.decided, none.decided)
    np.testing.assert_array_equal(mixed.confidence, none.confidence)


def test_glasses_go_with_the_eyes_and_not_with_the_hair():
    wearing = np.array([True, False])
    eyes = chosen([FIRST, SECOND], (0.9, 0.1), glasses=wearing, regions={"eyes": (0.0, 1.0)})
    assert all(eyes.decided[1][eye] > 0.99 for eye in EYES)
    hair = chosen([FIRST, SECOND], (0.1, 0.9), glasses=wearing, keep={"hair": 0, "background": 0})
    assert all(hair.decided[1][eye] > 0.99 for eye in EYES)


def test_where_an_edit_changes_the_picture_detail_is_not_trusted():
    change = np.zeros((CROP, CROP), np.float32)
    change[80:, :] = 60
    plain, edited = (chosen([FIRST, SECOND], (0.5, 0.5), change=given).confidence for given in (None, change))
    np.testing.assert_allclose(edited[:30], plain[:30], atol=1e-4)
    assert edited[50:].max() < 0.01


def test_structures_say_nothing_of_light():
    brighter = np.clip(FIRST, 0, 200) + 40
    np.testing.assert_allclose(structure(brighter), structure(np.clip(FIRST, 0, 200)), atol=1e-3)
    assert structure(FIRST).shape == (FIELD, FIELD)
    wide = cv2.GaussianBlur(reduced(FIRST, FIELD), (0, 0), 12)
    assert np.abs(structure(wide)).std() < 0.2 * np.abs(structure(FIRST)).std()


# Of a head that is turned to the right, and of one that is not.
TURN = heads(np.array([0.1, 0.0]))
BEHIND = (FIELD // 2, int(0.78 * FIELD))  # background of the one, cheek of the other
NEAR = (FIELD // 2, int(0.3 * FIELD))  # cheek of both


def test_what_lies_behind_a_head_is_not_taken_where_another_has_its_own():
    assert (TURN[0][BEHIND], TURN[1][BEHIND]) == (0, 1)
    # The model drew what the turned one shows, and yet.
    for pictures, order in (([FIRST, SECOND], [0, 1]), ([SECOND, FIRST], [1, 0])):
        even = chosen(pictures, (0.5, 0.5), mixed=FIRST)
        found = chosen(pictures, (0.5, 0.5), mixed=FIRST, heads=TURN[order], ranks=np.array(order))
        turned, frontal = order
        for shares in (found.soft, found.decided):
            assert shares[frontal][BEHIND] > 0.75
        assert found.soft[turned][BEHIND] < even.soft[turned][BEHIND]
        assert found.behind[turned][BEHIND] == pytest.approx(0.5)
        assert found.behind[frontal].max() == 0
        assert found.behind[:, NEAR[0], NEAR[1]].max() == 0


def test_what_lies_behind_a_head_comes_back_where_the_others_have_little_weight():
    weights = np.linspace(0.5, 1, 21)
    found = [chosen([FIRST, SECOND], (w, 1 - w), mixed=FIRST, heads=TURN) for w in weights]
    behind, taken = (np.array([getattr(one, name)[0][BEHIND] for one in found]) for name in ("behind", "decided"))
    np.testing.assert_allclose(behind, 1 - weights, atol=1e-6)
    assert taken[0] < 0.25
    assert taken[-3] > 0.9
    assert taken[-1] == 1
    assert np.diff(taken).max() < 0.35  # it changes hands over several frames of a strip


def test_who_has_no_share_hides_nobody():
    for alone in (0, 1):
        found = chosen([FIRST, SECOND], np.eye(2)[alone], heads=TURN)
        assert found.behind.max() == 0
        np.testing.assert_array_equal(found.decided[alone], 1)


def test_beside_all_heads_background_is_one_parents():
    both = TURN[[0, 0]]
    found = chosen([FIRST, SECOND], (0.5, 0.5), mixed=FIRST, heads=both)
    for shares in (found.soft, found.decided):
        np.testing.assert_allclose(shares[:, BEHIND[0], BEHIND[1]], found.around, atol=0.02)
    kept = chosen([FIRST, SECOND], (0.5, 0.5), mixed=FIRST, heads=both, keep={"background": "mixed"})
    plain = chosen([FIRST, SECOND], (0.5, 0.5), mixed=FIRST, keep={"background": "mixed"})
    np.testing.assert_array_equal(kept.soft, plain.soft)
