import cv2
import numpy as np
import pytest
from prepared import smooth_crops

from facemix.evaluation.wasserstein import SlicedWasserstein, laplacian_pyramid


@pytest.fixture(scope="module")
def textured():
    """Two sets of one kind: smooth shapes with soft grain."""

    def make(seed):
        grain = np.random.default_rng(seed).normal(0, 25, (24, 64, 64, 3))
        soft = np.stack([cv2.GaussianBlur(one, (0, 0), 1.2) for one in grain])
        return np.clip(smooth_crops(24, 64, seed=seed) + soft, 0, 255).astype(np.uint8)

    return make(1), make(2)


def test_a_set_is_nothing_apart_from_itself(textured):
    found = SlicedWasserstein(textured[0], seed=0).distance(textured[0])
    assert found == {"mean": 0, "64": 0, "32": 0, "16": 0}


def test_another_kind_of_texture_is_farther_than_another_set(textured):
    sliced = SlicedWasserstein(textured[0], seed=0)
    floor = sliced.distance(textured[1])
    noisy = np.clip(smooth_crops(24, 64, seed=2) + np.random.default_rng(3).normal(0, 25, (24, 64, 64, 3)), 0, 255)
    found = sliced.distance(noisy.astype(np.uint8))
    assert 0 < floor["64"] < found["64"] / 2
    assert floor["mean"] == pytest.approx(np.mean([floor[side] for side in ("64", "32", "16")]))


def test_it_is_scale_free_as_published(textured):
    sliced = SlicedWasserstein(textured[0], seed=0)
    pale = (128 + (textured[1].astype(float) - 128) / 2).round().astype(np.uint8)
    assert sliced.distance(pale)["32"] == pytest.approx(sliced.distance(textured[1])["32"], rel=0.15)


def test_the_seed_decides(textured):
    first = SlicedWasserstein(textured[0], seed=0).distance(textured[1])
    assert first == SlicedWasserstein(textured[0], seed=0).distance(textured[1])
    assert first != SlicedWasserstein(textured[0], seed=1).distance(textured[1])


def test_flat_pictures_have_a_finite_distance(textured):
    found = SlicedWasserstein(textured[0], seed=0).distance(np.full_like(textured[0], 90))
    assert np.isfinite(list(found.values())).all()
    assert found["mean"] > 100


def test_only_sets_of_one_size_compare(textured):
    with pytest.raises(ValueError, match="do not compare"):
        SlicedWasserstein(textured[0], seed=0).distance(textured[1][:3])


def test_the_levels_add_up_to_the_picture(textured):
    levels = laplacian_pyramid(textured[0][0])
    assert [level.shape[0] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    for level in reversed(levels[:-1]):
        whole = cv2.pyrUp(whole) + level
    assert np.allclose(whole, textured[0][0], atol=1e-3)


def test_a_small_picture_is_its_own_pyramid():
    assert [level.shape for level in laplacian_pyramid(np.zeros((16, 16, 3), np.uint8))] == [(16, 16, 3)]
