"""The two levels of a latent, and what a mix keeps of the finer one.

A network may call its first dimensions coarse and the others detail. The coarse ones mix: between two parents they
are a third person. Detail belongs to one photograph: two people's wrinkles laid over each other are nobody's, and
show as a ghost. So detail fades out towards the middle of a path, and there the decoder, which has learnt to draw
without it, draws detail that fits the face it sees.
"""

from __future__ import annotations

import torch


def detail_share(weights: torch.Tensor) -> torch.Tensor:
    """How much detail a mix keeps: 1 where one parent is alone, 0 where none outweighs the others together.

    For two parents of weights 1 - t and t it is |2t - 1|^1.5. A parent of weight 0 changes nothing.

    Args:
        weights: (..., N), non-negative, sums of 1.

    Returns:
        (...), in [0, 1].
    """
    # With two parents 2 |w|^2 - 1 is (2t - 1)^2, so this is the one smooth rule that agrees with it for any number.
    return (2 * weights.square().sum(-1) - 1).clamp(0, 1) ** 0.75


def fade_detail(mean: torch.Tensor, weights: torch.Tensor, coarse_size: int) -> torch.Tensor:
    """A weighted mean of latents with its detail faded: (..., Z) to the same.

    Args:
        weights: (..., N), those of the mean.
        coarse_size: how many dimensions come before the detail; 0 when the latent has one level, which stays as it is.
    """
    if not coarse_size:
        return mean
    share = detail_share(weights)[..., None].to(mean.dtype)
    return torch.cat([mean[..., :coarse_size], share * mean[..., coarse_size:]], dim=-1)
