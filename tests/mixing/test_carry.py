"""Detail of photographs in a mix: drawn faces, and scikit-image's portrait."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import cv2
import numpy as np
import pytest
from sharp_faces import as_the_model_draws, astronaut, drawn, faded, finest

from facemix.imaging.enlarge import resized
from facemix.mixing.carry import Carry
from facemix.mixing.traits import trait_masks
from facemix.mixing.warp import FIELD
from facemix.vae.geometry import GRID

CROP, SIDE = 128, 512
NOWHERE = np.zeros((2, GRID, GRID), np.float32)


def bent(seed, strength=0.015):
    """A smooth shape, (2, GRID, GRID)."""
    coarse = np.random.default_rng(seed).normal(0, strength, (2, 4, 4)).astype(np.float32)
    return np.stack([cv2.resize(one, (GRID, GRID), interpolation=cv2.INTER_CUBIC) for one in coarse])


def right(shift):
    """The shape of a face that lies so far to the right."""
    return np.stack([np.full((GRID, GRID), shift, np.float32), np.zeros((GRID, GRID), np.float32)])


class Parents:
    """Some cuts, what the model draws of them, and what is carried."""

    def __init__(self, cuts, *, crop=CROP, shapes=None, seen=None, **changes):
        self.cuts = cuts
        seen = seen or cuts
        self.drawn = np.stack([as_the_model_draws(one, crop) for one in seen])
        shapes = [NOWHERE] * len(cuts) if shapes is None else shapes
        self.carry = Carry(cuts, self.drawn, np.stack(shapes), **changes)

    def mix(self, *weights, **changes):
        """With a model that lays pictures over each other."""
        return self.carry.frame(changes.pop("mixed", faded(self.drawn, weights)), weights, **changes)


@pytest.fixture(scope="module")
def pair():
    cuts = [drawn(SIDE, seed=1), drawn(SIDE, seed=2, colour=(150, 110, 90), skin=7)]
    return Parents(cuts, shapes=[bent(1), bent(2)])


def fine(part):
    """How strong the finest bands of a part of a picture are."""
    part = part.astype(np.float32)
    return float((part - cv2.GaussianBlur(part, (0, 0), 2)).std())


def far(one, other):
    return float(np.abs(one.astype(int) - other).mean())


# --- its ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crop", "side"), [(128, 128), (128, 200), (128, 512), (96, 300), (32, 97)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_parent_that_is_alone_is_its_photograph_to_the_last_bit(crop, side, count):
    cuts = [astronaut(side), *(drawn(side, seed=seed) for seed in range(3))][:count]
    parents = Parents(cuts, crop=crop, shapes=[bent(seed, 0.03) for seed in range(count)])
    assert (parents.carry.side, parents.carry.crop) == (side, crop)
    for index, cut in enumerate(cuts):
        np.testing.assert_array_equal(parents.mix(*np.eye(count)[index]), cut)


def test_it_is_even_where_the_model_rounds_otherwise(pair):
    rng = np.random.default_rng(0)
    off = pair.drawn[0].astype(int) + rng.integers(-1, 2, pair.drawn[0].shape) * (
        rng.random(pair.drawn[0].shape) < 0.05
    )
    found = pair.mix(1, 0, mixed=np.clip(off, 0, 255).astype(np.uint8))
    assert np.abs(found.astype(int) - pair.cuts[0]).max() <= 1


@pytest.mark.parametrize("keep", [{"hair": 0}, {"hair": 0, "background": 0, "glasses": 0}, {"hair": "mixed"}])
@pytest.mark.parametrize("glasses", [(False, False), (True, False), (False, True)])
def test_what_is_kept_of_the_one_who_is_alone_changes_nothing(keep, glasses):
    cuts = [astronaut(200), drawn(200)]
    parents = Parents(cuts, shapes=[bent(1), bent(2)], glasses=glasses)
    np.testing.assert_array_equal(parents.mix(1, 0, keep=keep), cuts[0])


@pytest.mark.parametrize("side", [128, 200, 512])
def test_without_detail_it_is_the_models_picture_enlarged(side):
    parents = Parents([astronaut(side), drawn(side)], shapes=[bent(1), bent(2)])
    mixed = faded(parents.drawn, (0.4, 0.6))
    np.testing.assert_array_equal(parents.mix(0.4, 0.6, detail=0), resized(mixed, side))


def test_detail_begins_where_nothing_is_left_of_it(pair):
    none, hardly = pair.mix(0.5, 0.5, detail=0), pair.mix(0.5, 0.5, detail=1e-6)
    assert np.abs(none.astype(int) - hardly).max() <= 4  # two filters that enlarge
    assert far(none, hardly) < 0.5


def test_detail_grows(pair):
    none, some, all_of_it = (pair.mix(0.5, 0.5, detail=detail).astype(int) for detail in (1e-6, 0.5, 1.0))
    off = np.abs(some - (none + all_of_it) / 2)
    assert off.mean() < 0.5
    assert np.percentile(off, 99.9) <= 8  # bands that are made as strong as their parents' are not quite linear
    strengths = [finest(pair.mix(0.5, 0.5, detail=detail)).std() for detail in np.linspace(0, 1, 6)]
    assert (np.diff(strengths) > 0).all()


def test_equal_parents_are_either_of_them_at_every_weight():
    cut = astronaut(SIDE)
    parents = Parents([cut, cut.copy()], shapes=[bent(1)] * 2)
    for t in (0.1, 0.5, 0.8):
        assert np.abs(parents.mix(1 - t, t).astype(int) - cut).max() <= 1


# --- between -----------------------------------------------------------------------------------------------


def test_a_mid_point_is_as_sharp_as_its_parents(pair):
    middle = pair.mix(0.5, 0.5)
    own = [finest(cut).std() for cut in pair.cuts]
    assert finest(middle).std() >= 0.9 * min(own)
    assert finest(middle).std() <= 1.1 * max(own)
    faint = finest(faded(np.stack(pair.cuts), (0.5, 0.5))).std()  # what laying one over the other leaves
    assert finest(middle).std() > 1.2 * faint


def test_three_parents_are_as_sharp_as_they_are():
    cuts = [drawn(256, seed=seed) for seed in range(3)]
    parents = Parents(cuts, shapes=[bent(seed) for seed in range(3)])
    sharpness = finest(parents.mix(0.3, 0.3, 0.4)).std() / np.mean([finest(cut).std() for cut in cuts])
    assert 0.85 < sharpness < 1.15


def test_the_order_of_parents_makes_no_difference():
    cuts = [drawn(256, seed=1), drawn(256, seed=2, colour=(150, 110, 90))]
    there = Parents(cuts, shapes=[bent(1), bent(2)])
    back = Parents(cuts[::-1], shapes=[bent(2), bent(1)])
    mixed = faded(there.drawn, (0.3, 0.7))
    one, other = there.mix(0.3, 0.7, mixed=mixed), back.mix(0.7, 0.3, mixed=mixed)
    assert np.abs(one.astype(int) - other).max() <= 1


def marked(side, across):
    """A face with a mole at a place of its own: dark, and small enough for the finest bands."""
    picture = np.full((side, side, 3), (200, 160, 140), np.uint8)
    cv2.circle(picture, (round(across * side), round(0.52 * side)), round(0.012 * side), (60, 40, 40), -1, cv2.LINE_AA)
    return picture


def moles(picture):
    """Where there are any along the row, in fractions of the side: each darkest place of a dark stretch."""
    row = picture[round(0.52 * len(picture))].mean(-1)
    dark = np.flatnonzero(row < row.max() - 30)
    groups = np.split(dark, np.flatnonzero(np.diff(dark) > 3) + 1) if len(dark) else []
    return [float(group.mean() + 0.5) / len(picture) for group in groups]


def test_a_feature_at_two_places_is_shown_once_between_them():
    places, shift = (0.45, 0.55), 0.05
    cuts = [marked(SIDE, place) for place in places]
    assert len(moles(faded(np.stack(cuts), (0.5, 0.5)))) == 2  # a cross-fade shows both
    parents = Parents(cuts, shapes=[right(-shift), right(shift)])
    # The model draws the one mole where it belongs.
    for t in (0.25, 0.5, 0.75):
        between = places[0] + t * (places[1] - places[0])
        mixed = as_the_model_draws(marked(SIDE, between), CROP)
        (found,) = moles(parents.mix(1 - t, t, mixed=mixed))
        assert found == pytest.approx(between, abs=0.006)


def test_where_photographs_contradict_the_model_its_picture_stays():
    parents = Parents([drawn(SIDE, seed=1), drawn(SIDE, seed=2)])
    mixed = 255 - parents.drawn[0]
    found = parents.mix(0.5, 0.5, mixed=mixed)
    eye = np.s_[130:185, 120:180]
    assert fine(found[eye]) < 0.4 * fine(parents.mix(0.5, 0.5)[eye])
    field = np.s_[16:23, 15:22]
    assert parents.carry.confidence(mixed, (0.5, 0.5))[field].max() < 0.3
    assert parents.carry.confidence(faded(parents.drawn, (0.5, 0.5)), (0.5, 0.5))[field].min() > 0.8
    np.testing.assert_array_equal(parents.carry.confidence(mixed, (1, 0)), 1)


def test_no_step_of_a_strip_is_a_jump(pair):
    shares = np.linspace(0, 1, 33)
    frames = [pair.mix(1 - t, t) for t in shares]
    np.testing.assert_array_equal(frames[0], pair.cuts[0])
    np.testing.assert_array_equal(frames[-1], pair.cuts[1])
    steps = np.array([far(one, other) for one, other in pairwise(frames)])
    assert steps.max() < 3 * steps.mean()
    small = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    steps = np.array([far(one, other) for one, other in pairwise(small)])
    assert steps.max() < 2 * steps.mean()


def test_frames_of_one_mix_are_alike(pair):
    np.testing.assert_array_equal(pair.mix(0.3, 0.7), pair.mix(0.3, 0.7))


# --- parents without photographs, regions, what is kept ----------------------------------------------------


def test_a_parent_without_a_photograph_is_drawn_by_the_model():
    seen = [drawn(SIDE, seed=1), drawn(SIDE, seed=2)]
    parents = Parents([seen[0], None], seen=seen)
    np.testing.assert_array_equal(parents.mix(1, 0), seen[0])
    alone = parents.mix(0, 1)
    assert far(alone, resized(parents.drawn[1], SIDE)) < 0.5
    half, little = (finest(parents.mix(t, 1 - t)).std() for t in (0.5, 0.1))
    assert half > 0.8 * finest(seen[0]).std()
    assert little < 0.5 * half


def test_parents_without_any_photograph_are_what_the_model_draws():
    seen = [drawn(SIDE, seed=1), drawn(SIDE, seed=2)]
    parents = Parents([None, None], seen=seen, side=300)
    assert parents.carry.side == 300
    mixed = faded(parents.drawn, (0.5, 0.5))
    found = parents.mix(0.5, 0.5)
    assert found.shape == (300, 300, 3)
    assert far(found, resized(mixed, 300)) < 3
    assert finest(found).std() < 0.3 * finest(cv2.resize(seen[0], (300, 300), interpolation=cv2.INTER_AREA)).std()


def test_a_region_has_the_detail_of_its_own_parent(pair):
    mixed = pair.drawn[0]
    found = pair.mix(1, 0, mixed=mixed, regions={"mouth": (0.0, 1.0)})
    np.testing.assert_array_equal(found[: SIDE // 3], pair.cuts[0][: SIDE // 3])
    assert far(found[350:390, 200:310], pair.cuts[0][350:390, 200:310]) > 5


def test_kept_hair_and_background_are_of_one_parent(pair):
    for trait in ("hair", "background"):
        found = pair.mix(0.5, 0.5, keep={trait: 1})
        inside = cv2.erode(np.uint8(trait_masks(SIDE)[trait] > 0.999), np.ones((25, 25))) > 0
        assert inside.any()
        assert far(found[inside], pair.cuts[1][inside]) < 4
        mixed = pair.mix(0.5, 0.5)
        assert far(mixed[inside], pair.cuts[1][inside]) > far(found[inside], pair.cuts[1][inside]) + 2


def test_glasses_are_worn_whole_or_not_at_all():
    plain, glasses = drawn(SIDE, seed=1), drawn(SIDE, seed=2)
    for x in (150, 362):
        cv2.circle(glasses, (x, 157), 60, (10, 10, 10), 6, cv2.LINE_AA)
    parents = Parents([plain, glasses], glasses=[False, True])
    top = (slice(92, 104), slice(140, 160)), (slice(92, 104), slice(352, 372))
    for weights, wears in (((0.8, 0.2), False), ((0.4, 0.6), True)):
        frame = parents.mix(*weights)
        left, right_ = (float(frame[place].min(axis=0).mean()) for place in top)
        assert abs(left - right_) < 40
        assert (max(left, right_) < 90) if wears else (min(left, right_) > 90)


# --- edits -------------------------------------------------------------------------------------------------


def test_where_an_edit_changed_the_picture_no_detail_is_carried(pair):
    change = np.zeros((CROP, CROP), np.float32)
    change[80:] = 80
    plain, edited = pair.mix(0.5, 0.5), pair.mix(0.5, 0.5, change=change)
    assert np.abs(edited[:240].astype(int) - plain[:240]).max() <= 1
    lower = slice(380, 480), slice(156, 356)
    assert fine(edited[lower]) < 0.2 * fine(plain[lower])


def test_an_edit_that_moves_the_face_moves_its_detail():
    parents = Parents([marked(SIDE, 0.5)])
    moved = right(0.04)
    mixed = as_the_model_draws(marked(SIDE, 0.54), CROP)
    (found,) = moles(parents.mix(1, mixed=mixed, moved=moved))
    assert found == pytest.approx(0.54, abs=0.006)
    (stays,) = moles(parents.mix(1, mixed=mixed))
    assert stays == pytest.approx(0.5, abs=0.006)  # without it, that of the photograph is where it was


# --- what is promised --------------------------------------------------------------------------------------


def test_fields_lead_to_each_parent(pair):
    found = pair.carry.fields((0.5, 0.5))
    assert [one.shape for one in found] == [(SIDE, SIDE, 2)] * 2
    np.testing.assert_allclose(found[0] + found[1], 0, atol=1e-5)
    assert not pair.carry.fields((1, 0))[0].any()
    assert pair.carry.confidence(pair.drawn[0], (0.5, 0.5)).shape == (FIELD, FIELD)


def test_its_memory_is_counted(pair):
    photographs = 2 * SIDE * SIDE * 3
    assert photographs < pair.carry.bytes < 2 * photographs


def test_it_is_not_changed_by_use_nor_changes_what_it_is_given(pair):
    for array in (*pair.cuts, pair.drawn):
        array.flags.writeable = False
    mixed = faded(pair.drawn, (0.5, 0.5))
    mixed.flags.writeable = False
    change = np.ones((CROP, CROP), np.float32)
    change.flags.writeable = False
    wanted = [
        {"weights": (1 - t, t), "detail": detail, "keep": keep, "change": change, "moved": moved}
        for t in (0.2, 0.5)
        for detail in (0.8,)
        for keep in ({}, {"hair": 1, "glasses": 0, "background": 0})
        for moved in (None, bent(5))
    ]
    one_by_one = [pair.carry.frame(mixed, **given) for given in wanted]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda given: pair.carry.frame(mixed, **given), wanted))
    for one, other in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(one, other)


FACE = np.full((CROP, CROP, 3), 100, np.uint8)
CUT = np.full((200, 200, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ("cuts", "drawn_", "count", "changes"),
    [
        ([CUT], [FACE, FACE], 2, {}),
        ([CUT, CUT], [FACE, FACE], 1, {}),
        ([CUT, CUT[:150, :150]], [FACE, FACE], 2, {}),
        ([CUT], [FACE], 1, {"side": 300}),
        ([CUT[:100, :100]], [FACE], 1, {}),
        ([None], [FACE], 1, {"side": 100}),
        ([CUT[:, :100]], [FACE], 1, {}),
        ([CUT.astype(np.float32)], [FACE], 1, {}),
        ([CUT], [FACE[:, :100]], 1, {}),
        ([CUT], [FACE], 1, {"glasses": [True, False]}),
    ],
    ids=["cuts", "shapes", "sides", "side", "cut too small", "side too small", "oblong", "type", "drawn", "glasses"],
)
def test_what_does_not_belong_together_is_refused(cuts, drawn_, count, changes):
    with pytest.raises(ValueError, match="not"):
        Carry(cuts, np.stack(drawn_), np.stack([NOWHERE] * count), **changes)


@pytest.mark.parametrize("shapes", [np.zeros((1, 3, GRID, GRID)), np.zeros((2, GRID, GRID)), np.zeros((1, 2, GRID, 5))])
def test_shapes_of_another_form_are_refused(shapes):
    with pytest.raises(ValueError, match="shapes must be"):
        Carry([CUT], FACE[None], shapes.astype(np.float32))


@pytest.mark.parametrize(("mixed", "weights"), [(CUT, (1.0,)), (FACE, (0.5, 0.5)), (FACE[:, :5], (1.0,))])
def test_a_frame_of_something_else_is_refused(mixed, weights):
    with pytest.raises(ValueError, match="not"):
        Carry([CUT], FACE[None], NOWHERE[None]).frame(mixed, weights)
