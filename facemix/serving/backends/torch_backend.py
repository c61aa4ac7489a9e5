"""torch, on a CPU or a GPU: the backend that is always there."""

from __future__ import annotations

import numpy as np
import torch

from facemix.serving.backends.base import check_crops, check_latents
from facemix.serving.backends.cuda_graphs import GraphedBatches
from facemix.serving.backends.rewrite import for_torch
from facemix.vae.checkpoint import Checkpoint

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchBackend:
    """The network in inference mode, channels last, at every batch's true size.

    bfloat16 computes with a bfloat16 copy of the weights: up to 1.25 times as fast as autocast at batch 1, and as near
    to the reference. torch.compile is not used: on a CPU it wants a C++ compiler at run time.

    Args:
        precision: ``fp32`` or ``bf16``.
        device: ``cpu`` or ``cuda``.
        cuda_graphs: replay recorded kernels on a GPU. Off by default: it was written without a GPU to try it on.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        precision: str = "fp32",
        device: str = "cpu",
        max_batch: int = 16,
        cuda_graphs: bool = False,
    ) -> None:
        self.name = f"torch {precision}"
        self.device = device
        self.max_batch = max_batch
        self._dtype = _DTYPES[precision]
        self._crop_size = checkpoint.card.config.crop_size
        self._latent_size = checkpoint.card.config.latent_size
        vae = for_torch(checkpoint.vae)
        self._vae = vae.to(device=device, dtype=self._dtype).to(memory_format=torch.channels_last)
        self._encode = self._encoded
        self._decode = self._decoded
        if cuda_graphs and device == "cuda":
            self._encode = GraphedBatches(self._encoded, max_batch)
            self._decode = GraphedBatches(self._decoded, max_batch)

    @torch.inference_mode()
    def encode(self, crops: np.ndarray) -> np.ndarray:
        check_crops(crops, self._crop_size)
        return self._encode(_tensor(crops).to(self.device)).cpu().numpy()

    @torch.inference_mode()
    def decode(self, z: np.ndarray) -> np.ndarray:
        check_latents(z, self._latent_size)
        return self._decode(_tensor(z).to(self.device)).cpu().numpy()

    def warm_up(self) -> None:
        for number in range(1, self.max_batch + 1):
            self.encode(np.zeros((number, self._crop_size, self._crop_size, 3), np.uint8))
            self.decode(np.zeros((number, self._latent_size), np.float32))

    def close(self) -> None:
        del self._vae, self._encode, self._decode

    def _encoded(self, crops: torch.Tensor) -> torch.Tensor:
        """(N, S, S, 3) uint8 to (N, Z) float32. The numbers are those of `imaging.arrays.to_tensor`; the pixels lie
        as channels-last wants them, so they are not moved."""
        images = crops.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)
        return self._vae.encode(images.to(self._dtype)).mode()

    def _decoded(self, z: torch.Tensor) -> torch.Tensor:
        """(N, Z) float32 to (N, S, S, 3) uint8: the levels of `imaging.arrays.to_pixels`."""
        images = self._vae.decode(z.to(self._dtype)).permute(0, 2, 3, 1).float().contiguous()
        return images.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """The array's own memory where torch takes it: it warns of arrays that may not be written."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
