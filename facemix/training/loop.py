"""What training and sharpening do alike in every step."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from facemix.faces.align import TEMPLATE
from facemix.vae.losses import region_weights
from facemix.vae.precision import use_bf16


def eyes_and_mouth(size: int, *, strength: float) -> torch.Tensor:
    """How much each place of an aligned crop counts: (1, 1, size, size), mean 1.

    strength: how many times more than the rest eyes and mouth count.
    """
    points = torch.tensor(TEMPLATE, dtype=torch.float32)
    points = torch.stack([points[0], points[1], points[2:].mean(0)])
    return region_weights(size, points, strength=strength)


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """bfloat16 for the convolutions where `precision` and the device have it so, else nothing."""
    if use_bf16(precision, device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, *, batch_size: int, half_life: float, images: int) -> None:
    """Moves the weight average towards the weights by one step of `batch_size` images.

    Args:
        half_life: of the average, in images.
        images: seen so far. The half-life grows with the run up to its full length, so that the beginning is
            forgotten quickly (Karras et al. 2024, EDM2).
    """
    grown = min(half_life, 0.05 * images)
    decay = 0.5 ** (batch_size / max(grown, 1e-8))
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
