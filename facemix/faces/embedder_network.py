"""dlib's face-recognition network, its published weights read and run by torch.

The network is D. King's ("High Quality Face Recognition with Deep Metric Learning", 2017): 29 convolutions, 128
numbers per face, trained on other photographs than ours. dlib's wheel is built without a fast matrix product;
torch takes a twentieth of its time and arrives at the same numbers (a test compares them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from facemix.errors import InstallationError

_MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, fixed in dlib's input layer
_BATCH = 16
_SIZE = 128  # numbers of a point
# Widths of the residual blocks, first to last, and whether a block halves the resolution.
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True)] + [(64, False)] * 3,
    *[(128, True)] + [(128, False)] * 2,
    *[(256, True)] + [(256, False)] * 2,
    (256, True),
)
# A string in dlib's files is its length, as an integer, and its characters.
_LAYER = re.compile(rb"\x01[\x05\x07\x04](con_4|affine_|fc_2)")


@dataclass(frozen=True)
class _Tensor:
    kind: str
    values: torch.Tensor


class FaceEmbedder(nn.Module):
    """Faces to points whose Euclidean distance says how alike two people are; below 0.6 dlib takes them for one.

    Args:
        weights: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        InstallationError: the file cannot be read, or is not that network.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        try:
            layers = _read_layers(weights.read_bytes())
            self._build(layers)
        except (OSError, ValueError, IndexError, RuntimeError) as error:
            raise InstallationError(
                f"the face embedder's weights at {weights} cannot be read: {error}",
                hint="install the extra again: pip install --force-reinstall 'facemix[identity]'",
            ) from error
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def embed(self, chips: np.ndarray) -> np.ndarray:
        """(N, 150, 150, 3) uint8 RGB, aligned as dlib's ``get_face_chip`` does with a padding of .25, to (N, 128)."""
        parts = [self(torch.from_numpy(chips[start : start + _BATCH])) for start in range(0, len(chips), _BATCH)]
        return torch.cat(parts).numpy() if parts else np.zeros((0, _SIZE), np.float32)

    def forward(self, chips: torch.Tensor) -> torch.Tensor:
        x = (chips.permute(0, 3, 1, 2).float() - torch.tensor(_MEAN)[:, None, None]) / 256
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3)) @ self.last

    def _build(self, layers: list[_Tensor]) -> None:
        convolutions = 1 + 2 * len(_BLOCKS)
        found = [layer.kind for layer in layers]
        if found != ["con_4", "affine_"] * convolutions + ["fc_2"]:
            raise ValueError(f"it holds {len(layers)} layers with weights, not those of the network")
        pairs = iter(zip(layers[0:-1:2], layers[1:-1:2], strict=True))
        self.stem = _convolution(*next(pairs), inputs=3, outputs=32, side=7, stride=2)
        blocks, inputs = [], 32
        for outputs, halve in _BLOCKS:
            first = _convolution(*next(pairs), inputs=inputs, outputs=outputs, side=3, stride=2 if halve else 1)
            blocks.append(
                _Residual(first, _convolution(*next(pairs), inputs=outputs, outputs=outputs, side=3, stride=1), halve)
            )
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("last", layers[-1].values.reshape(inputs, _SIZE))


class _Residual(nn.Module):
    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, halve: bool) -> None:
        super().__init__()
        self.first, self.second, self.halve = first, second, halve

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change = self.second(functional.relu(self.first(x)))
        kept = functional.avg_pool2d(x, 2, 2) if self.halve else x
        # dlib adds tensors of different sizes as if the smaller went on in zeros.
        shape = [max(a, b) for a, b in zip(change.shape[1:], kept.shape[1:], strict=True)]
        return functional.relu(_extended(change, shape) + _extended(kept, shape))


def _extended(x: torch.Tensor, shape: list[int]) -> torch.Tensor:
    missing = [wanted - found for wanted, found in zip(shape, x.shape[1:], strict=True)]
    return functional.pad(x, [0, missing[2], 0, missing[1], 0, missing[0]]) if any(missing) else x


def _convolution(weights: _Tensor, affine: _Tensor, *, inputs: int, outputs: int, side: int, stride: int) -> nn.Conv2d:
    """A convolution and the fixed scale and shift behind it, in one."""
    layer = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2 if stride == 1 else 0)
    kernel, bias = weights.values[:-outputs].reshape(layer.weight.shape), weights.values[-outputs:]
    scale, shift = affine.values.reshape(2, outputs)
    with torch.no_grad():
        layer.weight.copy_(kernel * scale[:, None, None, None])
        layer.bias.copy_(bias * scale + shift)
    return layer


def _read_layers(data: bytes) -> list[_Tensor]:
    """The tensors of all convolutions, scales and the last layer, input first, as dlib writes them."""
    layers, position = [], 0
    while match := _LAYER.search(data, position):
        kind, position = match[1].decode(), match.end()
        if kind == "fc_2":  # its two sizes come before its tensor
            for _ in range(2):
                _, position = _read_integer(data, position)
        version, position = _read_integer(data, position)
        if version != 2:
            raise ValueError(f"a tensor of version {version}, where 2 is known")
        count = 1
        for _ in range(4):
            size, position = _read_integer(data, position)
            count *= size
        end = position + 4 * count
        if count < 0 or end > len(data):
            raise ValueError("it ends within a tensor")
        values = np.frombuffer(data, "<f4", count, position).astype(np.float32)
        layers.append(_Tensor(kind, torch.from_numpy(values)))
        position = end
    return layers


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    """dlib's integers: a byte with the sign (bit 7) and the count of bytes that follow, lowest first."""
    head = data[position]
    end = position + 1 + (head & 15)
    value = int.from_bytes(data[position + 1 : end], "little")
    return -value if head & 128 else value, end
