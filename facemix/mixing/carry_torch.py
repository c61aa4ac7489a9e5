"""`Carry` on a device of torch: for servers whose model computes on a GPU.

What is decided for each place, on a field of 64 x 64, is decided on the processor, in about a millisecond; whatever is
done to pixels is done on the device, where the photographs wait. Both are `Carry`'s own: only the operations differ.

Everything but the warp treats rows and columns alike and linearly: enlarging, area averages, the steps of the pyramid.
Such an operation is one small matrix from either side, and the matrix is what OpenCV does to single pixels, so that
both ways agree to float32's rounding. The warp is `grid_sample`, whose cubic is OpenCV's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from facemix.mixing.carry import Carry
from facemix.mixing.pixels import Pixels
from facemix.mixing.warp import FIELD

_MAPS = ("_whole", "_small", "_lost", "_strength", "_lines")  # what a `Carry` takes pixels of


class TorchCarry(Carry):
    """See `Carry`, from whose frames these differ by rounding."""

    def __init__(
        self,
        cuts: Sequence[np.ndarray | None],
        reconstructions: np.ndarray,
        shapes: np.ndarray,
        *,
        side: int | None = None,
        glasses: Sequence[bool] | None = None,
        device: torch.device | str,
    ) -> None:
        """As `Carry`.

        Args:
            device: of torch; on the processor ("cpu") this is slower than `Carry`.
        """
        super().__init__(cuts, reconstructions, shapes, side=side, glasses=glasses)
        self._do = TorchPixels(device)
        for name in _MAPS:
            setattr(self, name, [self._do.held(one) for one in getattr(self, name)])

    @torch.inference_mode()
    def _drawn(self, *decided: Any) -> np.ndarray:
        return super()._drawn(*decided)


class TorchPixels(Pixels):
    """Pictures are (3, s, s) here, on the device."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)

    def held(self, values: np.ndarray) -> torch.Tensor:
        there = torch.tensor(np.ascontiguousarray(values), device=self._device)
        return there.permute(2, 0, 1).contiguous() if values.ndim == 3 and values.shape[-1] == 3 else there

    def levels(self, picture: torch.Tensor) -> np.ndarray:
        return picture.round().clip(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()

    def take(self, picture: torch.Tensor, way: torch.Tensor) -> torch.Tensor:
        side = picture.shape[-1]
        pixels = picture.float().reshape(1, -1, side, side)
        moves = _resized(way.permute(2, 0, 1), side, cv2.INTER_CUBIC).permute(1, 2, 0)
        # From -1 to 1 between the middles of the outermost pixels, which is also where these corners mirror.
        where = _middles(side, way.device) + 2 * side / (side - 1) * moves
        found = F.grid_sample(pixels, where[None], mode="bicubic", padding_mode="reflection", align_corners=True)
        # OpenCV gives bytes for bytes.
        return (found if picture.is_floating_point() else found.round().clip(0, 255)).reshape(picture.shape)

    def weighted(self, picture: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return picture * _resized(values, picture.shape[-1], cv2.INTER_LINEAR)

    def strength(self, picture: torch.Tensor) -> torch.Tensor:
        energy = _resized(picture.square().mean(0), FIELD, cv2.INTER_AREA)
        return _along(_blurring(picture.device), energy).clip(min=0).sqrt()

    def bands(self, picture: torch.Tensor, count: int) -> list[torch.Tensor]:
        found = []
        for _ in range(count):
            lower = _along(_halving(picture.shape[-1], picture.device), picture)
            found.append(picture - _along(_doubling(lower.shape[-1], picture.device), lower))
            picture = lower
        return [*found, picture]

    def joined(self, pyramid: list[torch.Tensor]) -> torch.Tensor:
        picture = pyramid[-1]
        for band in pyramid[-2::-1]:
            picture = band + _along(_doubling(picture.shape[-1], picture.device), picture)
        return picture

    def reduced(self, picture: torch.Tensor, side: int) -> torch.Tensor:
        return _resized(picture, side, cv2.INTER_AREA)

    def enlarged(self, picture: torch.Tensor, side: int) -> torch.Tensor:
        return _resized(picture, side, cv2.INTER_CUBIC)

    def finest(self, picture: torch.Tensor) -> torch.Tensor:
        blurred = F.pad(picture, (1, 1, 1, 1), mode="reflect")
        for axis in (-1, -2):
            size = picture.shape[axis]
            first, middle, last = (blurred.narrow(axis, start, size) for start in range(3))
            blurred = (first + last) / 4 + middle / 2
        return picture - blurred


def _resized(pictures: torch.Tensor, side: int, filter_: int) -> torch.Tensor:
    own = pictures.shape[-1]
    return pictures if own == side else _along(_resizing(own, side, filter_, pictures.device), pictures)


def _along(rows: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """The operation of these rows, (t, s), in both directions: (..., s, s) to (..., t, t)."""
    return rows @ pictures @ rows.T


# --- operations: what OpenCV does to single pixels -----------------------------------------------------------


@lru_cache(maxsize=64)
def _resizing(own: int, side: int, filter_: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(cv2.resize(np.eye(own, dtype=np.float32), (own, side), interpolation=filter_)).to(device)


@lru_cache(maxsize=8)
def _halving(side: int, device: torch.device) -> torch.Tensor:
    return _rows(cv2.pyrDown, side).to(device)


@lru_cache(maxsize=8)
def _doubling(side: int, device: torch.device) -> torch.Tensor:
    return _rows(cv2.pyrUp, side).to(device)


@lru_cache(maxsize=2)
def _blurring(device: torch.device) -> torch.Tensor:
    return _rows(lambda picture: cv2.GaussianBlur(picture, (0, 0), FIELD / 32), FIELD).to(device)


@lru_cache(maxsize=8)
def _middles(side: int, device: torch.device) -> torch.Tensor:
    places = torch.linspace(-1, 1, side, device=device)
    return torch.stack(torch.meshgrid(places, places, indexing="xy"), dim=-1)


def _rows(operation: Callable[[np.ndarray], np.ndarray], side: int) -> torch.Tensor:
    """Of an operation that leaves even pictures even: what it does to each line of one, (t, side)."""
    lines = np.repeat(np.eye(side, dtype=np.float32)[:, :, None], side, 2)
    return torch.from_numpy(np.stack([operation(line)[:, 0] for line in lines], axis=1))
