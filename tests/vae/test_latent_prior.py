import torch

from facemix.vae.prior import LatentPrior


def fitted(size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(64, size, generator=generator) @ torch.randn(size, size, generator=generator) + 2
    return LatentPrior.fit(means, torch.full_like(means, 0.1))


def test_without_detail_the_coarse_dimensions_are_drawn_as_before():
    noise = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    whole, coarse = fitted().latents(noise), fitted().without_detail(4).latents(noise)
    torch.testing.assert_close(coarse[:, :4], whole[:, :4])
    assert not coarse[:, 4:].any()
    assert whole[:, 4:].any()


def test_a_latent_of_one_level_keeps_its_density():
    prior = fitted()
    assert prior.without_detail(0) is prior
