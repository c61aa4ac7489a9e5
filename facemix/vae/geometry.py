"""Where each point of a mean face lies in an aligned crop: a dense shape, read by a small network.

Alignment puts eyes and mouth corners in the same places; brows, noses, lips and cheeks still differ. The network looks
at a crop and says for every point of one mean face how far from there it lies. Two shapes give the way from any place
in one face to the same place in another, and the weighted mean of shapes is the shape of a mix. It was trained without
labels (`facemix.training.geometry`): the crops, each brought to the mean face by its shape, have to look alike.

It depends on the alignment, not on the VAE, and lies beside a checkpoint as ``geometry.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from facemix.errors import CheckpointCorrupt

GEOMETRY_FILE = "geometry.safetensors"
FORMAT = "facemix-geometry"
VERSION = 1
SIDE = 128  # of the crops that it looks at
GRID = 12  # control points along each side, the outermost on the crop's edges
_REACH = 0.1  # of the crop's side, by one unit of the network's output


class GeometryNet(nn.Module):
    """Crops, (N, 3, SIDE, SIDE) in [-0.5, 0.5], to shapes, (N, 2, GRID, GRID): x and y of each control point's
    displacement, in fractions of the crop's side. As it is made, it displaces nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.PixelUnshuffle(4),
            _convolution(48, 64),
            _convolution(64, 96, stride=2),
            _convolution(96, 96),
            _convolution(96, 128, stride=2),
            _convolution(128, 128),
            _convolution(128, 64),
            nn.Flatten(),
            nn.Linear(64 * (SIDE // 16) ** 2, 256),
            nn.SiLU(),
            nn.Linear(256, 2 * GRID * GRID),
        )
        nn.init.zeros_(self.body[-1].weight)
        nn.init.zeros_(self.body[-1].bias)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return _REACH * self.body(crops).view(-1, 2, GRID, GRID)


class Geometry:
    """Reads shapes. Thread-safe.

    Attributes:
        net: the network itself, whose weights are not to be changed.
        facts: what its file says of its training, JSON-serialisable.
    """

    def __init__(self, net: GeometryNet, facts: dict[str, Any] | None = None) -> None:
        self.net = net.eval().requires_grad_(False)
        self.facts = facts or {}

    @torch.inference_mode()
    def shapes(self, crops: np.ndarray) -> np.ndarray:
        """Aligned crops, (N, SIDE, SIDE, 3) uint8 RGB, to shapes, (N, 2, GRID, GRID) float32; see `GeometryNet`."""
        if crops.ndim != 4 or crops.shape[1:] != (SIDE, SIDE, 3) or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (N, {SIDE}, {SIDE}, 3) uint8, not {crops.shape} {crops.dtype}")
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float().div(255).sub(0.5)
        return self.net(pixels).numpy()

    def weights_sha256(self) -> str:
        """Of the tensors as they are stored: what the file says of them may be added to."""
        tensors = _stored(self.net)
        return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


def save_geometry(folder: Path, net: GeometryNet, facts: dict[str, Any]) -> Path:
    """Writes ``geometry.safetensors`` into `folder`, whole or not at all, in float16.

    Args:
        facts: JSON-serialisable: what it was trained on, and what was measured.
    """
    metadata = {"format": FORMAT, "version": str(VERSION), "facts": json.dumps(facts, sort_keys=True)}
    path = folder / GEOMETRY_FILE
    written = path.with_suffix(".tmp")
    written.write_bytes(save(_stored(net), metadata=metadata))
    written.replace(path)
    return path


def load_geometry(folder: Path) -> Geometry | None:
    """The geometry that lies beside the checkpoint in `folder`, or None.

    Raises:
        CheckpointCorrupt: the file is damaged, or of another format.
    """
    path = folder / GEOMETRY_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118  (it is no dict)
        if (metadata.get("format"), metadata.get("version")) != (FORMAT, str(VERSION)):
            raise ValueError(f"its format is {metadata.get('format')} {metadata.get('version')}")
        facts = json.loads(metadata.get("facts", "{}"))
        with torch.random.fork_rng(devices=[]):
            net = GeometryNet()
        net.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointCorrupt(
            f"{path} is no geometry that this facemix reads: {str(error).splitlines()[0]}",
            hint="copy or check out the checkpoint again, or fit one with `facemix geometry`",
        ) from error
    return Geometry(net, facts)


def _stored(net: GeometryNet) -> dict[str, torch.Tensor]:
    return {name: value.detach().half().contiguous() for name, value in net.state_dict().items()}


def _convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())
