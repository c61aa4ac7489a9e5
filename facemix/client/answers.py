"""What the endpoint answers. Members that a newer server adds are left out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from facemix.client.parents import FaceId

_ENDINGS = {"image/png": (".png",), "image/jpeg": (".jpg", ".jpeg"), "image/webp": (".webp",)}

T = TypeVar("T")


def picked(kind: type[T], answer: Mapping[str, Any], **instead: Any) -> T:
    """A data class from the members that it knows."""
    known = {one.name: answer[one.name] for one in fields(kind) if one.name in answer}  # type: ignore[arg-type]
    return kind(**{**known, **instead})


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True)
class Note:
    """Something to know about a result."""

    code: str
    message: str


@dataclass(frozen=True)
class Picture:
    """A picture as a file."""

    data: bytes = field(repr=False)
    media_type: str

    def save(self, path: str | Path) -> Path:
        """Writes the file. Raises ValueError for an ending that says something else, OSError."""
        path = Path(path)
        if path.suffix.lower() not in _ENDINGS.get(self.media_type, (path.suffix.lower(),)):
            raise ValueError(f"{path.name} is no name for {self.media_type}")
        path.write_bytes(self.data)
        return path

    @classmethod
    def embedded(cls, image: Mapping[str, Any]) -> Picture:
        return Picture(base64.b64decode(image["base64"]), image["media_type"])


@dataclass(frozen=True)
class Result(Picture):
    """A mix.

    Attributes:
        recipe: what `Client.replay` draws again.
        notes: what edits pull in that no parent has.
        faces: what was used of each parent.
        model: id of the model that drew it.
    """

    recipe: dict[str, Any]
    notes: tuple[Note, ...]
    faces: tuple[dict[str, Any], ...]
    model: str
    request_id: str


@dataclass(frozen=True)
class Explanation:
    """Why a face looks as it does; `docs/explaining.md` says what each member means.

    Attributes:
        parents: what each drew: name, weight, influence, regions.
        edits: what each moved: name, value, mean, most, regions.
        closeness: the nearest training faces and the alarm, None where the model has no index of them.
        record: what the result was made under.
        pictures: the heat maps, as ``parent A`` and ``edit smile``.
    """

    recipe: dict[str, Any]
    parents: tuple[dict[str, Any], ...]
    edits: tuple[dict[str, Any], ...]
    closeness: dict[str, Any] | None
    record: dict[str, Any]
    pictures: dict[str, Picture] = field(repr=False)
    faces: tuple[dict[str, Any], ...]
    model: str
    request_id: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Explanation:
        """From what the endpoint answers."""
        pictures = {
            f"{kind} {one['name']}": Picture.embedded(one["picture"])
            for kind in ("parent", "edit")
            for one in answer[f"{kind}s"]
        }
        parents, edits = (
            tuple({name: value for name, value in one.items() if name != "picture"} for one in answer[member])
            for member in ("parents", "edits")
        )
        return picked(
            cls,
            answer,
            parents=parents,
            edits=edits,
            pictures=pictures,
            faces=tuple(answer["faces"]),
            model=answer["model"]["id"],
        )


@dataclass(frozen=True)
class Face:
    """A face of a photograph.

    Attributes:
        id: to mix by, None for one that is refused.
        refusal: why it cannot be mixed, as a problem document, or None.
        crop: what the model sees.
    """

    id: str | None
    expires_at: datetime | None
    index: int
    box: dict[str, float]
    landmarks: dict[str, dict[str, float]]
    quality: dict[str, float | None]
    warnings: tuple[Note, ...]
    refusal: dict[str, Any] | None
    crop: Picture

    @property
    def parent(self) -> FaceId:
        """Raises ValueError for a face that is refused."""
        if self.id is None:
            raise ValueError(self.refusal["detail"] if self.refusal else "the face was not kept")
        return FaceId(self.id)


@dataclass(frozen=True)
class GridCell:
    row: int
    column: int
    weights: tuple[float, ...]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Grid(Picture):
    """A grid: all faces in one picture without labels, `side` pixels each, and a recipe for each."""

    kind: str
    rows: int
    columns: int
    side: int
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    cells: tuple[GridCell, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Attribute:
    """What can be moved: from -limit to limit, a value of 1 being `step` units."""

    name: str
    title: str
    low: str
    high: str
    limit: float
    step: float
    unit: str


@dataclass(frozen=True)
class Word:
    word: str
    attribute: str
    value: float


@dataclass(frozen=True)
class Attributes:
    model: str
    attributes: tuple[Attribute, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Prompt:
    """What words say. unknown: the terms that say nothing."""

    attributes: dict[str, float]
    unknown: tuple[str, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Region:
    """mask: a white PNG, its opacity the region's share of each pixel."""

    name: str
    title: str
    mask: Picture


@dataclass(frozen=True)
class Model:
    """status: ``live`` for the one that answers."""

    id: str
    status: str
    crop_size: int | None
    licence: str
    limitations: tuple[str, ...]


@dataclass(frozen=True)
class Saved:
    """A recipe behind a link. The token is told this once."""

    id: str
    url: str
    picture_url: str
    delete_url: str
    delete_token: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True)
class SavedRecipe:
    """available: whether its model is live."""

    id: str
    recipe: dict[str, Any]
    created_at: datetime
    expires_at: datetime | None
    available: bool
    picture_url: str


def notes_of(answer: Mapping[str, Any], member: str = "notes") -> tuple[Note, ...]:
    return tuple(picked(Note, note) for note in answer.get(member, ()))
