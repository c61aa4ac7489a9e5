"""Neighbours of a face: steps towards draws from the prior that stay among the faces the model knows."""

from __future__ import annotations

import math

import torch


def vary(z: torch.Tensor, draw: torch.Tensor, radius: float, mean: torch.Tensor, coarse_size: int = 0) -> torch.Tensor:
    """A neighbour of `z`, on the way to `draw`.

        z' = mean + sqrt(1 - radius^2) (z - mean) + radius (draw - mean)

    is the proposal of the preconditioned Crank-Nicolson walk (S. Cotter et al., "MCMC Methods for Functions: Modifying
    Old Algorithms to Make Them Faster", 2013): when z and the draw have the prior's distribution, so has z', whatever
    the radius. A straight line between them would lead through the middle, where faces look like the mean.

    Args:
        z, draw: (..., Z) of the same model, the draw from its prior.
        radius: 0 returns z bit for bit, 1 the draw.
        mean: (Z,), that of the prior.
        coarse_size: of the model's configuration. Where it is not 0, the dimensions after so many are detail
            (`facemix.vae.detail`), whose mean is 0 and of which draws have none: it fades by sqrt(1 - radius^2).

    Returns:
        (..., Z), of the type of z.

    Raises:
        ValueError: the radius is out of range.
    """
    if not 0 <= radius <= 1:  # as a comparison of NaN is false, it is refused, too
        raise ValueError(f"radius is {radius}, not 0 to 1")
    if radius == 0:
        return z.clone()
    if radius == 1:
        return draw.to(z.dtype, copy=True)
    centre = mean.double().clone()
    if coarse_size:
        centre[coarse_size:] = 0
    kept = math.sqrt(1 - radius * radius)
    return (centre + kept * (z.double() - centre) + radius * (draw.double() - centre)).to(z.dtype)
