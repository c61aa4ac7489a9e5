"""Attribute directions as they lie beside a checkpoint: ways through the latent along which one thing changes.

They belong to one set of weights. ``attributes.json`` says what each direction is and what it was measured to do,
``attributes.safetensors`` holds the directions. `facemix.training.directions` fits them, `facemix.mixing.attributes`
moves latents along them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from facemix.errors import AttributesMissing, CheckpointCorrupt, ModelMismatch
from facemix.vae.checkpoint import LATENT_SCHEMA, Card

ATTRIBUTES_FILE = "attributes.json"
DIRECTIONS_FILE = "attributes.safetensors"
_DIRECTIONS = "directions"

Source = Literal["label", "landmarks", "pixels"]


class Effect(BaseModel):
    """By how much one step along a direction changes an attribute, in standard deviations of that attribute.

    Both are means over faces of half the difference between a step forwards and a step backwards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probe: float = Field(description="read by the linear probe from the decoded picture, encoded again")
    picture: float | None = Field(None, description="measured in the decoded picture; null where it is a label")


class Attribute(BaseModel):
    """What one direction is, and what it was measured to do. A step is a value of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    title: str = Field(description="for people")
    low: str = Field(description="the end of negative values, for people")
    high: str = Field(description="the end of positive values, for people")
    source: Source = Field(description="read from the data set's labels, or measured")
    definition: str = Field(description="what exactly was read or measured")
    unit: str = Field(description="of mean, spread and step; empty where the measure has none")
    faces: int = Field(ge=0, description="training photographs with this attribute, mirror images not counted")
    mean: float = Field(description="over those")
    spread: float = Field(gt=0, description="standard deviation over those")
    r2: float = Field(le=1, description="share of its variance that the probe explains on the validation split")
    step: float = Field(description="change of the probe's reading by one step, in its unit")
    deviation: float = Field(gt=0, description="standard deviation of the latents along the direction: a step's length")
    distance: float = Field(
        gt=0, description="Mahalanobis length of a step: 1 when keeping the other attributes still costs nothing"
    )
    effect: Effect | None = Field(None, description="on itself; null where it was not measured")
    side_effects: dict[str, Effect] = Field(default_factory=dict, description="on each other attribute")
    identity: float | None = Field(
        None, description="median distance by which one step moves the face embedder's point; null without one"
    )


class AttributesCard(BaseModel):
    """What a set of directions says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    model: str = Field(description="name of the checkpoint, for people")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the checkpoint's weights")
    latent_schema: int = LATENT_SCHEMA
    tensors_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    attributes: tuple[Attribute, ...] = Field(min_length=1)
    refused: dict[str, str] = Field(default_factory=dict, description="attributes that were tried, and why not kept")
    held: tuple[str, ...] = Field(
        default=(), description="labels of the data set that no direction moves, as far as linear probes can tell"
    )
    fitting: dict[str, Any] = Field(default_factory=dict, description="data set, counts, seed, version of the program")


@dataclass(frozen=True)
class AttributeDirections:
    """The directions of one model.

    Attributes:
        card: what they are.
        directions: (K, Z) float32, unit vectors, in the order of `card.attributes`.
    """

    card: AttributesCard
    directions: torch.Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.card.attributes)

    def save(self, folder: Path) -> None:
        """Writes the two files into `folder`, each whole or not at all; the card names the tensors by SHA-256."""
        tensors = save({_DIRECTIONS: self.directions.contiguous()})
        card = self.card.model_copy(update={"tensors_sha256": hashlib.sha256(tensors).hexdigest()})
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / DIRECTIONS_FILE, tensors)
        _write(folder / ATTRIBUTES_FILE, (card.model_dump_json(indent=2) + "\n").encode())


def load_directions(folder: Path, model: Card) -> AttributeDirections:
    """Reads directions.

    Args:
        folder: most often the checkpoint's.
        model: the checkpoint's card.

    Raises:
        AttributesMissing: there are none; mixing does without.
        ModelMismatch: they were fitted to other weights.
        CheckpointCorrupt: a file is damaged, or does not fit the card.
    """
    card = _read_card(folder / ATTRIBUTES_FILE)
    if (card.weights_sha256, card.latent_schema) != (model.weights_sha256, model.latent_schema):
        raise ModelMismatch(
            f"the attribute directions in {folder} belong to {card.model}@{card.weights_sha256[:12]}, "
            f"not to {model.name}@{model.weights_sha256[:12]}",
            hint="fit them again with `facemix directions CHECKPOINT DATA`",
        )
    path = folder / DIRECTIONS_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.tensors_sha256:
        raise _corrupt(f"{path} has SHA-256 {found[:16]}..., its card says {card.tensors_sha256[:16]}...")
    try:
        directions = load(data)[_DIRECTIONS].float()
    except (SafetensorError, KeyError) as error:
        raise _corrupt(f"{path} holds no directions: {error}") from error
    latent_size = model.config.latent_size
    if directions.shape != (len(card.attributes), latent_size) or not bool(directions.isfinite().all()):
        raise _corrupt(
            f"{path} does not hold {len(card.attributes)} directions of {latent_size} finite numbers, "
            f"but a tensor of {tuple(directions.shape)}"
        )
    return AttributeDirections(card, directions)


def _read_card(path: Path) -> AttributesCard:
    try:
        return AttributesCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _missing(path, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _corrupt(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _missing(path: Path, error: OSError) -> AttributesMissing:
    return AttributesMissing(
        f"{path} cannot be read: {error.strerror}",
        hint="fit the directions with `facemix directions CHECKPOINT DATA`",
    )


def _corrupt(message: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(message, hint="copy the files again, or run `facemix directions CHECKPOINT DATA`")


def _write(path: Path, data: bytes) -> None:
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)
