"""Faces of nobody: draws from the prior, numbered so that each can be had again."""

from __future__ import annotations

import torch

# Draws are shortened a little: the far tails of the prior hold few believable faces (the "truncation" of
# Brock et al. 2019, BigGAN, for a Gaussian prior).
TEMPERATURE = 0.8


def sample_prior(number: int, latent_size: int, *, seed: int = 0) -> torch.Tensor:
    """Draw `number` under `seed`: (Z,) float32, the same on every machine.

    Each number has a generator of its own, so that draw 40 does not need the 39 before it.
    """
    generator = torch.Generator().manual_seed((seed << 31) + number)
    return TEMPERATURE * torch.randn(latent_size, generator=generator)
