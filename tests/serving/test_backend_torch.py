import numpy as np
import pytest
import torch
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import TINY, tiny_checkpoint

from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.resources import resource_dir
from facemix.serving.backends.base import TOLERANCES, Reference
from facemix.serving.backends.torch_backend import TorchBackend
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint
from facemix.vae.config import VAEConfig

SIZE, LATENT = TINY.crop_size, TINY.latent_size


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def backend(loaded):
    return TorchBackend(loaded, max_batch=4)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def z():
    return 3 * np.random.default_rng(1).standard_normal((5, LATENT), np.float32)


def test_it_says_what_it_is(backend):
    assert (backend.name, backend.device, backend.max_batch) == ("torch fp32", "cpu", 4)


def test_latents_are_the_posterior_means_of_the_crops(backend, loaded, crops):
    found = backend.encode(crops)
    assert (found.shape, found.dtype) == ((5, LATENT), np.float32)
    np.testing.assert_allclose(found, loaded.vae.encode(to_tensor(crops)).mode().numpy(), rtol=0, atol=1e-5)


def test_pictures_have_the_levels_of_the_one_convention(backend, loaded, z):
    found = backend.decode(z)
    assert (found.shape, found.dtype) == ((5, SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(found, to_pixels(loaded.vae.decode(torch.from_numpy(z))))


def test_values_beyond_the_range_are_clamped(loaded):
    wild = load_checkpoint(loaded.folder)
    wild.vae.decoder.head.weight.data.mul_(100)
    backend = TorchBackend(wild)
    z = np.random.default_rng(2).standard_normal((2, LATENT), np.float32)
    expected = to_pixels(wild.vae.decode(torch.from_numpy(z)))
    assert {0, 255} <= set(np.unique(expected))
    assert np.abs(backend.decode(z).astype(int) - expected).max() <= 1


def test_bf16_is_near_and_not_equal(loaded, backend, crops, z):
    short = TorchBackend(loaded, precision="bf16")
    assert short.name == "torch bf16"
    np.testing.assert_allclose(short.encode(crops), backend.encode(crops), rtol=0, atol=0.05)
    difference = np.abs(short.decode(z).astype(int) - backend.decode(z))
    assert 0 < difference.mean() < 3
    assert short.encode(crops).dtype == np.float32


def test_company_changes_a_face_by_rounding_at_most(backend, crops, z):
    alone = np.concatenate([backend.encode(crop[None]) for crop in crops])
    np.testing.assert_allclose(backend.encode(crops), alone, rtol=1e-4, atol=1e-5)
    apart = np.concatenate([backend.decode(row[None]) for row in z])
    assert np.abs(backend.decode(z).astype(int) - apart).max() <= 1


def test_views_and_arrays_that_may_not_be_written_are_taken(backend, crops, z):
    still = crops.copy()
    still.flags.writeable = False
    np.testing.assert_array_equal(backend.encode(still), backend.encode(crops))
    np.testing.assert_array_equal(backend.encode(crops[::-1]), backend.encode(crops[::-1].copy()))
    np.testing.assert_array_equal(backend.decode(z[::2]), backend.decode(z[::2].copy()))


def test_what_does_not_fit_is_refused(backend):
    with pytest.raises(ValueError, match="crops must be"):
        backend.encode(np.zeros((1, SIZE, SIZE, 3), np.float32))
    with pytest.raises(ValueError, match="largest value"):
        backend.decode(np.full((1, LATENT), np.nan, np.float32))


def test_warming_up_computes_every_batch_size(loaded, monkeypatch):
    backend, seen = TorchBackend(loaded, max_batch=3), []
    monkeypatch.setattr(backend, "_encode", lambda batch, real=backend._encode: seen.append(len(batch)) or real(batch))
    backend.warm_up()
    assert seen == [1, 2, 3]


def test_the_checkpoints_own_network_is_left_in_float32(loaded):
    backend = TorchBackend(loaded, precision="bf16")
    backend.close()
    assert {tensor.dtype for tensor in loaded.vae.state_dict().values()} == {torch.float32}


def test_a_network_with_a_linear_path_agrees(tmp_path):
    config = VAEConfig(**{**TINY.model_dump(), "latent_size": 48, "linear_side": 8})
    loaded = load_checkpoint(tiny_checkpoint(tmp_path, config=config))
    assert Reference.of(loaded).compare(TorchBackend(loaded)).within(TOLERANCES["fp32"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_shipped_checkpoint_is_drawn_as_the_reference_draws_it(precision):
    loaded = load_checkpoint(newest_checkpoint(resource_dir("checkpoints")))
    found = Reference.of(loaded, samples=12, seed=7).compare(TorchBackend(loaded, precision=precision))
    assert found.within(TOLERANCES[precision]), found
