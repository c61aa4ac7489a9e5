"""What a run needs to go on after a kill: weights, their average, the optimiser's moments, the position.

Tensors go into one safetensors file, everything else into its metadata, so that no pickle is ever loaded and
a half-written file never takes the place of a whole one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from facemix.errors import CheckpointCorrupt


@dataclass
class Progress:
    """step: optimiser steps done. images: training images seen. seconds: spent training, over all runs."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0


def save_state(
    path: Path,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    fingerprint: str,
) -> None:
    """Writes the state of a run. `fingerprint` names the configuration and data that it belongs to."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, metadata={"progress": json.dumps(asdict(progress)), "fingerprint": fingerprint})
    unfinished.replace(path)


def load_state(
    path: Path,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    fingerprint: str,
) -> Progress:
    """Restores what `save_state` wrote, into the given objects.

    Raises:
        CheckpointCorrupt: the file is damaged, or belongs to another configuration or data set.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if metadata["fingerprint"] != fingerprint:
            raise CheckpointCorrupt(
                f"{path} belongs to a run with another configuration or data set",
                hint="name another folder for this run, or delete that one to begin again",
            )
        model.load_state_dict(_below("model.", tensors))
        average.load_state_dict(_below("average.", tensors))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _below("optimizer.", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        _lay_out_like_parameters(optimizer)
        return Progress(**json.loads(metadata["progress"]))
    except (SafetensorError, RuntimeError, KeyError, OSError, TypeError, ValueError) as error:
        raise CheckpointCorrupt(
            f"{path} cannot be resumed from: {error}",
            hint="delete the run's folder to begin again",
        ) from error


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Gives each moment the memory format of its parameter, which the file does not keep.

    The fused optimiser walks through both as they lie in memory: a channels-last weight would otherwise be
    updated with the moments of other weights, without an error on the CPU.
    """
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
