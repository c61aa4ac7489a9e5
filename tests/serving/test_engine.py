import json

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_checkpoint, tiny_vae

from facemix.errors import CheckpointCorrupt, CheckpointMissing, InstallationError, RecipeInvalid
from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.mixing.prior import sample_noise
from facemix.serving.backends.base import LATENT_LIMIT
from facemix.serving.batcher import FAILED_IN_A_ROW
from facemix.serving.engine import Engine, engine_from_settings
from facemix.serving.tuning import cores
from facemix.settings import Settings
from facemix.vae.checkpoint import read_card
from facemix.vae.config import VAEConfig
from facemix.vae.prior import LatentPrior


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (5, TINY.crop_size, TINY.crop_size, 3), np.uint8)


def test_it_says_which_weights_it_serves(engine, checkpoint):
    card = read_card(checkpoint)
    assert (engine.identity.name, engine.identity.weights) == ("tiny", card.weights_sha256)
    assert (engine.crop_size, engine.latent_size, engine.device) == (TINY.crop_size, TINY.latent_size, "cpu")
    assert json.loads(json.dumps(engine.card))["licence"] == "CC0-1.0"


def test_encoding_is_the_posterior_mean_of_the_crop(engine, crops):
    z = engine.encode(crops)
    assert z.shape == (5, TINY.latent_size)
    assert z.dtype == torch.float32
    # The checkpoint holds half floats, so the network itself is close, not equal.
    torch.testing.assert_close(z, tiny_vae().encode(to_tensor(crops)).mean, rtol=0, atol=0.01)
    assert float(z.std(0).min()) > 1e-3


def test_decoding_is_the_networks_picture_in_levels(engine):
    z = torch.randn(3, TINY.latent_size, generator=torch.Generator().manual_seed(0))
    pictures = engine.decode(z)
    assert pictures.shape == (3, TINY.crop_size, TINY.crop_size, 3)
    assert pictures.dtype == np.uint8
    expected = to_pixels(tiny_vae().decode(z))
    assert np.abs(pictures.astype(int) - expected).max() <= 2
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 10


def test_the_same_input_gives_the_same_bits(engine, crops):
    z = engine.encode(crops)
    assert torch.equal(engine.encode(crops), z)
    np.testing.assert_array_equal(engine.decode(z), engine.decode(z))


def test_a_second_engine_of_the_checkpoint_gives_the_same_bits(engine, checkpoint, crops):
    torch.manual_seed(99)
    second = Engine(checkpoint, device="cpu")
    assert second.identity == engine.identity
    assert torch.equal(second.encode(crops), engine.encode(crops))


def test_company_changes_a_face_by_rounding_at_most(engine, crops):
    z = engine.encode(crops)
    alone = torch.cat([engine.encode(crop[None]) for crop in crops])
    torch.testing.assert_close(z, alone, rtol=1e-4, atol=1e-5)
    apart = np.concatenate([engine.decode(row[None]) for row in z])
    assert np.abs(engine.decode(z).astype(int) - apart).max() <= 1


def test_draws_come_from_the_checkpoints_own_prior(engine, tmp_path):
    assert torch.equal(engine.draw(3, seed=2), sample_noise(3, TINY.latent_size, seed=2))
    prior = LatentPrior(torch.arange(8.0), torch.diag(torch.arange(1.0, 9.0)))
    fitted = Engine(tiny_checkpoint(tmp_path, prior=prior), device="cpu")
    expected = prior.mean + torch.arange(1.0, 9.0) * engine.draw(3, seed=2)
    torch.testing.assert_close(fitted.draw(3, seed=2), expected)


def test_a_latent_in_order_of_strength_is_drawn_less_freely_towards_its_end(tmp_path):
    config = VAEConfig(**{**TINY.model_dump(), "latent_size": 48, "linear_side": 8})
    drawn = Engine(tiny_checkpoint(tmp_path, config=config), device="cpu").draw(3, seed=2)
    noise = sample_noise(3, 48, seed=2)
    assert torch.equal(drawn, sample_noise(3, 48, seed=2, ordered=True))
    factors = drawn / noise
    torch.testing.assert_close(factors[:32], torch.full((32,), 1.2))
    torch.testing.assert_close(factors[32:], 1.2 * 32 / torch.arange(33.0, 49.0))


def test_bf16_is_near_fp32(engine, checkpoint, crops):
    short = Engine(checkpoint, device="cpu", precision="bf16")
    z = engine.encode(crops)
    torch.testing.assert_close(short.encode(crops), z, rtol=0, atol=0.05)
    assert short.encode(crops).dtype == torch.float32
    difference = np.abs(short.decode(z).astype(int) - engine.decode(z))
    assert 0 < difference.mean() < 3


def test_the_number_of_threads_is_the_operators(checkpoint):
    before = torch.get_num_threads()
    try:
        Engine(checkpoint, device="cpu", threads=1)
        assert torch.get_num_threads() == 1
        Engine(checkpoint, device="cpu")
        assert torch.get_num_threads() == cores()
    finally:
        torch.set_num_threads(before)


def test_without_a_gpu_cuda_is_refused_with_a_remedy(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InstallationError, match="FACEMIX_DEVICE=cuda") as caught:
        Engine(checkpoint, device="cuda")
    assert "FACEMIX_DEVICE=auto" in caught.value.hint
    assert Engine(checkpoint, device="auto").device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_face(engine, checkpoint, crops):
    gpu = Engine(checkpoint, device="auto")
    assert gpu.device.startswith("cuda")
    z = gpu.encode(crops)
    assert z.device.type == "cpu"
    torch.testing.assert_close(z, engine.encode(crops), rtol=0, atol=0.01)
    assert np.abs(gpu.decode(z).astype(int) - engine.decode(z)).mean() < 1


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointMissing) as caught:
        Engine(tmp_path / "nowhere", device="cpu")
    assert "FACEMIX_CHECKPOINT" in caught.value.hint


def test_edited_weights_are_refused(tmp_path):
    folder = tiny_checkpoint(tmp_path)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointCorrupt, match="SHA-256"):
        Engine(folder, device="cpu")


def test_the_settings_choose_the_checkpoint(checkpoint):
    engine = engine_from_settings(Settings(checkpoint=checkpoint, device="cpu"))
    assert engine.folder == checkpoint


def test_without_a_setting_the_newest_shipped_checkpoint_is_served(tmp_path, monkeypatch):
    tiny_checkpoint(tmp_path / "older", name="older", created="2026-01-01T00:00:00+00:00")
    tiny_checkpoint(tmp_path / "newer", name="newer", created="2026-02-01T00:00:00+00:00")
    tiny_checkpoint(tmp_path / "z-oldest", name="oldest", created="2025-01-01T00:00:00+00:00")
    monkeypatch.setattr("facemix.serving.engine.resource_dir", lambda name: tmp_path)
    assert engine_from_settings(Settings(device="cpu")).identity.name == "newer"


@pytest.mark.parametrize("value", [2e4, -2e4, float("nan"), float("inf")])
def test_latents_far_out_are_refused_before_they_reach_the_thread(engine, value):
    z = np.zeros((2, TINY.latent_size), np.float32)
    z[1, 3] = value
    thread = engine.batcher._thread
    for _ in range(FAILED_IN_A_ROW):
        with pytest.raises(RecipeInvalid, match="too far") as refused:
            engine.submit_decode(z)
        assert refused.value.where == "parents"
    assert engine.batcher._failures == 0
    assert engine.batcher._thread is thread
    assert engine.decode(torch.full((1, TINY.latent_size), LATENT_LIMIT)).shape[0] == 1
