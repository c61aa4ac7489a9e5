import math

import numpy as np
import pytest
import torch
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import TINY

from facemix.serving.backends.base import (
    LATENT_LIMIT,
    TOLERANCES,
    Difference,
    Reference,
    check_crops,
    check_latents,
)
from facemix.serving.backends.torch_backend import TorchBackend
from facemix.vae.checkpoint import load_checkpoint

SIZE, LATENT = TINY.crop_size, TINY.latent_size


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_checkpoint(checkpoint)


class Wrong(TorchBackend):
    """Right but for what a test adds."""

    levels, shift = 0, 0.0

    def encode(self, crops):
        assert len(crops) <= self.max_batch
        return super().encode(crops) + np.float32(self.shift)

    def decode(self, z):
        assert len(z) <= self.max_batch
        pictures = super().decode(z).astype(int)
        return np.where(pictures < 128, pictures + self.levels, pictures - self.levels).astype(np.uint8)


def test_the_reference_is_one_and_the_same_each_time(loaded):
    first, second = Reference.of(loaded), Reference.of(loaded)
    assert first.pictures.shape == (8, SIZE, SIZE, 3)
    assert first.drawn.shape == first.latents.shape == (8, LATENT)
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert not np.array_equal(first.drawn, Reference.of(loaded, seed=1).drawn)


def test_differences_are_measured_in_batches_that_the_backend_takes(loaded):
    reference = Reference.of(loaded, samples=7)
    exact = reference.compare(Wrong(loaded, max_batch=3))
    assert exact.within(TOLERANCES["fp32"])
    off = Wrong(loaded, max_batch=3)
    off.levels, off.shift = 5, 0.1
    found = reference.compare(off)
    assert found.mean_levels == pytest.approx(5, abs=0.01)
    assert found.max_levels in (5, 6)
    expected = 0.1 * math.sqrt(7 * LATENT) / np.linalg.norm(reference.latents)
    assert found.latents == pytest.approx(expected, rel=1e-3)
    assert not found.within(TOLERANCES["bf16"])


@pytest.mark.parametrize(
    "difference",
    [
        Difference(0.6, 2, 0.001),
        Difference(0.1, 7, 0.001),
        Difference(0.1, 2, 0.03),
        Difference(math.nan, 2, 0.001),
        Difference(0.1, 2, math.nan),
    ],
)
def test_each_figure_can_be_out_of_tolerance(difference):
    assert Difference(0.5, 6, 0.02).within(TOLERANCES["bf16"])
    assert not difference.within(TOLERANCES["bf16"])


def test_a_network_that_computes_nonsense_gives_no_reference(loaded):
    broken = load_checkpoint(loaded.folder)
    next(broken.vae.decoder.parameters()).data.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN"):
        Reference.of(broken)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE, 3), np.float32),
        np.zeros((1, SIZE, SIZE + 1, 3), np.uint8),
        np.zeros((0, SIZE, SIZE, 3), np.uint8),
    ],
)
def test_crops_of_another_kind_are_refused(crops):
    check_crops(np.zeros((2, SIZE, SIZE, 3), np.uint8), SIZE)
    with pytest.raises(ValueError, match="crops must be"):
        check_crops(crops, SIZE)


@pytest.mark.parametrize(
    "z",
    [np.zeros(LATENT, np.float32), np.zeros((1, LATENT)), np.zeros((1, 3), np.float32), np.zeros((0, 8), np.float32)],
)
def test_latents_of_another_kind_are_refused(z):
    check_latents(np.full((2, LATENT), LATENT_LIMIT, np.float32), LATENT)
    with pytest.raises(ValueError, match="latents must be"):
        check_latents(z, LATENT)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2 * LATENT_LIMIT])
def test_latents_without_end_are_refused(value):
    z = np.zeros((2, LATENT), np.float32)
    z[1, 3] = value
    with pytest.raises(ValueError, match="largest value"):
        check_latents(z, LATENT)


def test_a_latent_at_the_limit_still_gives_levels(loaded):
    z = np.full((1, LATENT), LATENT_LIMIT, np.float32)
    with torch.inference_mode():
        assert bool(torch.isfinite(loaded.vae.decode(torch.from_numpy(z))).all())
