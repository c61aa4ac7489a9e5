import pytest
import torch

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.latent import latent_figures
from facemix.vae.posterior import Posterior


def figures(mean, logvar):
    return latent_figures(Posterior(torch.cat([mean, logvar], dim=1)), Bootstrap(resamples=50))


def test_a_collapsed_posterior_is_the_prior():
    found = figures(torch.zeros(20, 4), torch.zeros(20, 4))
    assert found.kl.mean == 0
    assert found.active_units == 0
    assert found.aggregate_mean["rms"] == 0
    assert found.aggregate_variance["mean"] == 1
    assert found.correlation_rms == 0


def test_one_active_dimension_by_hand():
    mean = torch.zeros(20, 4)
    mean[::2, 1], mean[1::2, 1] = 2.0, -2.0
    found = figures(mean, torch.zeros(20, 4))
    assert found.active_units == 1
    assert found.kl.mean == pytest.approx(2)  # 0.5 * 2^2 nats, in one dimension of four
    assert found.kl_per_dimension == {"min": 0, "median": 0, "mean": pytest.approx(0.5), "max": pytest.approx(2)}
    assert found.aggregate_variance["max"] == pytest.approx(5)  # 4 of the means and 1 of the posterior


def test_two_dimensions_that_say_the_same_are_correlated():
    mean = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 2)
    assert figures(mean, torch.full((50, 2), -18.0)).correlation_rms == pytest.approx(1, abs=1e-4)
