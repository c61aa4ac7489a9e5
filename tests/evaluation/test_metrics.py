import math

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import resize

from facemix.evaluation import metrics


@pytest.fixture(scope="module")
def face():
    crop = skimage.data.astronaut()[0:256, 96:352]
    return (resize(crop, (128, 128), anti_aliasing=True) * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def noisy(face):
    noise = np.random.default_rng(0).normal(0, 12, face.shape)
    return np.clip(face + noise, 0, 255).round().astype(np.uint8)


def flat(level, size=32):
    return np.full((size, size, 3), level, np.uint8)


def waves(size, period, amplitude=0.2):
    return 0.5 + amplitude * np.sin(2 * np.pi * np.arange(size) / period)[None, :] * np.ones((size, 1))


def test_mse_and_psnr_by_hand():
    assert metrics.mse(flat(0), flat(255)) == 1
    assert metrics.mse(flat(10), flat(61)) == pytest.approx(0.04)
    assert metrics.psnr(flat(10), flat(61)) == pytest.approx(13.9794, abs=1e-4)
    assert metrics.rms_distance(flat(10), flat(61)) == pytest.approx(0.2)


def test_equal_pictures_have_a_finite_psnr(face):
    assert metrics.psnr(face, face) == pytest.approx(10 * math.log10(12 * 255**2))


def test_psnr_agrees_with_skimage(face, noisy):
    assert metrics.psnr(face, noisy) == pytest.approx(peak_signal_noise_ratio(face, noisy), abs=1e-9)


def test_ssim_agrees_with_skimage(face, noisy):
    for other in (noisy, face[:, ::-1], np.roll(face, 1, axis=0)):
        a, b = metrics.brightness(face), metrics.brightness(other)
        theirs = structural_similarity(
            a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert metrics.ssim(a, b) == pytest.approx(theirs, abs=1e-9)


def test_similarity_with_itself_is_one(face):
    light = metrics.brightness(face)
    assert metrics.ssim(light, light) == pytest.approx(1)
    assert metrics.ms_ssim(light, light) == pytest.approx(1)


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 1), (22, 2), (32, 2), (64, 3), (128, 4), (176, 5), (512, 5)]
)
def test_as_many_scales_as_fit(side, scales):
    assert metrics.ms_ssim_scales(side) == scales


def test_ms_ssim_of_one_scale_is_ssim(face, noisy):
    a, b = (metrics.brightness(one)[40:60, 40:60] for one in (face, noisy))
    assert metrics.ms_ssim(a, b) == pytest.approx(metrics.ssim(a, b))


def test_ms_ssim_of_flat_pictures_by_hand():
    # Contrast terms are 1; only the last scale's luminance term counts, with its renormalised weight.
    a, b = np.full((128, 128), 0.4), np.full((128, 128), 0.6)
    luminance = (2 * 0.24 + 1e-4) / (0.16 + 0.36 + 1e-4)
    weight = 0.2363 / (0.0448 + 0.2856 + 0.3001 + 0.2363)
    assert metrics.ms_ssim(a, b) == pytest.approx(luminance**weight)


def test_ms_ssim_of_an_inverted_picture_is_zero_not_complex(face):
    light = metrics.brightness(face)
    assert metrics.ms_ssim(light, 1 - light) == pytest.approx(0, abs=1e-6)


def test_pictures_below_the_window_are_refused():
    small = np.zeros((10, 10))
    for metric in (metrics.ssim, metrics.ms_ssim):
        with pytest.raises(ValueError, match="smaller than the window of 11"):
            metric(small, small)


def test_laplacian_energy_by_hand():
    # Columns 0 1 0 1 ...: every Laplacian is +2 or -2.
    stripes = np.tile([0.0, 1.0], 16)[None, :] * np.ones((32, 1))
    assert metrics.laplacian_energy(stripes) == pytest.approx(4)
    assert metrics.laplacian_energy(np.linspace(0, 1, 32)[None, :] * np.ones((32, 1))) == pytest.approx(0)


def test_asymmetry_by_hand():
    half = np.zeros((32, 32))
    half[:, :16] = 1
    assert metrics.asymmetry_energy(half) == 1
    half[:, 16:] = 1
    assert metrics.asymmetry_energy(half) == 0


def test_the_wrinkle_band_hears_fine_lines_and_neither_shade_nor_noise():
    lines, shade, grain = (metrics.wrinkle_energy(waves(128, period)) for period in (7, 64, 2))
    assert lines > 20 * shade
    assert lines > 5 * grain


def test_the_wrinkle_band_grows_with_the_crop():
    assert metrics.wrinkle_energy(waves(256, 14)) == pytest.approx(metrics.wrinkle_energy(waves(128, 7)), rel=0.1)


def test_the_wrinkle_band_looks_at_skin_only():
    picture = np.full((128, 128), 0.5)
    picture[36:46, 30:100] = np.random.default_rng(0).uniform(0, 1, (10, 70))  # the eyes
    assert metrics.wrinkle_energy(picture) < 1e-6
    picture[64:70, 22:40] = np.random.default_rng(0).uniform(0, 1, (6, 18))  # a cheek
    assert metrics.wrinkle_energy(picture) > 1e-4


def test_colour_shift_agrees_with_skimage(face):
    warm = np.clip(face + np.array([12, 0, -9]), 0, 255).astype(np.uint8)
    theirs = np.linalg.norm(rgb2lab(face).mean((0, 1)) - rgb2lab(warm).mean((0, 1)))
    assert metrics.colour_shift(face, warm) == pytest.approx(theirs, abs=0.05)
    assert metrics.colour_shift(face, face) == 0


def test_a_ratio_to_nothing_is_finite():
    assert metrics.ratio(0.5, 0.25) == 2
    assert metrics.ratio(0.0, 0.0) == 0
    assert math.isfinite(metrics.ratio(1.0, 0.0))


@given(st.integers(2, 6), st.integers(0, 100))
def test_total_variance_is_the_pixels_variances_summed(count, seed):
    generator = np.random.default_rng(seed)
    pictures = generator.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    drawn = generator.integers(0, count, 5)
    expected = [(one.reshape(len(one), -1) / 255).var(0).sum() for one in (pictures, pictures[drawn])]
    counts = np.bincount(drawn, minlength=count)[None]
    assert metrics.total_variance(pictures) == pytest.approx([expected[0]], rel=1e-4)
    assert metrics.total_variance(pictures, counts) == pytest.approx([expected[1]], rel=1e-4, abs=1e-5)
