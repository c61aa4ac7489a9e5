"""What a model takes: values, arithmetic, and the time that it was trained and runs."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facemix.evaluation.codecs import Codec
from facemix.evaluation.results import Cost
from facemix.imaging.arrays import to_tensor
from facemix.vae.networks import VAE, count_parameters

_TIMED = 16


def cost_figures(vae: VAE, training: dict[str, Any]) -> Cost:
    """training: the card's; ``seconds``, also those of its part ``sharpen``, are those of the device that trained."""
    size, latent = vae.config.crop_size, vae.config.latent_size
    return Cost(
        parameters=count_parameters(vae),
        encoder_parameters=count_parameters(vae.encoder),
        decoder_parameters=count_parameters(vae.decoder),
        encode_flops=_flops(vae.encoder, torch.zeros(1, 3, size, size)),
        decode_flops=_flops(vae.decoder, torch.zeros(1, latent)),
        training_seconds=_over_parts(training, "seconds"),
        training_images=_over_parts(training, "images_seen"),
    )


def _over_parts(training: dict[str, Any], name: str) -> float | None:
    """The figure's sum over training and whatever sharpening came after it; None where a part does not say."""
    total: float | None = 0
    part: Any = training
    while isinstance(part, dict):
        value = _number(part.get(name))
        total = None if total is None or value is None else total + value
        part = part.get("sharpen") if part is training else part.get("before")
    return total


def time_per_face(codec: Codec, faces: np.ndarray) -> dict[str, float]:
    """Milliseconds per encode and decode of one face alone, median of up to 16, on this machine as it is now."""
    encode, decode = [], []
    for face in faces[:_TIMED]:
        started = time.perf_counter()
        z = codec.encode(face[None])
        half = time.perf_counter()
        codec.decode(z)
        encode.append(half - started)
        decode.append(time.perf_counter() - half)
    return {
        "encode_ms": round(1000 * float(np.median(encode)), 2),
        "decode_ms": round(1000 * float(np.median(decode)), 2),
    }


def gpu_time_per_face(vae: VAE, faces: np.ndarray) -> dict[str, float | None]:
    """As `time_per_face`, on the GPU that torch sees, transfers included; None where it sees none.

    The first face only warms up: libraries load and choose their algorithms.
    """
    if not torch.cuda.is_available():
        return {"gpu_encode_ms": None, "gpu_decode_ms": None}
    there = copy.deepcopy(vae).to("cuda", memory_format=torch.channels_last)
    encode, decode = [], []
    with torch.inference_mode():
        for face in np.concatenate([faces[:1], faces[:_TIMED]]):
            started = time.perf_counter()
            z = there.encode(to_tensor(face[None]).to("cuda", memory_format=torch.channels_last)).mode()
            torch.cuda.synchronize()
            half = time.perf_counter()
            there.decode(z).cpu()
            encode.append(half - started)
            decode.append(time.perf_counter() - half)
    return {
        "gpu_encode_ms": round(1000 * float(np.median(encode[1:])), 2),
        "gpu_decode_ms": round(1000 * float(np.median(decode[1:])), 2),
    }


@torch.no_grad()
def _flops(module: nn.Module, example: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        module(example)
    return counter.get_total_flops()


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
