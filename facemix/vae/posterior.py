"""The diagonal Gaussian posterior q(z | x)."""

from __future__ import annotations

import torch

# exp(-20) is far below any useful variance and exp(10) far above: the clamp only stops overflow.
LOGVAR_RANGE = (-20.0, 10.0)


class Posterior:
    """q(z | x) = N(mean, diag(exp(logvar))).

    Attributes:
        mean, logvar: (N, Z) float32; logvar clamped to `LOGVAR_RANGE`.
    """

    def __init__(self, moments: torch.Tensor) -> None:
        """moments: (N, 2 Z), mean and log-variance side by side."""
        mean, logvar = moments.float().chunk(2, dim=1)
        self.mean = mean
        self.logvar = logvar.clamp(*LOGVAR_RANGE)

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """One draw, (N, Z), by the reparameterisation z = mean + sigma * epsilon (Kingma & Welling 2014)."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + torch.exp(0.5 * self.logvar) * noise

    def mode(self) -> torch.Tensor:
        """The most likely latent, (N, Z): the mean. Serving uses it, so equal photos give equal faces."""
        return self.mean

    def kl(self) -> torch.Tensor:
        """KL(q || N(0, I)) per latent dimension, (N, Z), in nats (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar)
