"""The noise behind faces of nobody, numbered so that each can be had again.

The model's own density (`facemix.vae.prior`) turns it into latents.
"""

from __future__ import annotations

import numpy as np
import torch

# Draws are shortened a little: the far tails of the prior hold few believable faces (the "truncation" of
# Brock et al. 2019, BigGAN, for a Gaussian prior).
TEMPERATURE = 0.8
# Where the latent's dimensions are ordered by strength, the first carry light, pose and build, about as independently
# as the prior has them; what the many after them say of a face hangs together in ways that a normal does not know.
_FREE, _GAIN = 32, 1.2


def sample_noise(number: int, latent_size: int, *, seed: int = 0, ordered: bool = False) -> torch.Tensor:
    """Draw `number` under `seed`: (Z,) float32, deviation `TEMPERATURE`, the same on every machine, in every release.

    ordered: the latent's dimensions are sorted by strength, see `ordered_truncation`.

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
    noise = torch.from_numpy((TEMPERATURE * normal).astype(np.float32))
    return noise * ordered_truncation(latent_size) if ordered else noise


def ordered_truncation(latent_size: int) -> torch.Tensor:
    """Factors for the noise of a latent whose dimensions are ordered by strength: (Z,) float32.

    The first dimensions are drawn as the prior has them, and the i-th after those with a deviation that falls as 1 / i:
    drawn freely, they add up to a face whose halves do not belong together.
    """
    place = torch.arange(1, latent_size + 1, dtype=torch.float32)
    return _GAIN * (_FREE / place).clamp(max=1)
