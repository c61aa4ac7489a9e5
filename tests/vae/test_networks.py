import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TINY, tiny_vae

from facemix.vae.config import VAEConfig
from facemix.vae.networks import VAE, count_parameters

CONFIGS = [
    TINY,
    VAEConfig(crop_size=16, latent_size=2, encoder_patch=1, encoder_widths=(4, 4, 4, 4, 4), decoder_patch=1,
              decoder_widths=(4, 4, 4, 4, 4), norm_groups=2),
    VAEConfig(crop_size=48, latent_size=5, encoder_patch=3, encoder_widths=(6, 9), decoder_patch=6,
              decoder_widths=(12,), blocks=2, norm_groups=3),
    VAEConfig(crop_size=16, latent_size=3, encoder_patch=8, encoder_widths=(4,), decoder_patch=2,
              decoder_widths=(4, 8, 4), norm_groups=1),
    VAEConfig(crop_size=32, latent_size=6, encoder_patch=8, encoder_widths=(8,), decoder_patch=4,
              decoder_widths=(8, 8), norm_groups=4, linear_side=8),
]  # fmt: skip


def faces(count, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.crop_size}px")
def test_shapes(config):
    vae = tiny_vae(config)
    posterior = vae.encode(faces(3, config.crop_size))
    assert posterior.mean.shape == posterior.logvar.shape == (3, config.latent_size)
    assert vae.decode(posterior.mode()).shape == (3, 3, config.crop_size, config.crop_size)
    assert vae.decode(torch.zeros(1, config.latent_size)).shape == (1, 3, config.crop_size, config.crop_size)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.crop_size}px")
def test_every_parameter_takes_part(config):
    """A parameter without a gradient would be a part that is built and never used."""
    vae = tiny_vae(config).requires_grad_(True)
    reconstructions, posterior = vae(faces(4, config.crop_size), torch.Generator().manual_seed(0))
    (reconstructions.square().mean() + posterior.kl().mean()).backward()
    silent = [name for name, one in vae.named_parameters() if one.grad is None or not one.grad.any()]
    assert not silent


@settings(max_examples=8)
@given(count=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_face_is_encoded_alike_alone_and_in_company(count, seed):
    vae, images = tiny_vae(), faces(count, seed=seed)
    together = vae.encode(images)
    for index in range(count):
        alone = vae.encode(images[index : index + 1])
        torch.testing.assert_close(alone.mean[0], together.mean[index], rtol=0, atol=1e-4)
        torch.testing.assert_close(alone.logvar[0], together.logvar[index], rtol=0, atol=1e-4)


def test_a_latent_is_decoded_alike_alone_and_in_company():
    vae = tiny_vae()
    z = torch.randn(5, TINY.latent_size, generator=torch.Generator().manual_seed(0))
    together = vae.decode(z)
    for index in range(5):
        torch.testing.assert_close(vae.decode(z[index : index + 1])[0], together[index], rtol=0, atol=1e-4)


def test_decoding_is_deterministic_and_depends_on_the_latent():
    vae = tiny_vae()
    z = torch.randn(2, TINY.latent_size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(vae.decode(z), vae.decode(z))
    assert (vae.decode(z[:1]) - vae.decode(z[1:])).abs().max() > 1e-3


def test_the_memory_layout_of_the_images_changes_nothing():
    vae, images = tiny_vae(), faces(2)
    plain = vae.encode(images).mean
    other = vae.encode(images.contiguous(memory_format=torch.channels_last)).mean
    torch.testing.assert_close(plain, other, rtol=0, atol=1e-5)


def test_the_training_pass_decodes_a_sample_of_the_posterior():
    vae, images = tiny_vae(), faces(2)
    reconstructions, posterior = vae(images, torch.Generator().manual_seed(7))
    z = posterior.sample(torch.Generator().manual_seed(7))
    assert torch.equal(reconstructions, vae.decode(z))
    assert not torch.equal(reconstructions, vae.decode(posterior.mode()))


def test_a_fresh_network_is_the_same_for_the_same_seed():
    def fresh(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return VAE(TINY).decode(torch.ones(1, TINY.latent_size))

    assert torch.equal(fresh(3), fresh(3))
    assert not torch.equal(fresh(3), fresh(4))


def test_fitted_values_are_counted_with_trained_ones():
    layer = torch.nn.Linear(3, 2)
    assert count_parameters(layer) == 8
    layer.bias.requires_grad_(False)
    layer.register_buffer("mean", torch.zeros(5))
    assert count_parameters(layer) == 13
