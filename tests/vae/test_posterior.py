import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from facemix.vae.posterior import LOGVAR_RANGE, Posterior


def posterior_of(mean, logvar):
    return Posterior(torch.cat([torch.as_tensor(mean), torch.as_tensor(logvar)], dim=1))


@given(
    mean=st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=6),
    logvar=st.lists(st.floats(-8, 4, width=32), min_size=6, max_size=6),
)
def test_kl_is_that_of_torch_distributions(mean, logvar):
    mean, logvar = torch.tensor(mean).view(2, 3), torch.tensor(logvar).view(2, 3)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior_of(mean, logvar).kl(), expected, rtol=1e-4, atol=1e-5)


def test_kl_of_the_prior_is_zero_and_positive_elsewhere():
    assert not posterior_of(torch.zeros(2, 4), torch.zeros(2, 4)).kl().any()
    generator = torch.Generator().manual_seed(0)
    moments = torch.randn(50, 8, generator=generator)
    assert (Posterior(moments).kl() > 0).all()


def test_samples_have_the_moments_of_the_posterior():
    mean, logvar = torch.tensor([[-1.0, 0.0, 3.0]]), torch.tensor([[-2.0, 0.0, 1.0]])
    count = 20_000
    samples = posterior_of(mean.expand(count, 3), logvar.expand(count, 3)).sample(torch.Generator().manual_seed(0))
    sigma = (0.5 * logvar[0]).exp()
    # Five standard errors of the mean and of the standard deviation.
    assert ((samples.mean(0) - mean[0]).abs() < 5 * sigma / count**0.5).all()
    assert ((samples.std(0) - sigma).abs() < 5 * sigma / (2 * count) ** 0.5).all()
    correlation = torch.corrcoef(samples.T) - torch.eye(3)
    assert correlation.abs().max() < 0.04


def test_a_sample_repeats_with_its_generator_and_keeps_the_gradient():
    moments = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    posterior = Posterior(moments)
    first, second = (posterior.sample(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, posterior.sample(torch.Generator().manual_seed(6)))
    first.sum().backward()
    assert torch.equal(moments.grad[:, :3], torch.ones(2, 3))  # dz / dmean
    torch.testing.assert_close(moments.grad[:, 3:], 0.5 * (first - posterior.mean).detach())  # dz / dlogvar


def test_the_mode_is_the_mean():
    posterior = Posterior(torch.arange(8.0).view(1, 8))
    assert torch.equal(posterior.mode(), torch.arange(4.0).view(1, 4))


@pytest.mark.parametrize("extreme", [-1e30, -21.0, 11.0, 1e30, float("inf"), float("-inf")])
def test_extreme_variances_overflow_nothing(extreme):
    posterior = posterior_of(torch.zeros(1, 2), torch.full((1, 2), extreme))
    low, high = LOGVAR_RANGE
    assert posterior.logvar.unique().item() == (low if extreme < 0 else high)
    assert torch.isfinite(posterior.kl()).all()
    assert torch.isfinite(posterior.sample()).all()


def test_moments_in_half_precision_are_widened():
    posterior = Posterior(torch.zeros(1, 4, dtype=torch.bfloat16))
    assert posterior.mean.dtype == posterior.logvar.dtype == posterior.kl().dtype == torch.float32
