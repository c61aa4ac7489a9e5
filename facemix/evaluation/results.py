"""The results file: its schema, written and read. `docs/evaluation.md` explains every figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from facemix.errors import ConfigError, RequestInvalid

SCHEMA = 3
BANDS = 4  # of spatial frequency in which sharpness and flicker are measured, the finest first
_DIGITS = 6


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


# Six significant digits: more than any interval is worth, fewer than the processors agree on.
Number = Annotated[float, BeforeValidator(_rounded), PlainSerializer(_rounded, return_type=float)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Part):
    """A mean (or other figure) with its 95 % bootstrap interval, over n faces or pairs; None where n is 0.

    A figure of two whole sets has no interval: `low` and `high` are None.
    """

    mean: Number | None
    low: Number | None
    high: Number | None
    n: int


Figures = dict[str, Figure]


class Group(_Part):
    """The figures of one labelled group, and how many faces it has."""

    count: int
    figures: Figures


class Grouping(_Part):
    """One label: its groups, and the worst group's mean squared error (of the gates: share refused) over the best
    one's.

    `too_few` groups have figures, but no say in `worst_to_best`, nor in the same of the identity distances.
    """

    groups: dict[str, Group]
    unlabelled: int
    too_few: tuple[str, ...]
    worst_to_best: Figure | None
    worst_to_best_identity: Figure | None = None


class Gates(_Part):
    """Whom `facemix prepare` turned away, over all splits.

    Attributes:
        photographs: readable ones.
        refused: those of them in which no usable face was seen.
        reasons: why, with counts; files that could not be read are counted here alone.
    """

    photographs: int
    refused: int
    reasons: dict[str, int]
    groups: dict[str, Grouping]


class Latent(_Part):
    """How the latents of the split lie. Summaries are over the latent's dimensions."""

    kl: Figure = Field(description="nats per face")
    kl_per_dimension: dict[str, Number]
    active_units: int
    aggregate_mean: dict[str, Number]
    aggregate_variance: dict[str, Number]
    correlation_rms: Number


class Cost(_Part):
    """What the model takes. FLOPs count a multiplication and an addition as two."""

    parameters: int
    encoder_parameters: int
    decoder_parameters: int
    encode_flops: int
    decode_flops: int
    training_seconds: Number | None
    training_images: int | None


class Identity(_Part):
    """Which checkpoint this is, and whether it was trained on this very manifest (None: its card does not say)."""

    name: str
    weights_sha256: str
    created: str
    latent_schema: int
    code_version: str
    same_manifest: bool | None


class Subject(_Part):
    """Everything measured of one model or baseline; what does not apply is None."""

    kind: Literal["vae", "pca", "cross-fade"]
    identity: Identity | None = None
    fitted_images: int | None = None
    latent_size: int | None = None
    reconstruction: Figures | None = None
    latent: Latent | None = None
    samples: Figures | None = None
    midpoints: Figures | None = None
    wrinkles: Figures | None = None
    groups: dict[str, Grouping] | None = None
    cost: Cost | None = None


class Margins(_Part):
    """The model minus another subject, face by face and pair by pair; empty where the other has no such figures."""

    reconstruction: Figures
    midpoints: Figures


class SharpView(_Part):
    """Ways from one photograph to another at one side, in pixels.

    Attributes:
        textured: whether fine texture, known exactly, was added to the photographs.
        ways: figures by way; ``carry`` is the mix with the photographs' detail.
        margins: by way, the carry minus it, pair by pair.
    """

    side: int
    textured: bool
    ways: dict[str, Figures]
    margins: dict[str, Figures]


class Sharp(_Part):
    """Results at the photographs' own size, by the name of the view; over so many pairs of strangers."""

    pairs: int
    views: dict[str, SharpView]


class Data(_Part):
    """The faces that were measured."""

    name: str
    manifest_sha256: str
    crop_size: int
    split: str
    faces: int
    split_faces: int
    pairs: int


class Results(_Part):
    """One run of `facemix evaluate`. Equal inputs give equal results but for `timing`.

    Attributes:
        subjects: what was measured, by name; `model` names the checkpoint that the run is about.
        margins: the model against each other subject.
        embedder: what measured identity distances; None where it was not installed, and they are null.
        reference: figures of the photographs themselves, against which the subjects' are read.
        gates: refused photographs per labelled group.
        sharp: results at the photographs' own size; None where they were not asked for.
    """

    format: Literal["facemix-evaluation"] = "facemix-evaluation"
    schema_version: Literal[1, 2, 3] = SCHEMA  # each only adds: what an older file lacks is None
    model: str
    data: Data
    seed: int
    resamples: int
    code_version: str
    subjects: dict[str, Subject]
    margins: dict[str, Margins]
    embedder: str | None = None
    reference: Figures = Field(default_factory=dict)
    gates: Gates | None = None
    sharp: Sharp | None = None
    timing: dict[str, Any]


def write_results(path: Path, results: Results) -> None:
    """Writes the file, whole or not at all.

    Raises:
        RequestInvalid: it cannot be written there.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(json.dumps(results.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
        unfinished.replace(path)
    except OSError as error:
        raise RequestInvalid(
            f"cannot be written: {error.strerror}", hint="name a file in an existing, writable folder", where=str(path)
        ) from error


def read_results(path: Path) -> Results:
    """Reads what `write_results` wrote.

    Raises:
        ConfigError: the file cannot be read, or is not a results file of this schema.
    """
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="write one with `facemix evaluate --out FILE`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path} is not a results file of schema {SCHEMA}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            hint="write it again with `facemix evaluate --out FILE`",
        ) from error
