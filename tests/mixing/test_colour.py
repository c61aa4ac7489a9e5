import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.mixing.colour import transfer
from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import masks

SIZE = 32
FACE = 1 - masks(SIZE)[[REGIONS.index("hair"), REGIONS.index("frame")]].sum(0)


def picture(colour, spread, seed=0):
    """Noise about a colour, with no pixel at the end of its range."""
    noise = np.random.default_rng(seed).normal(0, spread, (SIZE, SIZE, 3))
    return np.clip(np.rint(np.asarray(colour) + noise), 1, 254).astype(np.uint8)


def statistics(pixels):
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    mean = np.average(lab, axis=0, weights=FACE.ravel())
    return mean, np.sqrt(np.average((lab - mean) ** 2, axis=0, weights=FACE.ravel()))


pictures = st.builds(picture, st.tuples(*[st.integers(0, 255)] * 3), st.floats(0, 100), st.integers(0, 99))


@given(pictures)
def test_a_picture_keeps_its_own_colours(pixels):
    assert np.abs(transfer(pixels, pixels).astype(int) - pixels).max() <= 1


def test_the_face_gets_mean_and_deviation_of_the_palette():
    palette = picture((150, 100, 90), 16, seed=1)
    found, wanted = statistics(transfer(picture((120, 120, 130), 12), palette)), statistics(palette)
    np.testing.assert_allclose(found[0], wanted[0], atol=0.3)
    np.testing.assert_allclose(found[1], wanted[1], atol=0.3)


def test_the_background_has_no_say():
    palette, one = picture((150, 100, 90), 8, seed=1), picture((120, 120, 130), 8)
    dark = palette.copy()
    dark[FACE == 0] = 0
    assert (FACE == 0).sum() > 50
    assert np.array_equal(transfer(one, dark), transfer(one, palette))


def test_a_flat_picture_stays_flat():
    flat = np.full((SIZE, SIZE, 3), 90, np.uint8)
    found = transfer(flat, picture((150, 100, 90), 60))
    assert np.ptp(found, axis=(0, 1)).max() == 0
    nearly = flat.copy()
    nearly[8, 8] = 91
    assert np.ptp(transfer(nearly, picture((150, 100, 90), 60)), axis=(0, 1)).max() <= 4


def test_contrast_changes_by_no_more_than_a_factor():
    soft, hard = picture((128, 128, 128), 2), picture((128, 128, 128), 30, seed=1)
    assert statistics(transfer(soft, hard))[1][0] == pytest.approx(1.5 * statistics(soft)[1][0], rel=0.1)
    assert statistics(transfer(hard, soft))[1][0] == pytest.approx(statistics(hard)[1][0] / 1.5, rel=0.1)


@given(pictures, pictures)
def test_whatever_the_palette_there_is_a_picture(one, palette):
    found = transfer(one, palette)
    assert (found.shape, found.dtype) == (one.shape, np.uint8)


def test_pictures_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="cannot take the colours"):
        transfer(np.zeros((32, 32, 3), np.uint8), np.zeros((16, 16, 3), np.uint8))
