"""The noise behind faces of nobody, numbered so that each can be had again.

The model's own density (`facemix.vae.prior`) turns it into latents.
"""

from __future__ import annotations

import numpy as np
import torch

# Draws are shortened a little: the far tails of the prior hold few believable faces (the "truncation" of
# Brock et al. 2019, BigGAN, for a Gaussian prior).
TEMPERATURE = 0.8


def sample_noise(number: int, latent_size: int, *, seed: int = 0) -> torch.Tensor:
    """Draw `number` under `seed`: (Z,) float32, deviation `TEMPERATURE`, the same on every machine, in every release.

    Each number has a stream of its own, so that draw 40 does not need the 39 before it. The streams are those of
    Philox keyed by number and seed: its bits are fixed by its definition (J. Salmon et al., "Parallel Random
    Numbers: As Easy as 1, 2, 3", 2011), while torch's own generator on the CPU takes no more than the lower 32
    bits of a seed.
    """
    pairs = -(-latent_size // 2)
    bits = np.random.Philox(key=[number, seed]).random_raw(2 * pairs)
    u, v = ((bits >> 11) * 2.0**-53).reshape(pairs, 2).T  # in [0, 1)
    radius, angle = np.sqrt(-2 * np.log1p(-u)), 2 * np.pi * v  # G. Box, M. Muller, 1958
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:latent_size]
    return torch.from_numpy((TEMPERATURE * normal).astype(np.float32))
