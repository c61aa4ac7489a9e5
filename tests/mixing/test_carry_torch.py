import cv2
import numpy as np
import pytest
import skimage.data

from facemix.imaging.enlarge import resized
from facemix.mixing.carry import Carry
from facemix.mixing.carry_torch import TorchCarry

CROP, GRID = 64, 12


def pictures(side: int) -> list[np.ndarray]:
    """Three that are unlike: a portrait, itself mirrored and darker, and one without detail."""
    portrait = np.ascontiguousarray(skimage.data.astronaut()[20:220, 120:320])
    darker = (portrait[:, ::-1] * 0.8).astype(np.uint8)
    return [resized(one, side) for one in (portrait, darker, cv2.GaussianBlur(portrait, (0, 0), 8))]


def parents(side: int, **changed):
    cuts = pictures(side)
    drawn = np.stack([cv2.GaussianBlur(resized(cut, CROP), (0, 0), 1.5) for cut in cuts])
    rng = np.random.default_rng(0)
    shapes = 0.03 * cv2.GaussianBlur(rng.standard_normal((GRID, GRID, 6)).astype(np.float32), (0, 0), 2)
    return {
        "cuts": cuts,
        "reconstructions": drawn,
        "shapes": shapes.transpose(2, 0, 1).reshape(3, 2, GRID, GRID),
    } | changed


def both(side: int, **changed):
    given = parents(side, **changed)
    return Carry(**given, side=side), TorchCarry(**given, side=side, device="cpu")


def mixed(weights):
    drawn = parents(CROP)["reconstructions"]
    return np.rint(np.tensordot(np.asarray(weights, np.float32), drawn, 1)).astype(np.uint8)


def differences(side, weights, *, frame=None, **changed):
    """By how many levels the two ways differ at each place."""
    one, other = (carry.frame(mixed(weights), weights, **(frame or {})).astype(int) for carry in both(side, **changed))
    assert one.shape == other.shape == (side, side, 3)
    return np.abs(one - other)


# Sides that the crop's divides, one that it does not, and its own.
@pytest.mark.parametrize("side", [CROP, 2 * CROP, 150, 4 * CROP])
@pytest.mark.parametrize("weights", [(0.5, 0.5, 0), (0.2, 0.3, 0.5)])
def test_both_ways_agree(side, weights):
    found = differences(side, weights)
    assert found.max() <= 2
    assert found.mean() < 0.01


@pytest.mark.parametrize(
    "frame",
    [
        {"detail": 0.5},
        {"regions": {"eyes": (1, 0, 0), "mouth": (0, 0.5, 0.5)}},
        {"keep": {"hair": 1, "glasses": 2, "background": 0}},
        {"change": np.full((CROP, CROP), 6, np.float32)},
        {"moved": np.full((2, GRID, GRID), 0.02, np.float32)},
    ],
    ids=lambda frame: next(iter(frame)),
)
def test_they_agree_on_all_that_can_be_asked_for(frame):
    found = differences(2 * CROP, (0.6, 0.4, 0), frame=frame)
    assert found.max() <= 2
    assert found.mean() < 0.01


def test_they_agree_about_glasses_and_parents_without_a_photograph():
    cuts = pictures(2 * CROP)
    found = differences(2 * CROP, (0.4, 0.3, 0.3), cuts=[cuts[0], None, cuts[2]], glasses=[True, False, False])
    assert found.max() <= 2
    assert found.mean() < 0.01


@pytest.mark.parametrize("side", [CROP, 150, 4 * CROP])
def test_a_parent_alone_gives_its_photograph_back(side):
    _, carry = both(side)
    for index, cut in enumerate(pictures(side)[:2]):
        weights = np.eye(3)[index]
        assert np.abs(carry.frame(mixed(weights), weights).astype(int) - cut).max() <= 1


def test_without_detail_it_is_the_picture_enlarged():
    _, carry = both(2 * CROP)
    picture = mixed((0.5, 0.5, 0))
    assert np.array_equal(carry.frame(picture, (0.5, 0.5, 0), detail=0), resized(picture, 2 * CROP))


def test_what_is_decided_does_not_depend_on_the_device():
    carry, other = both(2 * CROP)
    weights = (0.5, 0.3, 0.2)
    assert np.array_equal(carry.confidence(mixed(weights), weights), other.confidence(mixed(weights), weights))
    assert (carry.side, carry.crop) == (other.side, other.crop)


def test_what_waits_on_the_device_counts():
    carry, other = both(2 * CROP)
    assert other.bytes == carry.bytes > 3 * 3 * (2 * CROP) ** 2


def test_frames_of_one_carry_do_not_change_the_next():
    _, carry = both(2 * CROP)
    first = carry.frame(mixed((0.5, 0.5, 0)), (0.5, 0.5, 0))
    carry.frame(mixed((0, 0, 1)), (0, 0, 1))
    assert np.array_equal(carry.frame(mixed((0.5, 0.5, 0)), (0.5, 0.5, 0)), first)
