"""The conditioning record: what one result was made under, as it is kept with its row in the ledger.

`docs/explaining.md` documents every field. It holds no latent, no picture, no name of a file, and no id that opens
anything: what was mixed is named by hashes that only the installation can make, so that nobody who reads the ledger can
tell whether a photograph that they have is in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from facemix.faces.quality import DARK, FACE_PIXELS, SHARPNESS, YAW
from facemix.faces.types import Quality

RECORD_SCHEMA = 2
MOST_BYTES = 28 * 1024  # the ledger keeps 32 KiB
_LONGEST_TEXT = 200
_MOST_MEMBERS = 64
_DEEPEST = 8


@dataclass(frozen=True)
class Reading:
    """A figure that was compared with a threshold.

    Attributes:
        name: of the gate or check.
        value: what was measured; None where it could not be.
        threshold: the figure's limit; None where there is none.
        rule: on which side of the threshold the value has to lie.
        passed: whether it does, or was let through; None where nothing was decided.
        warn: another limit, beyond which likeness suffers though nothing is refused; None where there is none.
    """

    name: str
    value: float | None
    threshold: float | None
    rule: Literal["at least", "at most"]
    passed: bool | None
    warn: float | None = None


@dataclass(frozen=True)
class ParentGates:
    """What the gates said of one parent. Without a photograph none looked at it."""

    source: Literal["photo", "sample", "latent"]
    faces: int | None = None
    readings: tuple[Reading, ...] = ()


def quality_readings(quality: Quality, photograph: float | None = None) -> tuple[Reading, ...]:
    """The gates of a face, with their thresholds.

    Args:
        photograph: likeness to a photograph below which a face is refused; None where no gate judges that.
    """
    gates = (
        ("face_pixels", quality.face_pixels, FACE_PIXELS, "at least"),
        ("sharpness", quality.sharpness, SHARPNESS, "at least"),
        ("yaw", quality.yaw, YAW, "at most"),
        ("brightness", quality.brightness, DARK, "at least"),
    )
    readings = tuple(_reading(*gate) for gate in gates)
    if math.isnan(quality.photograph):
        return readings
    passed = None if photograph is None else quality.photograph >= photograph
    return *readings, Reading("photograph", round(quality.photograph, 5), photograph, "at least", passed)


def _reading(name: str, value: float, gate: Any, rule: Any) -> Reading:
    known = math.isfinite(value)
    passed = None if not known else value >= gate.refuse if rule == "at least" else value <= gate.refuse
    return Reading(name, round(value, 5) if known else None, gate.refuse, rule, passed, gate.warn)


def conditioning_record(
    recipe: Mapping[str, Any],
    recipe_sha256: str,
    *,
    name: Callable[[str], str] | None,
    card: Mapping[str, Any],
    versions: Mapping[str, str],
    settings: Mapping[str, Any],
    gates: Sequence[ParentGates] = (),
    checks: Sequence[Reading] = (),
    at: datetime | None = None,
) -> dict[str, Any]:
    """Everything that one result depended on: JSON-serialisable, at most `MOST_BYTES` long.

    Args:
        recipe: as JSON. Photographs and latents are named by `name`; points that were placed on a face, and what would
            open a saved recipe, are left out.
        recipe_sha256: the recipe's own hash, by which the ledger names it.
        name: a keyed hash of a text, as `Secrets.names`; None leaves the names out.
        card: the model's card.
        versions: of facemix, torch and whatever else computed.
        settings: those that shaped the result, by name.
        gates: one for each parent, in the recipe's order.
        checks: what was measured of the result.
        at: when, aware; None means now.
    """
    recipe = dict(recipe)
    model = recipe.pop("model", {})
    recipe["parents"] = [_named(parent, name) for parent in recipe.get("parents", ())]
    data = card.get("data") or {}
    record = {
        "schema": RECORD_SCHEMA,
        "at": (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "recipe_sha256": recipe_sha256,
        "recipe": recipe,
        "model": {
            "name": model.get("name"),
            "weights_sha256": model.get("weights"),
            "latent_schema": model.get("latent_schema"),
            "created": card.get("created"),
            "code_version": card.get("code_version"),
            "licence": card.get("licence"),
            "data": data.get("name"),
            "data_manifest_sha256": data.get("manifest_sha256"),
        },
        "versions": dict(versions),
        "settings": dict(settings),
        "gates": [
            {"source": one.source, "faces": one.faces, "readings": [asdict(reading) for reading in one.readings]}
            for one in gates
        ],
        "checks": [asdict(reading) for reading in checks],
    }
    return _fitting(_plain(record))


def _named(parent: Mapping[str, Any], name: Callable[[str], str] | None) -> dict[str, Any]:
    """A parent without what shows, finds or opens it: its latent, its photograph's hash, the points placed on its face,
    and the id of the saved recipe that it came from."""
    kept = {key: value for key, value in parent.items() if key not in ("z", "sha256", "placed", "origin")}
    for key, named in (("sha256", "photo_hmac"), ("z", "z_hmac")):
        if name is not None and parent.get(key) is not None:
            kept[named] = name(str(parent[key]))
    return kept


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as strict JSON: texts cut short, numbers that are not finite null, nothing too long or too deep."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_text(key): _plain(value[key], depth + 1) for key in list(value)[:_MOST_MEMBERS]}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value[:_MOST_MEMBERS]]
    return _text(value)


def _text(value: Any) -> str:
    # PostgreSQL takes no NUL, and nobody a lone surrogate.
    text = str(value).encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _fitting(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its longest optional parts dropped, and named in `left_out`, until it fits."""
    left_out: list[str] = []
    for name in ("checks", "gates", "settings", "recipe"):
        if len(json.dumps(record)) <= MOST_BYTES:
            break
        left_out.append(name)
        record = {**record, name: [] if isinstance(record[name], list) else {}, "left_out": list(left_out)}
    return record
