"""What was measured of a model, as far as a promotion needs it: the figures of a results file, and conditions on them.

The file is the one that ``facemix evaluate`` writes (`docs/evaluation.md`). It is read here by its documented members,
since measuring stands on a floor above this one.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from facemix.errors import PromotionRefused, RequestInvalid

RESULTS_FILE = "results.json"
_FORMAT, _SCHEMAS = "facemix-evaluation", (1, 2)
_MOST_BYTES = 16 * 1024 * 1024
_PARTS = ("reconstruction", "midpoints", "samples", "wrinkles")
_LATENT = ("kl", "active_units", "correlation_rms")
_CONDITION = re.compile(
    r"\s*([a-z0-9_]+(?:\.[a-z0-9_]+)?)\s*(<=|>=|<|>)\s*([+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Measured:
    """What a results file says of one model.

    Attributes:
        file_sha256: which file it was.
        data: the data set and its split, as ``utkface, test split``.
        faces, pairs: how many were measured.
        figures: means by name, as ``reconstruction.identity_distance``; what was not measured is missing.
        milliseconds: to encode and to decode a face where it was measured, by ``encode_ms`` and ``decode_ms``.
        conditions: those that it had to meet when it was promoted.
    """

    file_sha256: str
    data: str
    faces: int
    pairs: int
    figures: Mapping[str, float]
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()

    def figure(self, name: str) -> float | None:
        """A figure by its whole name, or by the last part of it where only one has that; None where there is none."""
        names = self.names(name)
        return self.figures[names[0]] if len(names) == 1 else None

    def names(self, name: str) -> list[str]:
        """The whole names that `name` may mean."""
        if name in self.figures:
            return [name]
        return sorted(whole for whole in self.figures if whole.partition(".")[2] == name)

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` wrote."""
        found = json.loads(text)
        return cls(**{**found, "conditions": tuple(found["conditions"])})


@dataclass(frozen=True)
class Condition:
    """Something that a figure must meet, as ``identity_distance<=0.4``."""

    name: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `RequestInvalid` for anything but a name, one of <= >= < > and a number."""
        match = _CONDITION.fullmatch(text)
        if match is None or not math.isfinite(limit := float(match[3])):
            raise RequestInvalid(
                f"{text[:80]!r} is no condition",
                hint="write a figure, a comparison and a number, as in identity_distance<=0.4",
                where="--require",
            )
        return cls(match[1], match[2], limit)

    def unmet_by(self, measured: Measured) -> str | None:
        """Why it is not met, in a few words; None where it is.

        Raises:
            RequestInvalid: several figures have that name.
        """
        names = measured.names(self.name)
        if len(names) > 1:
            raise RequestInvalid(
                f"{self.name!r} may mean {' or '.join(names)}", hint="write the whole name", where="--require"
            )
        if not names:
            return f"{self.name} was not measured"
        value = measured.figures[names[0]]
        if _COMPARE[self.comparison](value, self.limit):
            return None
        return f"{self.name} is {value:g}, not {self.comparison} {self.limit:g}"

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.limit:g}"


def read_measured(path: Path, weights: str) -> Measured:
    """Reads a results file.

    Args:
        weights: SHA-256 of the weights that it must be of.

    Raises:
        PromotionRefused: the file cannot be read, is none, or is of other weights.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _refused(f"there are no results at {path}: {error.strerror}") from error
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("it is too large")
        found = json.loads(data)
        if found["format"] != _FORMAT or found["schema_version"] not in _SCHEMAS:
            raise ValueError(f"its format is {found['format']!r}, {found['schema_version']!r}")
        subject = found["subjects"][found["model"]]
        of = subject["identity"]["weights_sha256"]
        measured = Measured(
            file_sha256=hashlib.sha256(data).hexdigest(),
            data=f"{found['data']['name']}, {found['data']['split']} split"[:200],
            faces=int(found["data"]["faces"]),
            pairs=int(found["data"]["pairs"]),
            figures=dict(_figures(subject)),
            milliseconds=dict(_milliseconds(found)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(f"{path} is no results file: {type(error).__name__}: {str(error)[:100]}") from error
    if of != weights:
        raise _refused(f"the results in {path} are of the weights {str(of)[:12]}, not of {weights[:12]}")
    return measured


def _figures(subject: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for part in _PARTS:
        for name, figure in (subject.get(part) or {}).items():
            if (value := figure["mean"]) is not None:
                yield f"{part}.{name}", _number(value)
    latent = subject.get("latent") or {}
    for name in _LATENT:
        value = latent.get(name)
        value = value["mean"] if isinstance(value, Mapping) else value
        if value is not None:
            yield f"latent.{name}", _number(value)


def _milliseconds(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    times = found.get("timing", {}).get("per_face", {}).get(found["model"], {})
    for name in ("encode_ms", "decode_ms"):
        if times.get(name) is not None:
            yield name, _number(times[name])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no figure")
    return float(value)


def _refused(message: str) -> PromotionRefused:
    return PromotionRefused(
        message, hint="measure the model with `facemix evaluate`, and name the file with --results", where="--results"
    )
