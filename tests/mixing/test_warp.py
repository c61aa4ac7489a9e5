"""Ways from a mix to its parents."""

import cv2
import numpy as np
import pytest
import torch

from facemix.mixing.warp import FIELD, dense, take, ways
from facemix.vae.geometry import GRID


def shapes(count, strength=0.02, *, seed=0):
    """Smooth ones, as faces differ: (count, 2, GRID, GRID)."""
    coarse = np.random.default_rng(seed).normal(0, strength, (count, 2, 4, 4)).astype(np.float32)
    return np.stack([[cv2.resize(one, (GRID, GRID), interpolation=cv2.INTER_CUBIC) for one in both] for both in coarse])


def shifted(*places):
    """Shapes that lie as a whole so far to the right and down."""
    found = np.zeros((len(places), 2, GRID, GRID), np.float32)
    found[:] = np.array(places, np.float32)[:, :, None, None]
    return found


def even(*weights):
    return np.broadcast_to(np.array(weights, np.float32)[:, None, None], (len(weights), FIELD, FIELD))


def dot(across, down, side=256, width=4):
    """A white spot on black, (side, side, 3) uint8; its middle in fractions of the side."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    spot = 255 * np.exp(-np.square(side / width) * ((x - across) ** 2 + (y - down) ** 2) / 2)
    return np.repeat(np.rint(spot)[..., None], 3, 2).astype(np.uint8)


def middle(picture):
    """Where the light of a picture lies, in fractions of the side."""
    light = picture[..., 0].astype(float)
    y, x = (np.mgrid[: len(light), : len(light)] + 0.5) / len(light)
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def test_shapes_become_dense_as_in_training():
    given = shapes(3)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(given), size=(FIELD, FIELD), mode="bicubic", align_corners=True
    )
    np.testing.assert_allclose(dense(given), wanted.permute(0, 2, 3, 1).numpy(), atol=1e-6)


def test_a_shift_as_a_whole_is_one_everywhere():
    found = dense(shifted((0.03, -0.01)))
    assert found.shape == (1, FIELD, FIELD, 2)
    np.testing.assert_allclose(found, np.broadcast_to([0.03, -0.01], found.shape), atol=1e-7)


@pytest.mark.parametrize("alone", [0, 1, 2])
def test_a_parent_that_is_alone_is_not_moved_at_all(alone):
    weights = np.zeros(3)
    weights[alone] = 1
    found = ways(dense(shapes(3, 0.05)), even(*weights))
    assert not found[alone].any()
    assert all(found[other].any() for other in range(3) if other != alone)


def test_parents_that_are_shifted_meet_between():
    found = ways(dense(shifted((0.02, 0.0), (-0.02, 0.04))), even(0.25, 0.75))
    for way, wanted in zip(found, [(0.03, -0.03), (-0.01, 0.01)], strict=True):
        np.testing.assert_allclose(way, np.broadcast_to(wanted, way.shape), atol=1e-6)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.2, 0.3, 0.5), (0.0, 0.9, 0.1)])
def test_the_mix_lies_at_the_weighted_mean_of_its_parents(weights):
    found = ways(dense(shapes(len(weights))), even(*weights))
    assert found.shape == (len(weights), FIELD, FIELD, 2)
    np.testing.assert_allclose(np.tensordot(weights, found, 1), 0, atol=1e-6)


def test_ways_grow_with_the_weight_of_the_other():
    given = dense(shapes(2))
    lengths = [np.linalg.norm(ways(given, even(1 - t, t))[0], axis=-1).mean() for t in np.linspace(0, 1, 11)]
    steps = np.diff(lengths)
    assert lengths[0] == 0
    assert (steps > 0).all()
    assert steps.max() < 1.2 * steps.min()


def test_the_same_place_of_each_parent_comes_to_one_place_of_the_mix():
    given, weights = shapes(2, 0.03, seed=4), (0.4, 0.6)
    displacements = dense(given)
    # A point of the mean face lies in each parent, and in the mix, where its shape says.
    row, column = 30, 22
    point = (np.array([column, row]) + 0.5) / FIELD
    here = displacements[:, row, column]
    mean = np.tensordot(weights, here, 1)
    found = ways(displacements, even(*weights))
    for picture, way in zip([dot(*(point + one)) for one in here], found, strict=True):
        np.testing.assert_allclose(middle(take(picture, way)), point + mean, atol=1.5 / 256)


def test_weights_may_differ_from_place_to_place():
    share = np.linspace(0, 1, FIELD, dtype=np.float32)[None] * np.ones((FIELD, 1), np.float32)
    found = ways(dense(shifted((0.02, 0.0), (-0.02, 0.0))), np.stack([1 - share, share]))
    assert np.abs(found[0, :, 0]).max() < 1e-3
    assert np.abs(found[1, :, -1]).max() < 1e-3
    np.testing.assert_allclose(found[0, :, FIELD // 2], np.broadcast_to([0.02, 0], (FIELD, 2)), atol=2e-3)


def test_a_mix_whose_own_shape_was_moved_lies_farther():
    given, moved = dense(shifted((0.02, 0.0), (-0.02, 0.0))), dense(shifted((0.0, 0.05)))[0]
    found = ways(given, even(0.5, 0.5), moved)
    for way, wanted in zip(found, [(0.02, -0.05), (-0.02, -0.05)], strict=True):
        np.testing.assert_allclose(way, np.broadcast_to(wanted, way.shape), atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(64, 64, 3), (200, 200, 3), (97, 97)])
def test_no_way_takes_the_picture_itself(kind, shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    found = take(picture, np.zeros((FIELD, FIELD, 2), np.float32))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, picture)


def test_what_is_taken_lies_the_way_from_there():
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    way = np.broadcast_to(np.array([3 / 128, -5 / 128], np.float32), (FIELD, FIELD, 2))
    found = take(picture, way)
    np.testing.assert_array_equal(found[5:, :-3], picture[:-5, 3:])
    np.testing.assert_array_equal(found[4], found[6])  # outside, the edge is mirrored


def test_ways_and_what_is_taken_leave_their_arguments_alone():
    given, weights, picture = dense(shapes(2)), even(0.5, 0.5), dot(0.5, 0.5, 64)
    before = given.copy(), picture.copy()
    found = ways(given, weights)
    way = found[0].copy()
    take(picture, found[0])
    np.testing.assert_array_equal(given, before[0])
    np.testing.assert_array_equal(picture, before[1])
    np.testing.assert_array_equal(found[0], way)
