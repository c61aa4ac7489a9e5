"""The negative ELBO of the sigma-VAE, and where in the face it looks most closely."""

from __future__ import annotations

import math

import torch

from facemix.vae.posterior import Posterior

# Below this the likelihood would chase the noise of JPEG: two grey levels of 255, in units of [-1, 1].
LOG_SIGMA_FLOOR = math.log(2 * 2 / 255)


def gaussian_nll(
    images: torch.Tensor,
    reconstructions: torch.Tensor,
    weights: torch.Tensor | None = None,
    *,
    sigma: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood per image under a Gaussian of the batch's optimal variance, without constants.

    With sigma^2 = MSE the likelihood's first term is constant and D log(sigma) remains (O. Rybkin,
    K. Daniilidis, S. Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021, eq. 4 to 6).
    It balances itself against the KL divergence: there is no beta to tune.

    Args:
        images, reconstructions: (N, 3, S, S) in [-1, 1].
        weights: (1, 1, S, S) with mean 1; how much each place counts.
        sigma: a fixed standard deviation instead, in units of [-1, 1], as in the textbook's VAE.

    Returns:
        The NLL in nats per image, a scalar, and the plain MSE, a scalar, both float32.
    """
    error = (images.float() - reconstructions.float()).square()
    mse = error.mean()
    weighted = mse if weights is None else (error * weights).mean()
    if sigma is not None:
        return 0.5 * images[0].numel() * weighted / sigma**2, mse.detach()
    # A soft floor: the gradient fades instead of stopping dead.
    variance = weighted + math.exp(2 * LOG_SIGMA_FLOOR)
    return 0.5 * images[0].numel() * torch.log(variance), mse.detach()


def negative_elbo(
    images: torch.Tensor,
    reconstructions: torch.Tensor,
    posterior: Posterior,
    *,
    beta: float = 1.0,
    weights: torch.Tensor | None = None,
    free_bits: float = 0.0,
    sigma: float | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """NLL + beta KL in nats per image, and its parts.

    Args:
        beta: weight of the KL divergence; 1 is the ELBO, less during warm-up.
        free_bits: nats per latent dimension that cost nothing (Kingma et al. 2016).
        sigma: see `gaussian_nll`.

    Returns:
        The loss, a scalar, and detached scalars ``nll``, ``kl`` (nats per image) and ``mse``.
    """
    nll, mse = gaussian_nll(images, reconstructions, weights, sigma=sigma)
    per_dimension = posterior.kl().mean(0)
    charged = per_dimension.clamp(min=free_bits).sum() if free_bits else per_dimension.sum()
    parts = {"nll": nll.detach(), "kl": per_dimension.detach().sum(), "mse": mse}
    return nll + beta * charged, parts


def region_weights(size: int, points: torch.Tensor, *, strength: float, radius: float = 0.13) -> torch.Tensor:
    """Weights that look more closely at given points of the crop: (1, 1, size, size), mean 1.

    Args:
        points: (K, 2), x and y as fractions of the crop (eyes, mouth).
        strength: how many times more than the background a point counts, at least 1.
        radius: standard deviation of the bump around each point, as a fraction of the crop.
    """
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    squared = (x[None] - points[:, 0, None, None]) ** 2 + (y[None] - points[:, 1, None, None]) ** 2
    bump = torch.exp(-squared / (2 * radius**2)).amax(0)
    weights = 1 + (strength - 1) * bump
    return (weights / weights.mean())[None, None]
