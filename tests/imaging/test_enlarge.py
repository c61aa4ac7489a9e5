import numpy as np
import pytest
from files import scene
from films import difference
from PIL import Image
from skimage import data

from facemix.errors import RequestInvalid
from facemix.imaging.enlarge import SIDES, enlarge, resized

SCENE = scene(96, 96)


@pytest.mark.parametrize("side", [128, 200, 512, 1024])
def test_the_result_has_the_side_asked_for(side):
    result = enlarge(SCENE, side)
    assert (result.shape, result.dtype) == ((side, side, 3), np.uint8)
    assert result.flags.c_contiguous


def test_a_picture_of_that_size_stays_as_it_is():
    picture = scene(128, 128)
    np.testing.assert_array_equal(enlarge(picture, 128), picture)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 150, 120)])
def test_one_colour_stays_that_colour(colour):
    assert (enlarge(np.full((16, 16, 3), colour, np.uint8), 250) == colour).all()


def test_nothing_is_shifted_or_turned():
    np.testing.assert_array_equal(enlarge(SCENE[::-1, ::-1], 300), enlarge(SCENE, 300)[::-1, ::-1])
    assert difference(enlarge(SCENE, 192)[::2, ::2], SCENE) < 4


@pytest.mark.parametrize("simpler", [Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_it_comes_nearer_to_the_photograph_than_simpler_filters(simpler):
    photograph = data.astronaut()[:256, 96:352]
    small = photograph.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    plain = np.asarray(Image.fromarray(small).resize((256, 256), simpler))
    ours, theirs = (np.square(one.astype(float) - photograph).mean() for one in (enlarge(small, 256), plain))
    assert ours < 0.95 * theirs


def test_a_larger_picture_is_reduced_without_patterns():
    """Stripes finer than the result become the grey between them."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(enlarge(stripes, 128)[:, 8:-8].astype(int) - 100).max() <= 2


@pytest.mark.parametrize("side", [0, -1, SIDES[0] - 1, SIDES[1] + 1])
def test_a_side_out_of_range_is_refused(side):
    with pytest.raises(RequestInvalid, match=f"{side} pixels") as refused:
        enlarge(SCENE, side)
    assert "from 128 to 1024" in refused.value.hint


@pytest.mark.parametrize(
    "pixels",
    [np.zeros(shape, np.uint8) for shape in ((4, 4), (4, 5, 3), (4, 4, 4), (0, 0, 3), (4,))] + [np.zeros((4, 4, 3))],
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match=r"\(S, S, 3\) uint8"):
        enlarge(pixels, 128)


def test_resized_goes_beyond_the_bounds_and_averages_what_it_reduces():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(picture, 256), enlarge(picture, 256))
    np.testing.assert_array_equal(resized(picture, 64), picture)
    means = picture.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(resized(picture, 32) - means).max() <= 0.5
    assert resized(picture[:, ::-1], 64).flags.c_contiguous
    assert resized(picture[:, ::-1], 16).shape == (16, 16, 3)
