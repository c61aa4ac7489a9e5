import numpy as np
import pytest
from prepared import smooth_crops

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.reconstruction import measure_reconstructions, reconstruction_figures, wrinkle_figures

BOOTSTRAP = Bootstrap(resamples=100)


@pytest.fixture(scope="module")
def faces():
    grain = np.random.default_rng(0).integers(-20, 21, (12, 32, 32, 1))
    return np.clip(smooth_crops(12, 32) + grain, 0, 255).astype(np.uint8)


def figures(faces, outputs):
    return reconstruction_figures(measure_reconstructions(faces, outputs), faces, outputs, BOOTSTRAP)


def test_a_perfect_reconstruction_keeps_everything(faces):
    found = figures(faces, faces.copy())
    for name in ("ssim", "ms_ssim", "sharpness", "sharpness_pooled", "asymmetry", "variance"):
        assert found[name].mean == pytest.approx(1), name
        assert (found[name].low, found[name].high) == pytest.approx((1, 1)), name
    assert found["colour_shift"].mean == 0
    assert {figure.n for figure in found.values()} == {12}


def test_the_mean_face_for_everyone_keeps_no_variance(faces):
    everyone = np.broadcast_to(faces.mean(0).round().astype(np.uint8), faces.shape).copy()
    found = figures(faces, everyone)
    assert found["variance"].mean == pytest.approx(0, abs=1e-6)
    assert found["sharpness"].mean < 0.3
    assert found["psnr"].mean < 20


def test_mirrored_averages_lose_the_asymmetry_alone(faces):
    smoothed = ((faces.astype(int) + faces[:, :, ::-1]) // 2).astype(np.uint8)
    assert figures(faces, smoothed)["asymmetry"].mean == 0


def test_half_the_contrast_keeps_a_quarter_of_the_energies(faces):
    halved = (128 + (faces.astype(int) - 128) / 2).round().astype(np.uint8)
    found = figures(faces, halved)
    for name in ("sharpness", "sharpness_pooled", "asymmetry", "variance"):
        assert found[name].mean == pytest.approx(0.25, rel=0.02), name


def test_a_blurred_photograph_weighs_little_in_the_pooled_sharpness(faces):
    blurred = faces.copy()
    blurred[0] = smooth_crops(1, 32)[0]
    outputs = blurred.copy()
    outputs[0] = faces[0]  # sharper than its photograph by far
    found = figures(blurred, outputs)
    assert found["sharpness"].mean > 3
    assert found["sharpness_pooled"].mean < 1.3


def test_wrinkles_are_looked_for_by_age():
    values = {"wrinkles": np.array([0.2, 0.4, 0.9, 0.7, 5.0])}
    found = wrinkle_figures(values, np.array([60.0, 90.0, 29.0, 18.0, np.nan]), BOOTSTRAP)
    assert found["60_and_over"].mean == pytest.approx(0.3)
    assert found["under_30"].mean == pytest.approx(0.8)
    nobody = wrinkle_figures(values, np.full(5, np.nan), BOOTSTRAP)
    assert nobody["60_and_over"].mean is None
