"""What a model must beat: the best linear code of the same size, and laying one photograph over another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facemix.errors import DatasetError
from facemix.imaging.arrays import to_pixels

PCA_IMAGES = 8192
_CHUNK = 512
_OVERSAMPLING = 32


@dataclass(frozen=True)
class PCA:
    """Principal components of faces ("eigenfaces"): of all linear codes of its size the one with the least error.

    Decoding is linear, so its mid-points are the cross-fades of its reconstructions: ghost 0 but for clipping.

    Attributes:
        mean: (D,) float32, D = 3 S S, numbers in [-1, 1].
        components: (D, Z) float32, orthonormal columns.
        deviations: (Z,) float32, by how much the codes of the faces that it was fitted on vary.
        side: S.
        fitted_images: how many faces it was fitted on.
    """

    mean: torch.Tensor
    components: torch.Tensor
    deviations: torch.Tensor
    side: int
    fitted_images: int

    @property
    def latent_size(self) -> int:
        return self.components.shape[1]

    @property
    def coarse_size(self) -> int:
        return 0  # one level: all of it mixes

    def encode(self, crops: np.ndarray) -> torch.Tensor:
        """(N, S, S, 3) uint8 to (N, Z) float32."""
        return (_numbers(torch.from_numpy(crops)) - self.mean) @ self.components

    def decode(self, z: torch.Tensor) -> np.ndarray:
        """(N, Z) float32 to (N, S, S, 3) uint8."""
        flat = self.mean + z @ self.components.T
        return to_pixels(flat.reshape(len(z), self.side, self.side, 3).permute(0, 3, 1, 2))

    def latents(self, noise: torch.Tensor) -> torch.Tensor:
        """Standard normal noise, (N, Z), to codes drawn from the normal fitted to the faces', (N, Z)."""
        return noise * self.deviations  # components are uncorrelated, and of mean 0


def fit_pca(
    images: torch.Tensor,
    latent_size: int,
    *,
    iterations: int = 3,
    seed: int = 0,
) -> PCA:
    """Fits the leading components by randomised subspace iteration (N. Halko, P. Martinsson, J. Tropp, "Finding
    structure with randomness", 2011, algorithms 4.4 and 5.3), in passes over the uint8 images: they are never all
    held as floats, nor is a matrix of pixels by pixels formed.

    Args:
        images: (N, S, S, 3) uint8.
        latent_size: components wanted; N - 1 are found where N is not larger.
        iterations: passes that sharpen the subspace before the last one reads the components off it.

    Raises:
        DatasetError: fewer than two images.
    """
    count, side = len(images), images.shape[1]
    if count < 2:
        raise DatasetError(
            f"principal components need at least 2 training faces, not {count}",
            hint="prepare more photographs, or give --no-baselines",
        )
    chunks = images.split(_CHUNK)
    mean = (torch.stack([_numbers(chunk).double().sum(0) for chunk in chunks]).sum(0) / count).float()
    size = min(latent_size, count - 1, len(mean))
    width = min(size + _OVERSAMPLING, count, len(mean))
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(len(mean), width, generator=generator))
    for _ in range(iterations):
        product = torch.zeros(len(mean), width)
        for chunk in chunks:
            centred = _numbers(chunk).sub_(mean)
            product.addmm_(centred.T, centred @ basis)
        basis, _ = torch.linalg.qr(product)
    covariance = torch.zeros(width, width, dtype=torch.float64)
    for chunk in chunks:
        projected = (_numbers(chunk).sub_(mean) @ basis).double()
        covariance += projected.T @ projected
    energies, vectors = torch.linalg.eigh(covariance)  # rising eigenvalues
    leading = vectors.flip(1)[:, :size].float()
    deviations = (energies.flip(0)[:size].clamp_min(0) / count).sqrt().float()
    return PCA(mean, basis @ leading, deviations, side, count)


def _numbers(images: torch.Tensor) -> torch.Tensor:
    """(N, S, S, 3) uint8 to (N, D) float32 in [-1, 1]."""
    return images.flatten(1).float().div_(127.5).sub_(1)
