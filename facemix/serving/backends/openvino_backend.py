"""OpenVINO on the CPU: an optional extra (``pip install 'facemix[openvino]'``).

The network is converted in memory at start; no file is read, written or fetched. Graphs are compiled for fixed batch
sizes, the powers of two up to `max_batch`: measured on two cores they are 1.15 to 1.25 times as fast as one graph for
every size, and a first batch of a new size costs nothing later. Each size costs about 0.2 s of the start and a copy of
the weights.
"""

from __future__ import annotations

import functools
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from facemix.serving.backends.base import check_crops, check_latents
from facemix.serving.backends.rewrite import for_openvino
from facemix.telemetry import import_openvino
from facemix.vae.checkpoint import Checkpoint

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
# What a call costs beside its frames, in frames: measured, about one (two cores, bfloat16).
_CALL = 1


class OpenVINOBackend:
    """Pixels in, pixels out: conversions are part of the graphs, and torch computes nothing.

    Args:
        precision: ``fp32`` or ``bf16``.
        threads: CPU threads, at least 1.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: it cannot convert or compile the network.
    """

    device = "cpu"

    def __init__(
        self, checkpoint: Checkpoint, *, precision: str = "fp32", threads: int = 1, max_batch: int = 16
    ) -> None:
        self.name = f"openvino {precision}"
        self.max_batch = max_batch
        self.sizes = batch_sizes(max_batch)
        config = checkpoint.card.config
        self._crop_shape = (config.crop_size, config.crop_size, 3)
        self._latent_size = config.latent_size
        openvino = import_openvino()
        self._core = openvino.Core()
        self._properties = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        vae = for_openvino(checkpoint.vae).to(memory_format=torch.contiguous_format)
        pixels, latents = torch.zeros(2, *self._crop_shape, dtype=torch.uint8), torch.zeros(2, config.latent_size)
        # The graphs read their weights where torch keeps them.
        self._modules = (_Encode(vae.encoder, config.latent_size), _Decode(vae.decoder))
        self._encoder = _convert(openvino, self._modules[0], pixels, openvino.Type.u8)
        self._decoder = _convert(openvino, self._modules[1], latents, openvino.Type.f32)
        self._compiled: dict[tuple[bool, int], Any] = {}

    def encode(self, crops: np.ndarray) -> np.ndarray:
        check_crops(crops, self._crop_shape[0])
        return self._run(True, crops, np.empty((len(crops), self._latent_size), np.float32))

    def decode(self, z: np.ndarray) -> np.ndarray:
        check_latents(z, self._latent_size)
        return self._run(False, z, np.empty((len(z), *self._crop_shape), np.uint8))

    def warm_up(self) -> None:
        for size in self.sizes:
            self.encode(np.zeros((size, *self._crop_shape), np.uint8))
            self.decode(np.zeros((size, self._latent_size), np.float32))

    def close(self) -> None:
        self._compiled.clear()
        del self._encoder, self._decoder, self._modules, self._core

    def _run(self, encode: bool, given: np.ndarray, made: np.ndarray) -> np.ndarray:
        start = 0
        for size in plan(len(given), self.sizes):
            part = np.ascontiguousarray(given[start : start + size])
            if len(part) < size:
                part = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])
            request = self._request(encode, size)
            request.infer([part], share_inputs=True)
            made[start : start + size] = request.get_output_tensor(0).data[: len(given) - start]
            start += size
        return made

    def _request(self, encode: bool, size: int) -> Any:
        if (encode, size) not in self._compiled:
            model = self._encoder if encode else self._decoder
            model.reshape([size, *(self._crop_shape if encode else (self._latent_size,))])
            compiled = self._core.compile_model(model, "CPU", self._properties)
            self._compiled[encode, size] = compiled.create_infer_request()
        return self._compiled[encode, size]


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `max_batch`."""
    powers = [1 << shift for shift in range(max_batch.bit_length()) if 1 << shift < max_batch]
    return (*powers, max_batch)


@functools.lru_cache(maxsize=512)
def plan(number: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The calls that compute `number` items cheapest, the largest first; only the last may be filled up."""
    if number <= 0:
        return ()
    plans = [(size, *plan(number - size, sizes)) for size in sizes]
    best = min(plans, key=lambda calls: (sum(calls) + _CALL * len(calls), len(calls)))
    return tuple(sorted(best, reverse=True))


def _convert(openvino: ModuleType, module: nn.Module, example: torch.Tensor, dtype: Any) -> Any:
    shape = openvino.PartialShape([-1, *example.shape[1:]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about tracing
        # Traced here, as the converter would trace a second time to compare; `open_backend` compares what comes out.
        traced = torch.jit.trace(module.eval(), example, check_trace=False)
        return openvino.convert_model(traced, input=[(shape, dtype)], verbose=False)


class _Encode(nn.Module):
    """(N, S, S, 3) uint8 to (N, Z) float32, as `imaging.arrays.to_tensor` and the posterior's mode do."""

    def __init__(self, encoder: nn.Module, latent_size: int) -> None:
        super().__init__()
        self.encoder, self.latent_size = encoder, latent_size

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        images = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
        return self.encoder(images)[:, : self.latent_size]


class _Decode(nn.Module):
    """(N, Z) float32 to (N, S, S, 3) uint8, as `imaging.arrays.to_pixels` does."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        levels = self.decoder(z).mul(127.5).add(128).clamp(0, 255)
        return levels.to(torch.uint8).permute(0, 2, 3, 1)
