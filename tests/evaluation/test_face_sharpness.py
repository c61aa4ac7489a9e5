import cv2
import numpy as np
import pytest

from facemix.evaluation.face_sharpness import BANDS, energies, oval, sharpness


def noise(seed, side=96):
    return np.random.default_rng(seed).integers(60, 190, (side, side, 1)).repeat(3, 2).astype(np.uint8)


PARENTS = np.stack([noise(1), noise(2)])


def test_a_parent_is_as_sharp_as_its_equals():
    found = sharpness(PARENTS[0], np.stack([PARENTS[0]] * 2))
    assert set(found) == {"sharpness", *(f"sharpness_band_{number}" for number in range(1, BANDS + 1))}
    assert list(found.values()) == pytest.approx([1] * (1 + BANDS))


def test_an_average_of_what_differs_has_half_the_energy():
    middle = PARENTS.astype(float).mean(0).round().astype(np.uint8)
    assert sharpness(middle, PARENTS)["sharpness"] == pytest.approx(0.5, abs=0.03)
    assert sharpness(middle, PARENTS)["sharpness_band_1"] == pytest.approx(0.5, abs=0.03)


def test_a_blur_costs_the_finest_band_most():
    found = sharpness(cv2.GaussianBlur(PARENTS[0], (0, 0), 1.2), np.stack([PARENTS[0]] * 2))
    bands = [found[f"sharpness_band_{number}"] for number in range(1, BANDS + 1)]
    assert bands == sorted(bands)
    assert bands[0] < 0.1 < 0.5 < bands[-1]


def test_what_lies_around_the_face_does_not_count():
    around = np.where(oval(96)[..., None] == 0, 255 - PARENTS[0], PARENTS[0])
    # The finest bands reach over the edge by few pixels, where the oval has little weight.
    assert energies(around)["band_1"] == pytest.approx(energies(PARENTS[0])["band_1"], rel=0.01)
    assert (
        energies(np.where(oval(96)[..., None] > 0.5, 128, PARENTS[0]).astype(np.uint8))["band_1"]
        < 0.2 * energies(PARENTS[0])["band_1"]
    )


def test_flat_parents_count_as_rounding_leaves_them():
    flat = np.full((2, 64, 64, 3), 128, np.uint8)
    assert sharpness(flat[0], flat)["sharpness"] == 0
    assert np.isfinite(sharpness(noise(1, 64), flat)["sharpness"])
