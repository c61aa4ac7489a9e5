"""What may be mixed, and what is done to a mix, as the endpoint reads them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

Points = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Photo:
    """A photograph, with what is to be said of it.

    Attributes:
        source: a path, or the file's bytes.
        face: which face of it, largest first.
        placed: left eye, right eye and mouth in pixels of the upright photograph, where no face is found.
    """

    source: str | Path | bytes = field(repr=False)
    face: int | None = None
    placed: Points | None = None


@dataclass(frozen=True)
class Sample:
    """A face of nobody, by its number."""

    number: int


@dataclass(frozen=True)
class FaceId:
    """A face that was uploaded with `Client.faces`."""

    id: str


@dataclass(frozen=True)
class Latent:
    """A latent.

    Attributes:
        model: the member `model` of a recipe.
        z: base64 of little-endian float32.
        origin: id of the saved recipe whose result it is, if it is one.
    """

    model: Mapping[str, Any]
    z: str = field(repr=False)
    origin: str | None = None


@dataclass(frozen=True)
class RecipeId:
    """The result of a saved recipe."""

    id: str


# A string is a path; a mapping is a recipe without photographs, whose result it is.
Parent = str | Path | bytes | Photo | Sample | FaceId | Latent | RecipeId | Mapping[str, Any]


class FilmEdits(TypedDict, total=False):
    """What is done to all frames of a film besides weighing its parents; see docs/recipe.md."""

    interpolation: Literal["lerp", "slerp"]
    vividness: float
    attributes: Mapping[str, float]
    prompt: str
    negative_prompt: str
    regions: Mapping[str, Sequence[float]]
    colour: Sequence[float] | None
    variation: Mapping[str, float] | None
    detail: float
    keep: Mapping[str, int | Literal["mixed"]]
    seed: int


class FaceEdits(FilmEdits, total=False):
    """The same of faces that stay."""

    size: int | None


class Edits(FaceEdits, total=False):
    """The same of a single mix."""

    placement: Mapping[str, Any] | None


def read(source: str | Path | bytes) -> bytes:
    """Raises OSError."""
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def parent_bodies(parents: Sequence[Parent], weights: Sequence[float] | None) -> list[dict[str, Any]]:
    """Raises ValueError for another number of weights than of parents, TypeError for what is no parent."""
    if isinstance(parents, str | bytes):
        raise TypeError("parents is one photograph; give a list of them")
    if weights is not None and len(weights) != len(parents):
        raise ValueError(f"{len(weights)} weights were given for {len(parents)} parents")
    bodies = [_body(parent) for parent in parents]
    if weights is not None:
        bodies = [body | {"weight": float(weight)} for body, weight in zip(bodies, weights, strict=True)]
    return bodies


def _body(parent: Parent) -> dict[str, Any]:
    if isinstance(parent, str | Path | bytes):
        parent = Photo(parent)
    if isinstance(parent, Photo):
        body: dict[str, Any] = {"image": base64.b64encode(read(parent.source)).decode("ascii")}
        if parent.face is not None:
            body["face"] = parent.face
        if parent.placed is not None:
            body["placed"] = placed_body(parent.placed)
        return body
    if isinstance(parent, Sample):
        return {"sample": parent.number}
    if isinstance(parent, FaceId):
        return {"face_id": parent.id}
    if isinstance(parent, Latent):
        origin = {} if parent.origin is None else {"origin": parent.origin}
        return {"latent": {"model": dict(parent.model), "z": parent.z, **origin}}
    if isinstance(parent, RecipeId):
        return {"recipe": parent.id}
    if isinstance(parent, Mapping):
        return {"recipe": dict(parent)}
    raise TypeError(f"{type(parent).__name__} is no parent")


def placed_body(placed: Points) -> dict[str, list[float]]:
    return {name: list(point) for name, point in zip(("left_eye", "right_eye", "mouth"), placed, strict=True)}
