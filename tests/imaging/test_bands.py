"""Bands of frequency, and what joins them again."""

import cv2
import numpy as np
import pytest

from facemix.imaging.bands import bands, joined, lowest, reduced, spread, strength, weighted


def noise(side, *channels, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (side, side, *channels)).astype(np.float32)


@pytest.mark.parametrize("side", [128, 100, 97])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_bands_joined_are_the_picture(side, channels):
    picture = noise(side, *channels)
    pyramid = bands(picture, 3)
    assert [len(one) for one in pyramid[:2]] == [side, (side + 1) // 2]
    assert len(pyramid) == 4
    np.testing.assert_allclose(joined(pyramid), picture, atol=1e-3)
    np.testing.assert_array_equal(lowest(picture, 3), pyramid[-1])


def test_no_bands_are_the_picture_itself():
    picture = noise(32)
    (only,) = bands(picture, 0)
    np.testing.assert_array_equal(only, picture)
    np.testing.assert_array_equal(joined([only]), picture)


def test_each_band_has_its_own_frequencies():
    x = np.arange(128, dtype=np.float32)
    fine, coarse = (np.tile(np.sin(2 * np.pi * x / length), (128, 1)).astype(np.float32) for length in (3, 40))
    (first, *_, rest), (first_of_coarse, *_, rest_of_coarse) = bands(fine, 2), bands(coarse, 2)
    assert first.std() > 0.9 * fine.std() > 10 * rest.std()
    assert rest_of_coarse.std() > 0.8 * coarse.std() > 10 * first_of_coarse.std()


def test_bands_leave_the_picture_as_it_was():
    picture = noise(64, 3)
    before = picture.copy()
    joined(bands(picture, 2))
    np.testing.assert_array_equal(picture, before)


def test_reduced_averages_areas_and_keeps_what_fits():
    picture = noise(64, 3)
    np.testing.assert_allclose(reduced(picture, 32), picture.reshape(32, 2, 32, 2, 3).mean((1, 3)), atol=1e-3)
    assert reduced(picture, 64) is picture
    assert reduced(picture.astype(np.uint8), 64).dtype == np.float32


def test_spread_values_stay_between_those_given():
    values = np.random.default_rng(1).uniform(0.2, 0.7, (16, 16))
    for side in (16, 40, 8):
        found = spread(values, side)
        assert found.shape == (side, side, 1)
        assert found.dtype == np.float32
        assert values.min() - 1e-6 <= found.min() <= found.max() <= values.max() + 1e-6


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_weighted_multiplies_every_channel_alike(kind):
    picture = noise(48, 3).astype(kind)
    values = np.random.default_rng(2).uniform(-1, 2, (16, 16)).astype(np.float32)
    found = weighted(picture, values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, picture.astype(np.float32) * spread(values, 48), rtol=1e-5, atol=1e-4)


def test_weights_of_one_leave_a_picture_as_it_is():
    picture = noise(48, 3)
    np.testing.assert_array_equal(weighted(picture, np.ones((16, 16), np.float32)), picture)


def test_strength_is_where_the_band_is():
    band = np.zeros((128, 128, 3), np.float32)
    band[:, 64:] = np.random.default_rng(3).normal(0, 5, (128, 64, 3))
    found = strength(band, 64)
    assert found.shape == (64, 64)
    assert found[:, 44:].mean() == pytest.approx(5, rel=0.05)
    assert found[:, :20].max() < 0.1
    np.testing.assert_allclose(strength(-2 * band, 64), 2 * found, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(strength(cv2.flip(band, 0), 64), found[::-1], atol=1e-4)
