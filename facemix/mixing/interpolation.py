"""Mixing latents: straight (lerp) or along the sphere (slerp), for two parents or many."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facemix.mixing.recipe import Interpolation

_STEPS = 32  # the spherical mean converges linearly and fast; a handful is typical
_TOLERANCE = 1e-12


def interpolate(z: torch.Tensor, weights: Sequence[float], how: Interpolation = "lerp") -> torch.Tensor:
    """The latent of a mix.

    A weight of exactly 1 returns that parent's latent bit for bit, so that the ends of a slider are the
    parents' own reconstructions.

    Args:
        z: (N, Z) float32, the parents' latents.
        weights: N non-negative numbers that sum to 1.
        how: ``lerp`` follows the morph most truly; ``slerp`` keeps the parents' norm, and with it contrast and
            detail, at the price of exaggerating features.

    Returns:
        (Z,) float32.

    Raises:
        ValueError: the numbers of latents and weights differ.
    """
    if len(weights) != len(z):
        raise ValueError(f"{len(z)} latents but {len(weights)} weights")
    for parent, weight in zip(z, weights, strict=True):
        if weight == 1.0:
            return parent.clone()
    w = torch.tensor(weights, dtype=torch.float64, device=z.device)
    mixed = _slerp(z.double(), w) if how == "slerp" else w @ z.double()
    return mixed.to(z.dtype)


def _slerp(z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Weighted mean on the sphere times the weighted mean norm.

    The mean direction is the point whose weighted great-circle displacements to the parents cancel (S. Buss,
    J. Fillmore, "Spherical Averages and Applications to Spherical Splines", 2001, algorithm A1); for two
    parents it is the slerp of K. Shoemake (1985).
    """
    z, w = z[w > 0], w[w > 0]  # a parent without weight must not decide about the special cases either
    norms = z.norm(dim=1)
    if bool((norms < 1e-9).any()):
        return w @ z  # the zero latent has no direction
    directions = z / norms[:, None]
    mean = w @ directions
    length = mean.norm()
    if float(length) < 1e-6:
        return w @ z  # opposite parents: every great circle is as short as the other
    mean = mean / length
    for _ in range(_STEPS):
        cosines = (directions @ mean).clamp(-1, 1)
        angles = torch.arccos(cosines)
        tangents = directions - cosines[:, None] * mean
        lengths = tangents.norm(dim=1)
        scale = torch.where(lengths > 1e-12, angles / lengths.clamp_min(1e-12), torch.ones_like(lengths))
        step = w @ (scale[:, None] * tangents)
        size = step.norm()
        if float(size) < _TOLERANCE:
            break
        mean = torch.cos(size) * mean + torch.sin(size) * step / size
        mean = mean / mean.norm()
    return mean * (w @ norms)
