import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.faces.align import TEMPLATE
from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import TITLES, blend, masks

SIZES = (32, 128, 256)


def pictures(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def share(name, point, size=128):
    across, down = (np.asarray(point) * size).astype(int)
    return float(masks(size)[REGIONS.index(name), down, across])


@pytest.mark.parametrize("size", [16, 17, 100, *SIZES])
def test_the_masks_share_out_every_pixel(size):
    found = masks(size)
    assert found.shape == (6, size, size)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(0), 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_a_region_has_the_same_shape_at_every_size(size):
    fine = masks(1024)
    for name, one, reference in zip(REGIONS, masks(size), fine, strict=True):
        reduced = cv2.resize(reference, (size, size), interpolation=cv2.INTER_AREA)
        assert np.abs(one - reduced).max() < 0.1, name
        assert one.mean() == pytest.approx(reference.mean(), abs=2e-3), name


@pytest.mark.parametrize("size", [128, 256])
def test_the_masks_are_soft_and_the_same_from_left_and_right(size):
    found = masks(size)
    np.testing.assert_allclose(found, found[:, :, ::-1], rtol=0, atol=1e-6)
    steps = max(np.abs(np.diff(found, axis=axis)).max() for axis in (1, 2))
    assert steps < 40 / size  # from nothing to all takes a fortieth of the side at the very least


def test_eyes_and_mouth_lie_where_alignment_puts_them():
    left_eye, right_eye, left_corner, right_corner = TEMPLATE
    for eye in (left_eye, right_eye):
        assert share("eyes", eye) == 1
        assert share("eyes", eye - [0, 0.1]) > 0.9  # its brow
    for corner in (left_corner, right_corner):
        assert share("mouth", corner) > 0.9
    assert share("mouth", (left_corner + right_corner) / 2) == 1
    assert share("nose", (0.5, 0.52)) == 1
    for place in ((0.2, 0.5), (0.8, 0.5), (0.5, 0.1), (0.5, 0.95)):  # cheeks, forehead, chin
        assert share("skin", place) > 0.95
    for place in ((0.03, 0.03), (0.97, 0.03), (0.03, 0.4)):
        assert share("hair", place) == 1
    for place in ((0.03, 0.97), (0.97, 0.97)):
        assert share("frame", place) == 1


def test_every_region_has_a_title():
    assert tuple(TITLES) == REGIONS


def test_the_shared_masks_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        masks(32)[0, 0, 0] = 1


@given(st.lists(st.sampled_from(REGIONS), unique=True), st.integers(0, 99), st.sampled_from([16, 31, 32, 48]))
def test_where_all_pictures_are_equal_nothing_changes(which, seed, size):
    base = pictures(1, size, seed)[0]
    assert np.array_equal(blend(np.stack([base] * (1 + len(which))), which), base)


@given(st.integers(0, 99), st.permutations(REGIONS), st.sampled_from([16, 31, 32, 48]))
def test_all_regions_of_one_picture_are_that_picture(seed, which, size):
    base, other = pictures(2, size, seed)
    found = blend(np.stack([base, *[other] * 6]), which)
    assert np.abs(found.astype(int) - other).max() <= 1


def test_the_order_of_the_regions_does_not_matter():
    base, one, other = pictures(3, 64)
    found = blend(np.stack([base, one, other]), ["hair", "mouth"])
    again = blend(np.stack([base, other, one]), ["mouth", "hair"])
    assert np.abs(found.astype(int) - again).max() <= 1


@pytest.mark.parametrize("name", ["eyes", "nose", "mouth"])
def test_a_feature_brings_its_shapes_and_takes_its_light_from_the_skin(name):
    size = 128
    stripes = 40 * np.sin(np.arange(size) * np.pi / 4)[:, None, None] * np.ones((1, size, 3))
    base = np.full((size, size, 3), 170, np.uint8)
    other = np.clip(np.rint(80 + stripes), 0, 255).astype(np.uint8)  # striped, and much darker
    found = blend(np.stack([base, other]), [name]).astype(float)
    inside, outside = (masks(size)[REGIONS.index(name)] > 0.99), (masks(size)[REGIONS.index(name)] == 0)
    assert found[inside].std() > 0.8 * other[inside].std()
    assert abs(found[inside].mean() - 170) < 15
    far = cv2.erode(outside.astype(np.uint8), np.ones((33, 33))).astype(bool)
    assert np.abs(found[far] - 170).max() < 4


def test_the_light_of_the_skin_lies_on_the_features_too():
    base, other = np.full((128, 128, 3), 170, np.uint8), np.full((128, 128, 3), 90, np.uint8)
    found = blend(np.stack([base, other]), ["skin"]).astype(float)
    for name in ("eyes", "nose", "mouth", "skin"):
        assert found[masks(128)[REGIONS.index(name)] > 0.99].mean() == pytest.approx(90, abs=15), name
    assert found[0, 0].mean() == pytest.approx(170, abs=8)


def test_no_seam_shows_between_a_light_and_a_dark_picture():
    base, other = np.full((128, 128, 3), 220, np.uint8), np.full((128, 128, 3), 40, np.uint8)
    for name in REGIONS:
        found = blend(np.stack([base, other]), [name]).astype(int)
        assert max(np.abs(np.diff(found, axis=axis)).max() for axis in (0, 1)) < 16, name


@pytest.mark.parametrize(
    ("count", "which"), [(2, []), (1, ["eyes"]), (3, ["eyes", "eyes"]), (2, ["ears"]), (0, [])], ids=str
)
def test_pictures_that_do_not_fit_the_regions_are_refused(count, which):
    with pytest.raises(ValueError, match="do not belong"):
        blend(pictures(count), which)
