import cv2
import numpy as np
import pytest
from portraits import head

from facemix.safety.photo_features import SIDE, features


def crop(side=SIDE):
    return cv2.resize(head()[60:190, 70:200], (side, side), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.full((SIDE, SIDE, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        np.tile(np.uint8([[[0], [255]], [[255], [0]]]), (SIDE // 2, SIDE // 2, 3)),
        crop(),
    ],
    ids=["black", "white", "noise", "checks", "face"],
)
def test_every_picture_has_finite_figures(picture):
    found = features(picture)
    assert found.dtype == np.float32
    assert found.shape == features(crop()).shape
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1000


@pytest.mark.parametrize("side", [32, 64, 256])
def test_crops_of_any_size_are_measured_at_one(side):
    assert features(crop(side)).shape == features(crop()).shape
    if side > SIDE:
        assert np.abs(features(crop(side)) - features(crop())).mean() < 0.1


def test_a_crop_that_is_a_view_of_something_larger_is_measured_alike():
    wide = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    wide[:, SIDE:] = crop()
    assert np.array_equal(features(wide[:, SIDE:]), features(crop()))


def test_what_is_flat_and_what_is_grey_shows():
    face = crop()
    grey = np.repeat(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    few = (face // 64) * 64 + 32
    plain, without, flat = features(face), features(grey), features(few)
    assert not np.allclose(plain, without, atol=0.1)
    assert np.abs(plain - flat).max() > 0.5
