"""The checkpoint: a folder with ``model.safetensors`` and ``card.json``.

The card names the weights by their SHA-256, so a truncated or edited file is refused before a single tensor is
read, and it says what the weights were trained on and under which terms. No pickle is ever loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from facemix.errors import CheckpointCorrupt, CheckpointMissing
from facemix.vae.config import VAEConfig
from facemix.vae.networks import VAE
from facemix.vae.prior import LatentPrior

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
LATENT_SCHEMA = 1


class Card(BaseModel):
    """What a checkpoint says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    created: str = Field(description="date and time, ISO 8601, UTC")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    latent_schema: int = LATENT_SCHEMA
    config: VAEConfig
    training: dict[str, Any] = Field(description="the training configuration, whole")
    data: dict[str, Any] = Field(description="what it was trained on: name, manifest hash, counts, terms")
    metrics: dict[str, float] = Field(description="figures on the validation split at the end of training")
    code_version: str
    licence: str = Field(description="terms of the weights")
    limitations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with its card. `vae` is in evaluation mode, float32, on the CPU."""

    vae: VAE
    prior: LatentPrior
    card: Card
    folder: Path


def save_checkpoint(
    folder: Path, vae: VAE, *, prior: LatentPrior | None = None, half: bool = True, **card: Any
) -> Card:
    """Writes weights and card; each file appears whole or not at all.

    Args:
        prior: where new latents are drawn; None stores none, and N(0, I) holds.
        half: store float16: half the size, for an output error of less than one grey level.
        card: the card's fields, without `weights_sha256` and `config`, which are filled in here.
    """
    parts = vae.state_dict() | (prior.tensors() if prior else {})
    dtype = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(dtype).contiguous() for name, value in parts.items()}
    data = save(tensors)
    full = Card(weights_sha256=hashlib.sha256(data).hexdigest(), config=vae.config, **card)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / WEIGHTS_FILE, data)
    _write(folder / CARD_FILE, (full.model_dump_json(indent=2) + "\n").encode())
    return full


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        CheckpointMissing: a file is not there.
        CheckpointCorrupt: the card is not one, the weights are not those the card names or do not fit it,
            or the latents are laid out by another schema than this program's.
    """
    card = read_card(folder)
    if card.latent_schema != LATENT_SCHEMA:
        raise CheckpointCorrupt(
            f"the card in {folder} has latent schema {card.latent_schema}, this facemix reads {LATENT_SCHEMA}",
            hint="the checkpoint belongs to another version of facemix: use that one",
        )
    try:
        data = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise _missing(folder / WEIGHTS_FILE, error) from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.weights_sha256:
        raise CheckpointCorrupt(
            f"{folder / WEIGHTS_FILE} has SHA-256 {found[:16]}..., its card says {card.weights_sha256[:16]}...",
            hint="the file was truncated or edited: copy or check out the checkpoint again",
        )
    try:
        tensors = {name: value.float() for name, value in load(data).items()}
        prior = _take_prior(tensors, card.config.latent_size)
        with torch.random.fork_rng(devices=[]):  # on the meta device torch would import sympy: most of a second
            vae = VAE(card.config)
        vae.load_state_dict(tensors, strict=True, assign=True)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointCorrupt(
            f"the weights in {folder} do not fit the network that the card describes: {_first_line(error)}",
            hint="card and weights belong to different checkpoints, or to a newer facemix",
        ) from error
    return Checkpoint(vae.eval().requires_grad_(False), prior, card, folder)


def read_card(folder: Path) -> Card:
    """Reads the card alone.

    Raises:
        CheckpointMissing, CheckpointCorrupt: as `load_checkpoint`.
    """
    path = folder / CARD_FILE
    try:
        return Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _missing(path, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointCorrupt(
            f"{path} is not a card: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            hint="copy or check out the checkpoint again",
        ) from error


def newest_checkpoint(root: Path) -> Path:
    """The checkpoint below `root` whose card was created last.

    Raises:
        CheckpointMissing: there is none.
    """
    folders = [path.parent for path in root.glob(f"*/{CARD_FILE}")]
    if not folders:
        raise CheckpointMissing(
            f"no checkpoint in {root}",
            hint="check out the repository again, or train one with `facemix train`",
        )
    return max(folders, key=lambda folder: (read_card(folder).created, folder.name))


def _take_prior(tensors: dict[str, torch.Tensor], latent_size: int) -> LatentPrior:
    """Takes the prior's tensors out of `tensors`; N(0, I) where there are none."""
    mean, scale = tensors.pop("prior.mean", None), tensors.pop("prior.scale", None)
    if mean is None and scale is None:
        return LatentPrior.standard(latent_size)
    if mean is None or scale is None or (*mean.shape, *scale.shape) != (latent_size,) * 3:
        raise ValueError(f"the prior is incomplete or not one of {latent_size} dimensions")
    return LatentPrior(mean, scale)


def _missing(path: Path, error: OSError) -> CheckpointMissing:
    return CheckpointMissing(
        f"{path} cannot be read: {error.strerror}",
        hint="name a folder with model.safetensors and card.json, in the command or as FACEMIX_CHECKPOINT",
    )


def _write(path: Path, data: bytes) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _first_line(error: Exception) -> str:
    return json.dumps(str(error).splitlines()[0] if str(error) else type(error).__name__)
