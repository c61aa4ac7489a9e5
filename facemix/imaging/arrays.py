"""Pixels to tensors and back, by one convention everywhere.

The level v (0 to 255) is the number x = v / 127.5 - 1, and a number x is the level floor(x * 127.5 + 128),
clamped. The 128 is 127.5 and the half that makes floor round: all 256 levels survive the way there and back,
of which truncating (x + 1) * 127.5 would lose 63.
"""

from __future__ import annotations

import numpy as np
import torch

_REC601 = (0.299, 0.587, 0.114)  # ITU-R BT.601, luma of red, green and blue


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """raw pixels => network input.

    Args:
        images: (N, H, W, 3) uint8 RGB.

    Returns:
        (N, 3, H, W) float32 in [-1, 1], contiguous, on the CPU.

    Raises:
        ValueError: another shape or type.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be (N, H, W, 3) uint8, not {images.shape} {images.dtype}")
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    planes /= np.float32(127.5)
    planes -= np.float32(1)
    return torch.from_numpy(planes)


def to_pixels(tensor: torch.Tensor) -> np.ndarray:
    """network output => raw pixels. Values beyond [-1, 1], infinities included, are clamped.

    Args:
        tensor: (N, 3, H, W) of any float type, on any device.

    Returns:
        (N, H, W, 3) uint8 RGB, C-contiguous.

    Raises:
        ValueError: another shape, or NaN among the values: a failed network must not look like a picture.
    """
    if tensor.ndim != 4 or tensor.shape[1] != 3 or not tensor.is_floating_point():
        raise ValueError(f"tensor must be (N, 3, H, W) float, not {tuple(tensor.shape)} {tensor.dtype}")
    values = tensor.detach().to(torch.float32)
    broken = int(torch.isnan(values).sum())
    if broken:
        raise ValueError(f"{broken} of {values.numel()} values are NaN")
    levels = values.clamp(-1, 1).mul(127.5).add_(128).floor_().clamp_(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def luma(pixels: np.ndarray) -> np.ndarray:
    """Brightness as the eye weighs it (Rec. 601).

    Args:
        pixels: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ValueError: another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    weights = np.array(_REC601, dtype=np.float32) / np.float32(255)
    # The weights add up to 1 only before rounding to float32; white must not exceed it.
    return np.minimum(pixels.astype(np.float32) @ weights, np.float32(1))
