import math

import pytest
import torch

from facemix.vae.losses import LOG_SIGMA_FLOOR, gaussian_nll, negative_elbo, region_weights
from facemix.vae.posterior import Posterior

FLOOR = (4 / 255) ** 2  # variance of the floor


def test_nll_by_hand():
    images, reconstructions = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    nll, mse = gaussian_nll(images, reconstructions)
    assert mse.item() == pytest.approx(0.25)
    assert nll.item() == pytest.approx(0.5 * 48 * math.log(0.25 + FLOOR), rel=1e-5)


def test_nll_of_a_fixed_variance_by_hand():
    images, reconstructions = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    nll, mse = gaussian_nll(images, reconstructions, sigma=0.5)
    assert (nll.item(), mse.item()) == pytest.approx((0.5 * 48, 0.25))


def test_a_perfect_reconstruction_ends_at_the_floor():
    images = torch.rand(1, 3, 4, 4)
    nll, mse = gaussian_nll(images, images.clone())
    assert mse.item() == 0
    assert nll.item() == pytest.approx(48 * LOG_SIGMA_FLOOR, rel=1e-5)


def test_weights_change_the_loss_and_not_the_reported_mse():
    images, reconstructions = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    reconstructions[..., 0, 0] = 1.0
    weights = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])
    nll, mse = gaussian_nll(images, reconstructions, weights)
    assert mse.item() == pytest.approx(0.25)
    assert nll.item() == pytest.approx(0.5 * 12 * math.log(1.0 + FLOOR), rel=1e-4)


def test_half_precision_reconstructions_are_compared_in_single_precision():
    images = torch.full((1, 3, 4, 4), 0.1)
    nll, mse = gaussian_nll(images, images.to(torch.bfloat16))
    assert nll.dtype == mse.dtype == torch.float32


def posterior_of(mean, logvar):
    return Posterior(torch.tensor([mean + logvar]))


def test_negative_elbo_by_hand():
    images, reconstructions = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    posterior = posterior_of([1.0, 0.0], [0.0, 0.0])  # KL: 1/2 and 0
    loss, parts = negative_elbo(images, reconstructions, posterior, beta=3.0)
    nll = 0.5 * 48 * math.log(0.25 + FLOOR)
    assert loss.item() == pytest.approx(nll + 3.0 * 0.5, rel=1e-5)
    assert {name: value.item() for name, value in parts.items()} == {
        "nll": pytest.approx(nll, rel=1e-5),
        "kl": pytest.approx(0.5),
        "mse": pytest.approx(0.25),
    }
    assert not any(value.requires_grad for value in parts.values())


def test_the_kl_is_a_mean_over_images_and_a_sum_over_dimensions():
    posterior = Posterior(torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]))  # KL .5+.5 and 0+2
    images = torch.zeros(2, 3, 4, 4)
    _, parts = negative_elbo(images, images, posterior)
    assert parts["kl"].item() == pytest.approx(1.5)


def test_free_bits_cost_nothing_and_are_counted_per_dimension():
    images = torch.zeros(1, 3, 4, 4)
    posterior = posterior_of([0.2, 2.0], [0.0, 0.0])  # KL .02 and 2
    plain, _ = negative_elbo(images, images, posterior)
    charged, parts = negative_elbo(images, images, posterior, free_bits=0.5)
    assert (charged - plain).item() == pytest.approx(0.5 - 0.02, abs=1e-4)
    assert parts["kl"].item() == pytest.approx(2.02)  # reported as it is

    moments = torch.tensor([[0.2, 2.0, 0.0, 0.0]], requires_grad=True)
    negative_elbo(images, images, Posterior(moments), free_bits=0.5)[0].backward()
    assert moments.grad[0, 0] == 0
    assert moments.grad[0, 1] == pytest.approx(2.0)


def test_gradients_reach_both_reconstruction_and_posterior():
    images = torch.zeros(1, 3, 4, 4)
    reconstructions = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    moments = torch.tensor([[1.0, 0.5]], requires_grad=True)
    negative_elbo(images, reconstructions, Posterior(moments), beta=2.0)[0].backward()
    # d/dx of 24 log(mean(x^2) + floor): every pixel pulls towards the image.
    expected = 24 / (0.25 + FLOOR) * 2 * 0.5 / 48
    torch.testing.assert_close(reconstructions.grad, torch.full((1, 3, 4, 4), expected))
    assert moments.grad[0, 0].item() == pytest.approx(2.0 * 1.0)
    assert moments.grad[0, 1].item() == pytest.approx(2.0 * 0.5 * (math.exp(0.5) - 1), rel=1e-5)


def test_the_gradient_stays_finite_at_a_perfect_reconstruction():
    images = torch.full((1, 3, 4, 4), 0.3)
    reconstructions = images.clone().requires_grad_(True)
    gaussian_nll(images, reconstructions)[0].backward()
    assert not reconstructions.grad.any()


@pytest.mark.parametrize("strength", [1.0, 2.5, 10.0])
def test_region_weights_have_mean_one_and_peak_at_their_points(strength):
    points = torch.tensor([[0.25, 0.25], [0.75, 0.625]])
    weights = region_weights(64, points, strength=strength)
    assert weights.shape == (1, 1, 64, 64)
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5)
    if strength > 1:
        plane = weights[0, 0]
        for x, y in ((16, 16), (48, 40)):  # x across, y down
            assert plane[y, x] == plane[y - 6 : y + 7, x - 6 : x + 7].max()
        assert (plane.max() / plane.min()).item() == pytest.approx(strength, rel=0.02)
        assert plane[40, 48] > 2 / 3 * plane.max() > 0
        assert plane[48, 40] < plane[40, 48]  # not transposed
    else:
        torch.testing.assert_close(weights, torch.ones_like(weights))


def test_region_weights_mean_the_same_at_every_size():
    points = torch.tensor([[0.3, 0.6]])
    small = region_weights(32, points, strength=3.0)
    large = torch.nn.functional.avg_pool2d(region_weights(128, points, strength=3.0), 4)
    torch.testing.assert_close(small, large, rtol=0, atol=0.01)
