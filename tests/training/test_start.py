import numpy as np
import pytest
import torch
from prepared import smooth_crops
from tiny import TINY

from facemix.training.start import start_from_components
from facemix.vae.config import VAEConfig
from facemix.vae.networks import VAE

CONFIG = VAEConfig(**{**TINY.model_dump(), "linear_side": 8})


def crops(count=64, seed=0):
    return torch.from_numpy(smooth_crops(count, CONFIG.crop_size, seed=seed))


def images(pixels):
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def low_pass(pictures):
    return torch.nn.functional.avg_pool2d(pictures, CONFIG.crop_size // CONFIG.linear_side).flatten(1)


def started(seed=0):
    vae = VAE(CONFIG)
    start_from_components(vae, crops(), seed=seed)
    return vae.requires_grad_(False)


def test_the_network_begins_as_the_best_linear_code_of_its_low_pass_pictures():
    faces = images(crops())
    vae = started()
    small = vae.decoder.linear.draw(vae.encode(faces).mean)
    wanted = low_pass(faces)
    centred = (wanted - wanted.mean(0)).double()
    _, strengths, _ = torch.linalg.svd(centred)
    lost = strengths[CONFIG.latent_size :].square().sum()
    assert (small - wanted).double().square().sum() == pytest.approx(float(lost), rel=0.02, abs=1e-6)


def test_every_dimension_begins_with_unit_variance_and_none_repeats_another():
    means = started().encode(images(crops())).mean
    covariance = torch.cov(means.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(CONFIG.latent_size), atol=1e-2, rtol=0)


def test_the_strongest_component_is_the_surest():
    logvar = started().encode(images(crops(1))).logvar[0]
    assert logvar[0] < logvar[-1] < 0


def test_convolutions_add_nothing_at_the_start_and_learn_from_there():
    vae = started()
    z = torch.randn(2, CONFIG.latent_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vae.decode(z), vae.decoder.linear(z))
    vae.requires_grad_(True)
    vae.decode(z).square().mean().backward()
    assert vae.decoder.head.weight.grad.any()


def test_gradients_leave_the_linear_path_alone():
    vae = VAE(CONFIG)
    assert not [name for name, _ in vae.named_parameters() if "linear" in name]
    assert {"encoder.linear.project.weight", "decoder.linear.draw.bias"} <= set(vae.state_dict())


def test_equal_faces_and_seeds_give_equal_starts():
    first, second = started().encoder.linear.state_dict(), started().encoder.linear.state_dict()
    assert first["project.weight"].any()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_a_network_without_the_path_and_too_few_faces_are_refused():
    with pytest.raises(ValueError, match="no linear path"):
        start_from_components(VAE(TINY), crops(), seed=0)
    with pytest.raises(ValueError, match="principal components"):
        start_from_components(VAE(CONFIG), crops(CONFIG.latent_size), seed=0)
