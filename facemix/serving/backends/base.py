"""What every backend offers, and how near it must be to the reference.

The reference is the checkpoint's own network in float32 by torch on the CPU, pixels converted by `imaging.arrays`. A
backend is used only where it agrees with the reference on the checkpoint that is served, on latents drawn from its
prior and on the faces decoded from them (`Reference.compare`).

Company: no step mixes the items of a batch, and equal calls give equal bits. Measured on the shipped checkpoint in
batches of 1 to 16: with OpenVINO a face alone and the same face in any company are equal to the bit; torch chooses
other loops, so other orders of summation, for other batch sizes, and faces agree to rounding: decoded pixels within
one level, latents within 2e-6 (float32) and 5e-5 (bfloat16) of their norm. Another number of threads may round
otherwise, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.vae.checkpoint import Checkpoint

SAMPLES = 8
# Beyond it a latent is no face's, and squares of squares could leave float32.
LATENT_LIMIT = 1e4


class Backend(Protocol):
    """Encodes and decodes batches of 1 to `max_batch` items. All calls come from one thread.

    Attributes:
        name: library and precision, as in ``openvino bf16``.
        device: ``cpu`` or ``cuda``.
        max_batch: frames in the largest useful batch.
    """

    name: str
    device: str
    max_batch: int

    def encode(self, crops: np.ndarray) -> np.ndarray:
        """Aligned crops, (N, S, S, 3) uint8 RGB, to posterior means, (N, Z) float32."""

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Latents, (N, Z) float32, to pictures, (N, S, S, 3) uint8 RGB.

        Raises:
            ValueError: a latent is not finite, or farther out than `LATENT_LIMIT`.
        """

    def warm_up(self) -> None:
        """Computes once at every batch size, so that no request pays for a first time."""

    def close(self) -> None:
        """Frees what the backend holds; it cannot be used afterwards."""


@dataclass(frozen=True)
class Difference:
    """How far a backend is from the reference.

    Attributes:
        mean_levels, max_levels: of the decoded pixels' absolute differences, in levels of 0 to 255.
        latents: norm of the latents' differences over the norm of the latents.
    """

    mean_levels: float
    max_levels: int
    latents: float

    def within(self, tolerance: Difference) -> bool:
        """NaN is within nothing."""
        return (
            self.mean_levels <= tolerance.mean_levels
            and self.max_levels <= tolerance.max_levels
            and self.latents <= tolerance.latents
        )

    def __str__(self) -> str:
        return (
            f"pixels differ by {self.mean_levels:.3f} levels on average and {self.max_levels} at most, "
            f"latents by {self.latents:.1e}"
        )


# float32: another order of summation moves a value near the boundary between two levels to its other side.
# bfloat16 has 8 significant bits, so each stored value is off by up to 1 part in 512. On the shipped checkpoint that
# adds up to 0.17 levels on average and 2 at most, and to 0.8 % of a latent; the tolerance leaves three times that for
# other checkpoints. A kernel that is wrong, rather than rounded, is off by tens of levels.
TOLERANCES = {
    "fp32": Difference(mean_levels=0.01, max_levels=1, latents=1e-4),
    "bf16": Difference(mean_levels=0.5, max_levels=6, latents=0.02),
}


@dataclass(frozen=True)
class Reference:
    """What the reference makes of some latents.

    Attributes:
        drawn: (N, Z) float32, draws from the checkpoint's prior.
        pictures: (N, S, S, 3) uint8, decoded from them.
        latents: (N, Z) float32, encoded from the pictures.
    """

    drawn: np.ndarray
    pictures: np.ndarray
    latents: np.ndarray

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, samples: int = SAMPLES, seed: int = 0) -> Reference:
        """Computes it. Raises ValueError where the network's output is not a number."""
        size = checkpoint.card.config.latent_size
        noise = torch.randn(samples, size, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            drawn = checkpoint.prior.latents(noise)
            pictures = to_pixels(checkpoint.vae.decode(drawn))
            latents = checkpoint.vae.encode(to_tensor(pictures)).mode()
        return cls(drawn.numpy(), pictures, latents.numpy())

    def compare(self, backend: Backend) -> Difference:
        """Computes the same with `backend`, in batches it takes."""
        step = min(backend.max_batch, len(self.drawn))
        starts = range(0, len(self.drawn), step)
        pictures = np.concatenate([backend.decode(self.drawn[start : start + step]) for start in starts])
        latents = np.concatenate([backend.encode(self.pictures[start : start + step]) for start in starts])
        levels = np.abs(pictures.astype(np.int16) - self.pictures)
        error = np.linalg.norm(latents.astype(np.float64) - self.latents) / np.linalg.norm(self.latents)
        return Difference(float(levels.mean()), int(levels.max()), float(error))


def check_crops(crops: np.ndarray, size: int) -> None:
    """Raises ValueError unless crops are (N, size, size, 3) uint8, N > 0."""
    if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8 or not len(crops):
        raise ValueError(f"crops must be (N, {size}, {size}, 3) uint8, not {crops.shape} {crops.dtype}")


def check_latents(z: np.ndarray, size: int) -> None:
    """Raises ValueError unless latents are (N, size) float32, N > 0, finite and within `LATENT_LIMIT`."""
    if z.ndim != 2 or z.shape[1] != size or z.dtype != np.float32 or not len(z):
        raise ValueError(f"latents must be (N, {size}) float32, not {z.shape} {z.dtype}")
    largest = float(np.abs(z).max())
    if not largest <= LATENT_LIMIT:
        raise ValueError(f"the largest value of the latents is {largest}; {LATENT_LIMIT:g} is the limit")
