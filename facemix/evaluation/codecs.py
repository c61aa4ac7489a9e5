"""What can be measured: anything that turns faces into latents and latents into faces."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.vae.networks import VAE
from facemix.vae.posterior import Posterior

_BATCH = 16


class Codec(Protocol):
    """Faces to latents and back, in 8 bits as they would be shown."""

    latent_size: int
    coarse_size: int  # dimensions that mix straight, before those that are detail; 0: all

    def encode(self, crops: np.ndarray) -> torch.Tensor:
        """(N, S, S, 3) uint8 to (N, Z) float32."""
        ...

    def decode(self, z: torch.Tensor) -> np.ndarray:
        """(N, Z) float32 to (N, S, S, 3) uint8."""
        ...


class VAECodec:
    """A VAE as it serves: the posterior mean in, float32, on the CPU."""

    def __init__(self, vae: VAE) -> None:
        self._vae = vae.to(memory_format=torch.channels_last)
        self.latent_size = vae.config.latent_size
        self.coarse_size = vae.config.coarse_size

    @torch.inference_mode()
    def posterior(self, crops: np.ndarray) -> Posterior:
        """The posteriors of (N, S, S, 3) uint8 crops."""
        parts = [
            self._vae.encode(to_tensor(crops[start : start + _BATCH]).contiguous(memory_format=torch.channels_last))
            for start in range(0, len(crops), _BATCH)
        ]
        moments = [torch.cat([part.mean, part.logvar], dim=1) for part in parts]
        return Posterior(torch.cat(moments))

    def encode(self, crops: np.ndarray) -> torch.Tensor:
        return self.posterior(crops).mode()

    @torch.inference_mode()
    def decode(self, z: torch.Tensor) -> np.ndarray:
        return np.concatenate([to_pixels(self._vae.decode(part)) for part in z.split(_BATCH)])
