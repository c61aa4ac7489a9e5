import numpy as np
import pytest
import torch

from facemix.errors import LatentRefused
from facemix.mixing.outside import MOST_COARSE, MOST_DETAIL, OutsideCheck
from facemix.vae.prior import LatentPrior

SIZE, COARSE = 12, 8


@pytest.fixture
def prior():
    draw = torch.Generator().manual_seed(0)
    scale = torch.tril(torch.randn(SIZE, SIZE, generator=draw)) + 3 * torch.eye(SIZE)
    return LatentPrior(torch.randn(SIZE, generator=draw), scale).without_detail(COARSE)


def test_what_the_prior_draws_has_a_distance_of_about_one_and_passes(prior):
    check = OutsideCheck(prior, COARSE)
    drawn = prior.latents(torch.randn(500, SIZE, generator=torch.Generator().manual_seed(1))).numpy()
    coarse = [check.distances(z)[0] for z in drawn]
    assert np.mean(np.square(coarse)) == pytest.approx(1, abs=0.05)
    for z in drawn:
        check.check(z)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_the_limit_lies_where_it_is_said_to_be(prior, factor):
    noise = torch.ones(1, SIZE) * MOST_COARSE * factor
    (z,) = prior.latents(noise).numpy()
    check = OutsideCheck(prior, COARSE)
    assert check.distances(z) == (pytest.approx(MOST_COARSE * factor, rel=1e-3), 0)
    if factor < 1:
        check.check(z)
        return
    with pytest.raises(LatentRefused, match=r"1\.01 times as far out") as refused:
        check.check(z, where="parents.1")
    assert refused.value.where == "parents.1"
    assert refused.value.details["coarse"] == pytest.approx(MOST_COARSE * factor, abs=0.01)


def test_detail_is_bounded_by_itself(prior):
    z = prior.mean.numpy().copy()
    z[COARSE:] = 0.9 * MOST_DETAIL
    OutsideCheck(prior, COARSE).check(z)
    z[COARSE:] = 1.1 * MOST_DETAIL
    with pytest.raises(LatentRefused):
        OutsideCheck(prior, COARSE).check(z)


def test_a_model_without_levels_is_all_coarse():
    check = OutsideCheck(LatentPrior.standard(4), 0)
    assert check.distances(np.full(4, 2.0, np.float32)) == (pytest.approx(2, rel=1e-5), 0)
