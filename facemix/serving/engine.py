"""The model on its device: pixels to latents and back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facemix.errors import InstallationError
from facemix.imaging.arrays import to_pixels, to_tensor
from facemix.mixing.prior import sample_noise
from facemix.mixing.recipe import ModelIdentity
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint
from facemix.vae.precision import use_bf16


class Engine:
    """Encodes and decodes with one checkpoint. Safe to call from several threads; one computes at a time.

    Attributes:
        identity: which weights these are.
        card: the checkpoint's card, as JSON-serialisable data.
        crop_size: side of the crops in pixels.
        latent_size: dimensions of a latent.
    """

    def __init__(self, folder: Path, *, device: str = "auto", precision: str = "fp32", threads: int = 0) -> None:
        """Loads the checkpoint in `folder`.

        Args:
            device: ``auto`` takes a GPU where torch sees one.
            precision: ``bf16`` computes convolutions in bfloat16; ``auto`` does so where the device has units for it.
            threads: CPU threads; 0 leaves torch's choice, one per core.

        Raises:
            CheckpointMissing, CheckpointCorrupt: see `load_checkpoint`.
            InstallationError: a GPU is asked for and torch sees none.
        """
        checkpoint = load_checkpoint(folder)
        if device == "cuda" and not torch.cuda.is_available():
            raise InstallationError(
                "FACEMIX_DEVICE=cuda, but torch sees no GPU",
                hint="install a CUDA build of torch, or set FACEMIX_DEVICE=auto",
            )
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
        self._bf16 = use_bf16(precision, self._device.type)
        self._prior = checkpoint.prior
        self._vae = checkpoint.vae.to(self._device, memory_format=torch.channels_last)
        # Two forward passes at once on the same cores are slower than one after the other.
        self._turn = threading.Lock()
        self.folder = checkpoint.folder
        self.card: dict[str, Any] = checkpoint.card.model_dump(mode="json")
        self.identity = ModelIdentity(
            name=checkpoint.card.name,
            weights=checkpoint.card.weights_sha256,
            latent_schema=checkpoint.card.latent_schema,
        )
        self.crop_size = checkpoint.card.config.crop_size
        self.latent_size = checkpoint.card.config.latent_size
        self.coarse_size = checkpoint.card.config.coarse_size
        self._ordered = checkpoint.card.config.linear_side > 0  # principal components, the strongest first

    @property
    def device(self) -> str:
        return str(self._device)

    def encode(self, crops: np.ndarray) -> torch.Tensor:
        """Aligned crops, (N, S, S, 3) uint8, to posterior means, (N, Z) float32 on the CPU."""
        with self._turn, torch.inference_mode(), self._autocast():
            images = to_tensor(crops).to(self._device, memory_format=torch.channels_last)
            return self._vae.encode(images).mode().float().cpu()

    def decode(self, z: torch.Tensor) -> np.ndarray:
        """Latents, (N, Z) float32, to pictures, (N, S, S, 3) uint8 RGB."""
        with self._turn, torch.inference_mode(), self._autocast():
            return to_pixels(self._vae.decode(z.to(self._device)).float())

    def draw(self, number: int, *, seed: int = 0) -> torch.Tensor:
        """Draw `number` from the model's prior under `seed`: a latent, (Z,) float32."""
        noise = sample_noise(number, self.latent_size, seed=seed, ordered=self._ordered)
        return self._prior.latents(noise[None])[0]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)


def engine_from_settings(settings: Settings) -> Engine:
    """The engine that an operator's settings ask for.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
    """
    folder = settings.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    return Engine(folder, device=settings.device, precision=settings.precision, threads=settings.threads)
