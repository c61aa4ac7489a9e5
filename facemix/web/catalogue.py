"""The models that this installation has: the one that answers, and checkpoints that could.

Read from the folders' JSON alone; no weights are opened.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import ConfigError, InstallationError
from facemix.evaluation.results import Results, read_results
from facemix.mixing.recipe import ModelIdentity
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.web.live_models import Held
from facemix.web.mixer_like import MixerLike

log = logging.getLogger("facemix.web")

CARD_FILE, RESULTS_FILE, COUNTS_FILE, ATTRIBUTES_FILE = "card.json", "results.json", "dataset.json", "attributes.json"
PICTURES, PICTURES_FILE = "pictures", "pictures.json"
TERMS = "LICENSE-WEIGHTS.md"  # beside the checkpoints' folders
# What of a checkpoint's folder is given out as it is, and what it is called on a page.
DOCUMENTS = {
    "MODEL_CARD.md": "the whole model card",
    "DATASHEET.md": "the data sheet",
    RESULTS_FILE: "every figure",
    COUNTS_FILE: "counts of the data set",
    ATTRIBUTES_FILE: "the attribute directions",
}
_REMEMBERED = 32

M = TypeVar("M", bound=BaseModel)


class Picture(BaseModel):
    """A picture of a checkpoint; width and height in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}\.(webp|svg)$")
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    alt: str


class Pictures(BaseModel):
    """What lies in a checkpoint's folder of pictures, and which weights drew it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Entry:
    """One model.

    Attributes:
        card: as its checkpoint says, or as the mixer that is live.
        folder: None for a live model whose checkpoint is not among those looked at.
        live: whether a request may ask for it.
        default: whether it answers those that ask for none.
    """

    model: ModelIdentity
    card: Mapping[str, Any]
    folder: Path | None
    live: bool
    default: bool = False

    @property
    def id(self) -> str:
        """As in the header ``X-Facemix-Model``."""
        return str(self.model)

    @property
    def results(self) -> Results | None:
        """What was measured of it; None where nothing was, or of other weights."""
        found = None if self.folder is None else _results(*_stamp(self.folder / RESULTS_FILE))
        if found is None or (identity := found.subjects[found.model].identity) is None:
            return None
        return found if identity.weights_sha256 == self.model.weights else None

    @property
    def counts(self) -> Mapping[str, Any] | None:
        """Counts of the data set that it was trained on, as ``benchmarks.dataset`` wrote them."""
        found = None if self.folder is None else _json(*_stamp(self.folder / COUNTS_FILE))
        data = self.card.get("data") or {}
        return found if found and found.get("manifest_sha256") == data.get("manifest_sha256") else None

    @property
    def attributes(self) -> Mapping[str, Any] | None:
        """The card of its attribute directions."""
        found = None if self.folder is None else _json(*_stamp(self.folder / ATTRIBUTES_FILE))
        return found if found and found.get("weights_sha256") == self.model.weights else None

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """Its pictures by name; none where other weights drew them."""
        found = None if self.folder is None else _pictures(*_stamp(self.folder / PICTURES / PICTURES_FILE))
        if found is None or found.weights_sha256 != self.model.weights:
            return {}
        return {picture.name: picture for picture in found.pictures}

    @property
    def documents(self) -> Mapping[str, str]:
        """Names of the files that are given out, and what they are."""
        if self.folder is None:
            return {}
        return {name: title for name, title in DOCUMENTS.items() if (self.folder / name).is_file()}

    def file(self, name: str) -> Path | None:
        """One of its pictures or documents; None for any other name."""
        if self.folder is None:
            return None
        if name in self.pictures:
            return self.folder / PICTURES / name
        return self.folder / name if name in self.documents else None


def catalogue(settings: Settings, default: MixerLike | None, answering: Sequence[Held] = ()) -> list[Entry]:
    """Every model, the default first, then others that are live, then the newest first. Reads files, so it runs in a
    thread.

    Args:
        answering: what is live beside the default; the default may be among it.
    """
    mixers = ([] if default is None else [default]) + [one.mixer for one in answering if one.mixer is not default]
    registered = [one.planned.folder for one in answering if one.planned.folder is not None]
    found = []
    for folder in _folders(settings, registered):
        read = _card(*_stamp(folder / CARD_FILE))
        if read is None:
            continue
        card, model = read
        if model.weights not in (one.model.weights for one in found):
            mixer = next((one for one in mixers if model.same_latents_as(one.model)), None)
            found.append(Entry(model, card, folder, mixer is not None, mixer is not None and mixer is default))
    for mixer in mixers:
        if not any(mixer.model.same_latents_as(one.model) for one in found):
            found.append(Entry(mixer.model, mixer.card, None, live=True, default=mixer is default))
    found.sort(key=lambda one: str(one.card.get("created", "")), reverse=True)
    return sorted(found, key=lambda one: (not one.default, not one.live))


def _folders(settings: Settings, registered: Sequence[Path]) -> list[Path]:
    chosen = [] if settings.checkpoint is None else [settings.checkpoint.expanduser()]
    try:
        shipped = sorted(path.parent for path in resource_dir("checkpoints").glob(f"*/{CARD_FILE}"))
    except InstallationError:
        shipped = []
    return [folder for folder in (*chosen, *registered, *shipped) if (folder / CARD_FILE).is_file()]


# --- files, each read once for as long as it stays as it is ------------------------------------------------


Stamp = tuple[int, int]  # when it was changed, and its size; zeros where there is no file


def _stamp(path: Path) -> tuple[Path, Stamp]:
    try:
        found = path.stat()
    except OSError:
        return path, (0, 0)
    return path, (found.st_mtime_ns, found.st_size)


@lru_cache(_REMEMBERED)
def _card(path: Path, stamp: Stamp) -> tuple[Mapping[str, Any], ModelIdentity] | None:
    """A card, and the model that it is of."""
    card = _json(path, stamp) or {}
    try:
        model = ModelIdentity(
            name=card.get("name"), weights=card.get("weights_sha256"), latent_schema=card.get("latent_schema")
        )
    except ValidationError:
        log.warning("%s is no checkpoint's card, and is left out", path)
        return None
    return card, model


@lru_cache(_REMEMBERED)
def _json(path: Path, stamp: Stamp) -> Mapping[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@lru_cache(_REMEMBERED)
def _results(path: Path, stamp: Stamp) -> Results | None:
    try:
        return read_results(path)
    except ConfigError as error:
        if any(stamp):
            log.warning("%s: %s", path, error.message)
        return None


@lru_cache(_REMEMBERED)
def _pictures(path: Path, stamp: Stamp) -> Pictures | None:
    try:
        return Pictures.model_validate_json(path.read_bytes())
    except OSError:
        return None
    except ValidationError:
        log.warning("%s does not say what it shows, and is left out", path)
        return None
