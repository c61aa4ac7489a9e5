"""The model on its device: pixels to latents and back, in batches made of everybody's work."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facemix.errors import AttributesMissing
from facemix.mixing.latents import too_far
from facemix.mixing.prior import sample_noise
from facemix.mixing.recipe import ModelIdentity
from facemix.resources import resource_dir
from facemix.serving.backends.base import LATENT_LIMIT
from facemix.serving.backends.choose import open_backend
from facemix.serving.batcher import Batcher
from facemix.serving.jobs import Served
from facemix.serving.observer import Observer
from facemix.serving.tuning import cores
from facemix.settings import Settings
from facemix.vae.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint
from facemix.vae.directions import AttributeDirections, load_directions
from facemix.vae.prior import LatentPrior


class Engine:
    """Encodes and decodes with one checkpoint. Safe to call from every thread; one thread of its own computes.

    Attributes:
        identity: which weights these are.
        card: the checkpoint's card, as JSON-serialisable data.
        crop_size: side of the crops in pixels.
        latent_size, coarse_size: dimensions of a latent, and how many of them are its coarse level.
        prior: the density that draws come from.
        directions: along which attributes change, None where none were fitted.
        backend: what computes, as ``torch bf16``.
        notes: what was chosen for this machine and why, one plain sentence each.
        cpu_threads: threads of the processor that a batch may keep busy; of a GPU, the one that waits for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        precision: str = "fp32",
        backend: str = "torch",
        threads: int = 0,
        max_batch: int | None = None,
        max_queue: int = 1024,
        observer: Observer | None = None,
    ) -> None:
        """Loads the checkpoint in `folder`, and returns when every batch size has been computed once.

        Args:
            device, precision, backend, threads, max_batch: see `facemix.serving.backends.choose.open_backend`.
            max_queue: frames that may wait for the device.

        Raises:
            CheckpointMissing, CheckpointCorrupt: see `load_checkpoint`; also for damaged directions.
            ModelMismatch: the directions beside the checkpoint belong to another.
            InstallationError: a GPU or a backend is asked for that is not there.
        """
        checkpoint = load_checkpoint(folder)
        self.prior: LatentPrior = checkpoint.prior
        self.folder = checkpoint.folder
        self.card: dict[str, Any] = checkpoint.card.model_dump(mode="json")
        self.identity = ModelIdentity(
            name=checkpoint.card.name,
            weights=checkpoint.card.weights_sha256,
            latent_schema=checkpoint.card.latent_schema,
        )
        self.directions = _directions(checkpoint)
        config = checkpoint.card.config
        self.crop_size = config.crop_size
        self.latent_size = config.latent_size
        self.coarse_size = config.coarse_size
        self._ordered = config.linear_side > 0  # principal components, the strongest first
        self._backend, self.notes = open_backend(
            checkpoint, backend=backend, device=device, precision=precision, threads=threads, max_batch=max_batch
        )
        self.backend = self._backend.name
        self.device = self._backend.device
        self.cpu_threads = (threads or cores()) if self.device == "cpu" else 1
        self.batcher = Batcher(
            {"encode": self._backend.encode, "decode": self._backend.decode},
            prepare=self._backend.warm_up,
            max_batch=self._backend.max_batch,
            max_queue=max_queue,
            observer=observer,
        )
        try:
            self.batcher.wait_until_ready()
        except BaseException:
            self.close()
            raise

    def submit_encode(self, crops: np.ndarray, *, deadline: float | None = None) -> Future[Served]:
        """Aligned crops, (N, S, S, 3) uint8, to posterior means, (N, Z) float32. Raises as `Batcher.submit` does."""
        shape = (self.crop_size, self.crop_size, 3)
        if crops.ndim != 4 or crops.shape[1:] != shape or len(crops) == 0 or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (N, {', '.join(map(str, shape))}) uint8, not {crops.shape} {crops.dtype}")
        return self.batcher.submit("encode", crops, deadline=deadline)

    def submit_decode(self, z: np.ndarray, *, deadline: float | None = None) -> Future[Served]:
        """Latents, (N, Z) float32, to pictures, (N, S, S, 3) uint8 RGB.

        Raises:
            RecipeInvalid: a latent is not finite, or farther out than any backend takes. Found here, on the caller's
                thread, since the batcher takes what fails on its own for a failure of the device.
            Busy, EngineFailed, Stopping: see `Batcher.submit`.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_size or len(z) == 0:
            raise ValueError(f"z must be (N, {self.latent_size}), not {z.shape}")
        if not np.abs(z).max() <= LATENT_LIMIT:  # nor is NaN
            raise too_far()
        return self.batcher.submit("decode", np.asarray(z, np.float32), deadline=deadline)

    def encode(self, crops: np.ndarray) -> torch.Tensor:
        """As `submit_encode`, waiting for the result; (N, Z) on the CPU."""
        return torch.from_numpy(self.submit_encode(crops).result().rows)

    def decode(self, z: torch.Tensor) -> np.ndarray:
        """As `submit_decode`, waiting for the result."""
        return self.submit_decode(z.numpy()).result().rows

    def draw(self, number: int, *, seed: int = 0) -> torch.Tensor:
        """Draw `number` from the model's prior under `seed`: a latent, (Z,) float32."""
        noise = sample_noise(number, self.latent_size, seed=seed, ordered=self._ordered)
        return self.prior.latents(noise[None])[0]

    def close(self) -> None:
        """Finishes what is queued and lets go of the device."""
        self.batcher.close()
        self._backend.close()


def _directions(checkpoint: Checkpoint) -> AttributeDirections | None:
    try:
        return load_directions(checkpoint.folder, checkpoint.card)
    except AttributesMissing:
        return None


def engine_from_settings(settings: Settings, observer: Observer | None = None) -> Engine:
    """The engine that an operator's settings ask for.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
    """
    folder = settings.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    return Engine(
        folder,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        threads=settings.threads,
        max_batch=settings.max_batch,
        max_queue=4 * settings.max_queue,
        observer=observer,
    )
