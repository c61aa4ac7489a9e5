"""Many mixes from a table: what its rows ask for, what the results are called, and what became of each.

The command line and the endpoint read the same tables and write the same manifests.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import PurePosixPath
from typing import Any

from facemix.errors import FacemixError, RequestInvalid
from facemix.mixing.notes import Note
from facemix.mixing.recipe import MOST_PARENTS, TRAITS, Edits, ModelIdentity, Recipe, normalise_weights
from facemix.mixing.shorthand import read_keep
from facemix.serving.types import ParentInput, PhotoInput, SampleInput

TABLE = "pairs.csv"
MANIFEST = "manifest.json"
MANIFEST_VERSION = 1

RESULT_NAME = re.compile(r"\d{4,}-.+\.(png|jpg|webp)")  # see `result_name`

_PAIR = ("a", "b", "weight")
_EDITS = ("interpolation", "vividness", "detail", "size", "seed")
_OTHERS = ("name", "prompt", "negative_prompt", *_EDITS)
_ATTRIBUTE, _KEEP = "attr:", "keep:"
_KEPT = tuple(f"{_KEEP}{trait}" for trait in TRAITS)
_NUMBERED = re.compile(r"([pw])([1-9]\d?)\Z", re.ASCII)
_SAMPLE = re.compile(r"sample:(\d{1,10})\Z", re.ASCII)
_UNFIT = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 48  # characters; each has at most four bytes, and file systems take 255
_COLUMNS_HINT = "the columns are a, b and weight, or p1, w1, p2, w2, ...; and name, attr:NAME, prompt, keep:hair, ..."


@dataclass(frozen=True)
class Wish:
    """What one row asks for.

    Attributes:
        sources: of each parent the photograph's path below the table's folder, or the number of a sample face.
        weights: one for each; they sum to 1.
        edits: all but what the prompts add.
    """

    sources: tuple[str | int, ...]
    weights: tuple[float, ...]
    edits: Edits
    prompt: str = ""
    negative_prompt: str = ""

    def parents(self, read: Callable[[str], bytes]) -> tuple[ParentInput, ...]:
        """read: gives the bytes of a photograph by its path; what it raises is raised."""
        return tuple(
            SampleInput(source, f"sample:{source}", weight)
            if isinstance(source, int)
            else PhotoInput(read(source), source, weight=weight)
            for source, weight in zip(self.sources, self.weights, strict=True)
        )


@dataclass(frozen=True)
class Row:
    """One row of a table. `number` counts them from 1; `wish` is an error where it cannot be understood."""

    number: int
    name: str
    wish: Wish | FacemixError


def read_table(data: bytes, *, most: int | None = None, where: str = TABLE) -> list[Row]:
    """The rows of a table: comma-separated UTF-8 with a line of column names.

    Args:
        most: how many rows it may have.
        where: what an error calls it.

    Raises:
        RequestInvalid: it is no such table, has no rows or too many, or a column that is not known. What is wrong with
            a single row stands in that row.
    """
    try:
        lines = list(csv.reader(StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestInvalid(
            f"it is no table: {error}", hint="write comma-separated values as UTF-8", where=where
        ) from error
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    columns = [cell.strip() for cell in lines[0]] if lines else []
    _check_columns(columns, where)
    if len(lines) == 1:
        raise RequestInvalid("the table has no rows", hint="write a row for each mix", where=where)
    if most is not None and len(lines) - 1 > most:
        raise RequestInvalid(
            f"the table has {len(lines) - 1} rows", hint=f"{most} are the most; send several tables", where=where
        )
    return [_row(number, columns, line) for number, line in enumerate(lines[1:], 1)]


def result_name(number: int, name: str, extension: str) -> str:
    """The file of a result: its number, and as much of its name as every file system takes."""
    plain = _UNFIT.sub("_", unicodedata.normalize("NFC", name))[:_LONGEST_NAME].strip("._-")
    return f"{number:04d}-{plain or 'face'}{extension}"


def made(
    number: int, name: str, file: str, sha256: str, recipe: Recipe, notes: Sequence[Note], **more: Any
) -> dict[str, Any]:
    """What the manifest says of a result. sha256: of the file."""
    said = [{"code": note.code, "message": note.message} for note in notes]
    recipe_ = recipe.model_dump(mode="json")
    return {"number": number, "name": name, "file": file, "sha256": sha256, "recipe": recipe_, "notes": said} | more


def failed(number: int, name: str, error: FacemixError) -> dict[str, Any]:
    """What the manifest says of a row that came to nothing."""
    problem = {
        "code": error.code,
        "title": error.title,
        "detail": error.message[:1000],
        "hint": error.hint[:500],
        "where": error.where,
    }
    return {"number": number, "name": name, "problem": problem}


def manifest(model: ModelIdentity, items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """items: of `made` and `failed`."""
    listed = sorted(items, key=lambda item: item["number"])
    failures = sum("problem" in item for item in listed)
    return {
        "version": MANIFEST_VERSION,
        "model": model.model_dump(mode="json"),
        "made": len(listed) - failures,
        "failed": failures,
        "items": listed,
    }


def safe_path(text: str, *, where: str | None = None) -> str:
    """A relative path without detours. Raises `RequestInvalid` for one that leads elsewhere."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text or ":" in text or not path.name:
        raise RequestInvalid(
            f"{text[:100]!r} is not below the folder of the table",
            hint="name photographs by their paths from there, as in people/anna.jpg",
            where=where,
        )
    return str(path)


def _check_columns(columns: Sequence[str], where: str) -> None:
    for place, name in enumerate(columns):
        known = name in _PAIR or name in _OTHERS or name in _KEPT or _NUMBERED.match(name)
        known = known or name.startswith(_ATTRIBUTE)
        if not known or name in columns[:place]:
            said = "there twice" if known else "not known"
            raise RequestInvalid(f"the column {name[:60]!r} is {said}", hint=_COLUMNS_HINT, where=where)
    pair = [name for name in columns if name in _PAIR]
    numbered = [name for name in columns if _NUMBERED.match(name)]
    photos = sorted(int(name[1:]) for name in numbered if name[0] == "p")
    whole = photos == list(range(1, len(photos) + 1)) and len(photos) <= MOST_PARENTS
    orphans = [name for name in numbered if name[0] == "w" and int(name[1:]) not in photos]
    if bool(pair) == bool(numbered) or (pair and not {"a", "b"} <= {*pair}) or not whole or orphans:
        raise RequestInvalid("the columns do not name faces", hint=_COLUMNS_HINT, where=where)


def _row(number: int, columns: Sequence[str], line: Sequence[str]) -> Row:
    cells = {name: cell.strip() for name, cell in zip(columns, line, strict=False) if cell.strip()}
    name = cells.get("name", "")
    try:
        if any(cell.strip() for cell in line[len(columns) :]):
            raise RequestInvalid(
                f"the row has {len(line)} cells for {len(columns)} columns", hint="put cells with a comma in quotes"
            )
        wish = _wish(cells, paired="a" in columns)
    except FacemixError as error:
        return Row(number, name or f"row {number}", error)
    return Row(number, name or "-".join(_called(source) for source in wish.sources), wish)


def _wish(cells: Mapping[str, str], *, paired: bool) -> Wish:
    sources, weights = _pair(cells) if paired else _numbered(cells)
    kinds: dict[str, Callable[[str, str], Any]] = {
        "vividness": _number,
        "detail": _number,
        "size": _whole,
        "seed": _whole,
    }
    edits = {name: kinds.get(name, _text)(cells[name], name) for name in _EDITS if name in cells}
    attributes = {
        name.removeprefix(_ATTRIBUTE): _number(cell, name)
        for name, cell in cells.items()
        if name.startswith(_ATTRIBUTE)
    }
    kept = [f"{name.removeprefix(_KEEP)}={cells[name]}" for name in _KEPT if name in cells]
    return Wish(
        sources=tuple(_source(text, where) for where, text in sources.items()),
        weights=normalise_weights(weights),
        edits=Edits.of(**edits, attributes=attributes, keep=read_keep(kept, where="keep")),
        prompt=cells.get("prompt", ""),
        negative_prompt=cells.get("negative_prompt", ""),
    )


def _pair(cells: Mapping[str, str]) -> tuple[dict[str, str], list[float]]:
    for name in ("a", "b"):
        if name not in cells:
            raise RequestInvalid(f"there is no face {name}", hint="name a photograph, or sample:12", where=name)
    weight = _number(cells.get("weight", "0.5"), "weight")
    if not 0 <= weight <= 1:
        raise RequestInvalid(f"weight is {weight:g}", hint="it is the share of b, from 0 to 1", where="weight")
    return {name: cells[name] for name in ("a", "b")}, [1 - weight, weight]


def _numbered(cells: Mapping[str, str]) -> tuple[dict[str, str], list[float]]:
    sources = {f"p{place}": cells[f"p{place}"] for place in range(1, MOST_PARENTS + 1) if f"p{place}" in cells}
    weights = {name: _number(cells[f"w{name[1:]}"], f"w{name[1:]}") for name in sources if f"w{name[1:]}" in cells}
    given = sum(name.startswith("w") and name[1:].isdigit() for name in cells)
    if not sources or (weights and len(weights) < len(sources)) or given > len(weights):
        raise RequestInvalid(
            f"{given} weights were given for {len(sources)} faces",
            hint="give every face a weight, or none for equal shares",
        )
    return sources, list(weights.values()) or [1.0] * len(sources)


def _source(text: str, where: str) -> str | int:
    match = _SAMPLE.match(text)
    if match is None:
        return safe_path(text, where=where)
    number = int(match[1])
    if number >= 2**31:
        raise RequestInvalid(f"{text} names no sample", hint="write sample:0, sample:1, ...", where=where)
    return number


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestInvalid(
            f"{where} is {text[:40]!r}", hint="write a number, with a point for decimals", where=where
        ) from None


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise RequestInvalid(f"{where} is {text[:40]!r}", hint="write a whole number", where=where)
    return int(text)


def _text(text: str, where: str) -> str:
    return text


def _called(source: str | int) -> str:
    return f"sample{source}" if isinstance(source, int) else PurePosixPath(source).stem
