"""What a run tells while it goes on: the same for training and for sharpening."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image
from pydantic import BaseModel

from facemix.imaging.arrays import to_pixels
from facemix.training.grids import interpolation_grid, reconstruction_grid, sample_grid
from facemix.training.state import Progress
from facemix.vae.networks import VAE


class Log:
    """Scalars to ``log.jsonl``, pictures to ``grids/``, both to TensorBoard where it is installed."""

    def __init__(self, run: Path, config: BaseModel) -> None:
        """run: the run's folder, which exists. config: written there as ``config.json``."""
        (run / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
        self._lines = run / "log.jsonl"
        self._grids = run / "grids"
        self._grids.mkdir(exist_ok=True)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._board = None
        else:
            self._board = SummaryWriter(str(run / "tensorboard"))

    def write(self, progress: Progress, training: dict[str, float], validation: dict[str, float]) -> None:
        """Adds a line: position, ``training/...`` and ``validation/...`` scalars."""
        scalars = {f"training/{name}": value for name, value in training.items()}
        scalars |= {f"validation/{name}": value for name, value in validation.items()}
        line = {
            "images": progress.images,
            "step": progress.step,
            "seconds": round(progress.seconds),
            **scalars,
        }
        with self._lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in scalars.items():
            if self._board:
                self._board.add_scalar(name, value, progress.images)

    def draw(self, progress: Progress, vae: VAE, images: torch.Tensor) -> None:
        """Draws reconstructions, samples and interpolations. images: (N, 3, S, S) in [-1, 1], of which 32 are shown."""
        images = images[:32]
        grids = {
            "reconstructions": reconstruction_grid(vae, images),
            "samples": sample_grid(vae),
        }
        if len(images) > 1:
            grids["interpolations"] = interpolation_grid(vae, images[:16])
        for name, grid in grids.items():
            pixels = to_pixels(grid[None])[0]
            Image.fromarray(pixels).save(self._grids / f"{progress.images:09d}-{name}.png")
            if self._board:
                self._board.add_image(name, pixels, progress.images, dataformats="HWC")
        if self._board:
            self._board.flush()

    def close(self) -> None:
        if self._board:
            self._board.close()
