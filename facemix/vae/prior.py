"""The density from which new latents are drawn once training is over.

The encoder's codes of real faces, taken together, are not quite the standard normal that the KL divergence pulls
them to. Draws from a normal with their own mean and covariance fall where the decoder has seen faces (P. Ghosh et
al., "From Variational to Deterministic Autoencoders", 2020: ex-post density estimation, with one component).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LatentPrior:
    """N(mean, scale scale^T).

    Attributes:
        mean: (Z,) float32.
        scale: (Z, Z) float32, lower triangular.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def standard(cls, latent_size: int) -> LatentPrior:
        """N(0, I), the prior of training: what holds where nothing was fitted."""
        return cls(torch.zeros(latent_size), torch.eye(latent_size))

    @classmethod
    def fit(cls, means: torch.Tensor, variances: torch.Tensor) -> LatentPrior:
        """The normal with the first two moments of the aggregate posterior.

        Args:
            means, variances: (N, Z), those of the posteriors of N faces, N > Z.

        Raises:
            ValueError: too few faces for a covariance.
        """
        if len(means) <= means.shape[1]:
            raise ValueError(f"{len(means)} faces do not give a covariance of {means.shape[1]} dimensions")
        means = means.double().cpu()
        covariance = torch.cov(means.T) + torch.diag(variances.double().cpu().mean(0))
        return cls(means.mean(0).float(), torch.linalg.cholesky(covariance).float())

    def without_detail(self, coarse_size: int) -> LatentPrior:
        """The same density over the first `coarse_size` dimensions, and 0 in those after: nobody has no photograph
        whose detail could be kept (see `facemix.vae.detail`). A `coarse_size` of 0 changes nothing."""
        if not coarse_size:
            return self
        kept = (torch.arange(len(self.mean)) < coarse_size).to(self.mean)
        return LatentPrior(self.mean * kept, self.scale * kept[:, None])

    def latents(self, noise: torch.Tensor) -> torch.Tensor:
        """Standard normal noise, (N, Z), to latents, (N, Z)."""
        return self.mean + noise @ self.scale.T

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint stores."""
        return {"prior.mean": self.mean, "prior.scale": self.scale}
