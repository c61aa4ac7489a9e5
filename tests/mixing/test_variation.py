import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemix.mixing.variation import vary
from facemix.vae.prior import LatentPrior

SIZE = 6
radii = st.floats(0, 1)
seeds = st.integers(0, 99)


def latents(seed, count=3):
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed))


@given(seeds)
def test_the_ends_are_exact(seed):
    z, draw, mean = latents(seed)
    assert torch.equal(vary(z, draw, 0.0, mean), z)
    assert torch.equal(vary(z, draw, 1.0, mean), draw)
    assert vary(z, draw, 0.0, mean) is not z
    assert torch.equal(vary(z, draw, 0.0, mean, 4), z)


@given(seeds, st.floats(0.001, 0.999))
def test_between_them_it_goes_along_the_ellipse_about_the_mean(seed, radius):
    z, draw, mean = latents(seed)
    expected = mean + math.sqrt(1 - radius**2) * (z - mean) + radius * (draw - mean)
    torch.testing.assert_close(vary(z, draw, radius, mean), expected, rtol=1e-5, atol=1e-5)


@given(seeds, radii)
def test_the_middle_of_all_faces_has_only_the_draw_to_go_by(seed, radius):
    _, draw, mean = latents(seed)
    torch.testing.assert_close(vary(mean, draw, radius, mean), mean + radius * (draw - mean), rtol=1e-5, atol=1e-5)


@given(seeds, st.floats(0.001, 0.999))
def test_detail_fades_and_has_no_mean(seed, radius):
    z, draw, mean = latents(seed)
    draw[4:] = 0
    found = vary(z, draw, radius, mean, 4)
    torch.testing.assert_close(found[4:], math.sqrt(1 - radius**2) * z[4:], rtol=1e-5, atol=1e-6)
    assert torch.equal(found[:4], vary(z[:4], draw[:4], radius, mean[:4]))


@pytest.mark.parametrize("radius", [0.2, 0.5, 0.9])
def test_neighbours_have_the_distribution_of_the_prior(radius):
    generator = torch.Generator().manual_seed(0)
    prior = LatentPrior(torch.randn(SIZE, generator=generator), torch.randn(SIZE, SIZE, generator=generator).tril())
    faces, draws = (prior.latents(torch.randn(20000, SIZE, generator=generator)) for _ in range(2))
    near = torch.linalg.solve(prior.scale, (vary(faces, draws, radius, prior.mean) - prior.mean).T)
    torch.testing.assert_close(near.mean(1), torch.zeros(SIZE), rtol=0, atol=0.04)
    torch.testing.assert_close(torch.cov(near), torch.eye(SIZE), rtol=0, atol=0.05)


@pytest.mark.parametrize("radius", [-1e-9, 1.0000001, math.nan, math.inf])
def test_a_radius_out_of_range_is_refused(radius):
    z, draw, mean = latents(0)
    with pytest.raises(ValueError, match="radius is"):
        vary(z, draw, radius, mean)


@pytest.mark.parametrize("radius", [0, 0.5, 1])
def test_the_type_of_the_latents_is_kept(radius):
    z, draw, mean = latents(0)
    assert vary(z.double(), draw, radius, mean).dtype == torch.float64
    assert vary(z, draw, radius, mean).dtype == torch.float32
