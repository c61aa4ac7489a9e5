"""One version of a model as the registry keeps it, and how it is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from facemix.errors import InstallationError, RecordMissing, RequestInvalid
from facemix.governance.measured import Measured
from facemix.resources import resource_dir

Status = Literal["candidate", "live", "retired"]
SHIPPED = "shipped:"  # before the name of a checkpoint that came with facemix: it moves when facemix does
_LEAST_PREFIX = 4


@dataclass(frozen=True)
class ModelVersion:
    """A checkpoint, known by its weights.

    Attributes:
        weights: SHA-256 of the weights file, hexadecimal.
        name: as its card says; versions of one model share it.
        folder: where the checkpoint lies.
        latent_schema: version of the latents' layout.
        status: a candidate answers its share of the clients, a live one whoever names it, a retired one nobody.
        is_default: whether it answers whoever names none.
        share: of the clients, 0 to 1; above 0 for candidates alone.
        card: the checkpoint's card.
        measured: what its results file says; None where there was none.
        added_at, changed_at: in UTC.
        former: weights of the default before this one, to which a rollback returns.
    """

    weights: str
    name: str
    folder: Path
    latent_schema: int
    status: Status
    is_default: bool
    share: float
    card: Mapping[str, Any]
    measured: Measured | None
    added_at: datetime
    changed_at: datetime
    former: str | None

    @property
    def id(self) -> str:
        """As in the header ``X-Facemix-Model``."""
        return f"{self.name}@{self.weights[:12]}"

    @property
    def licence(self) -> str:
        """The terms of the weights."""
        return str(self.card.get("licence", ""))


def read_version(row: Mapping[str, Any]) -> ModelVersion:
    """A row of the table."""
    return ModelVersion(
        weights=row["weights"],
        name=row["name"],
        folder=folder_of(row["folder"]),
        latent_schema=row["latent_schema"],
        status=row["status"],
        is_default=bool(row["is_default"]),
        share=row["share"],
        card=json.loads(row["card"]),
        measured=None if row["results"] is None else Measured.from_json(row["results"]),
        added_at=row["added_at"],
        changed_at=row["changed_at"],
        former=row["former"],
    )


def folder_text(folder: Path) -> str:
    """How a folder is written down."""
    folder = folder.expanduser().resolve()
    shipped = _shipped()
    return f"{SHIPPED}{folder.name}" if shipped is not None and folder.parent == shipped else str(folder)


def folder_of(text: str) -> Path:
    """The folder that `folder_text` wrote down."""
    if not text.startswith(SHIPPED):
        return Path(text)
    return (_shipped() or Path("checkpoints")) / text.removeprefix(SHIPPED)


def is_shipped(folder: Path) -> bool:
    """Whether a checkpoint came with facemix."""
    return folder_text(folder).startswith(SHIPPED)


def _shipped() -> Path | None:
    try:
        return resource_dir("checkpoints").resolve()
    except InstallationError:
        return None


def find_version(versions: Iterable[ModelVersion], which: str) -> ModelVersion:
    """The version that a person means.

    Args:
        which: a name of which there is one version, ``name@hash``, or the hash alone, of which four digits are enough
            if no other version begins with them.

    Raises:
        RecordMissing: there is none.
        RequestInvalid: there are several.
    """
    known = list(versions)
    name, at, prefix = which.partition("@")
    if at:
        found = [one for one in known if one.name == name and _begins(one, prefix)]
    else:
        found = [one for one in known if one.name == which] or [one for one in known if _begins(one, which)]
    if not found:
        raise RecordMissing(
            f"there is no model {which[:80]!r}", hint=_listed("the models are", known) or "add one: facemix models add"
        )
    if len(found) > 1:
        raise RequestInvalid(f"{which[:80]!r} may mean several models", hint=_listed("name one of", found))
    return found[0]


def _begins(version: ModelVersion, prefix: str) -> bool:
    return len(prefix) >= _LEAST_PREFIX and version.weights.startswith(prefix.lower())


def _listed(words: str, versions: Sequence[ModelVersion]) -> str:
    return f"{words} {', '.join(one.id for one in versions[:20])}" if versions else ""
