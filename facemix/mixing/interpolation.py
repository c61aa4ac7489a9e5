"""Mixing latents: straight (lerp) or along the sphere (slerp), for two parents or many."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facemix.mixing.recipe import MOST_VIVID, Interpolation
from facemix.vae.detail import fade_detail

_STEPS = 32  # the spherical mean converges linearly and fast; a handful is typical
_TOLERANCE = 1e-12
# Parents at right angles to one another keep 1 / sqrt(N) of their norm; a recipe's 32 stay below this ratio and so
# get their whole share back. Only parents that all but cancel reach it: their mean points wherever the last digits
# happen to lie, and drawing it out to a fixed length would let a speck of a difference turn one face into another.
_LARGEST_LOSS = 6.0


def interpolate(
    z: torch.Tensor,
    weights: Sequence[float],
    how: Interpolation = "lerp",
    *,
    vividness: float = 0.0,
    coarse_size: int = 0,
) -> torch.Tensor:
    """The latent of a mix.

    A weight of exactly 1 returns that parent's latent bit for bit, so that the ends of a slider are the
    parents' own reconstructions.

    Args:
        z: (N, Z) float32, the parents' latents.
        weights: N non-negative numbers that sum to 1.
        how: ``lerp`` follows the morph most truly; ``slerp`` keeps the parents' norm, and with it contrast and
            detail, at the price of exaggerating features.
        vividness: 0 to 0.5, the share of the norm that lerp loses which is given back: the straight mean keeps its
            direction and its norm rises from |z_lerp| towards the weighted mean m of the parents' norms, as
            z_lerp * (1 + vividness * (m / |z_lerp| - 1)) with m / |z_lerp| at most 6. Without effect on slerp,
            whose norm is m already.
        coarse_size: of the model's configuration. Where it is not 0, all this is done to so many dimensions; those
            after them are detail, whose weighted mean fades out towards the middle (see `facemix.vae.detail`).

    Returns:
        (Z,) float32.

    Raises:
        ValueError: the numbers of latents and weights differ, or `vividness` is out of range.
    """
    if len(weights) != len(z):
        raise ValueError(f"{len(z)} latents but {len(weights)} weights")
    if not 0 <= vividness <= MOST_VIVID:  # as a comparison of NaN is false, it is refused, too
        raise ValueError(f"vividness is {vividness}, not 0 to {MOST_VIVID}")
    for parent, weight in zip(z, weights, strict=True):
        if weight == 1.0:
            return parent.clone()
    w = torch.tensor(weights, dtype=torch.float64, device=z.device)
    z64 = z.double()
    coarse = z64[:, : coarse_size or None]
    mixed = _slerp(coarse, w) if how == "slerp" else _lerp(coarse, w, vividness)
    if coarse_size:
        mixed = torch.cat([mixed, fade_detail(w @ z64, w, coarse_size)[coarse_size:]])
    return mixed.to(z.dtype)


def _lerp(z: torch.Tensor, w: torch.Tensor, vividness: float) -> torch.Tensor:
    mean = w @ z
    length = mean.norm()
    if vividness == 0 or float(length) == 0:
        return mean
    # At least 1 by the triangle inequality; rounding alone could take it below.
    loss = (w @ z.norm(dim=1) / length).clamp(1, _LARGEST_LOSS)
    return mean * (1 + vividness * (loss - 1))


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
