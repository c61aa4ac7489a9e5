"""The model registry: which versions there are, which of them answers whom, and the way back.

Every change is one transaction together with its row in the audit log and the control ``models``, which every worker
looks at once a second. One version per name is live. One live version is the default; it remembers the default before
it, so that a rollback is one step and the one after that goes back further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import IntegrityError

from facemix.errors import PromotionRefused, RequestInvalid
from facemix.governance.audit import ITSELF, AuditLog
from facemix.governance.controls import Controls
from facemix.governance.measured import RESULTS_FILE, Condition, read_measured
from facemix.governance.model_changes import Change, read_versions
from facemix.governance.model_files import check_files, check_weights, is_whole
from facemix.governance.model_version import ModelVersion, find_version, folder_text, is_shipped
from facemix.storage.database import Database

MODELS = "models"  # the control that rises with every change
Role = Literal["default", "live", "candidate", "standby"]


@dataclass(frozen=True)
class Place:
    """A version that a server is to hold, and what for. One on standby answers for faces that were made with it."""

    version: ModelVersion
    role: Role


class Registry:
    """The table of models. Thread-safe; several processes may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = AuditLog(database)
        self._controls = Controls(database)

    # --- looking -------------------------------------------------------------------------------------------

    def list(self) -> list[ModelVersion]:
        """Every version: the default, other live ones, candidates, retired ones; of each the newest first.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            return _sorted(read_versions(connection).values())

    def show(self, which: str) -> ModelVersion:
        """One version. Raises as `find_version`, and `StorageUnavailable`."""
        return find_version(self.list(), which)

    def places(self, standby_seconds: float, *, now: datetime | None = None) -> list[Place]:
        """What a server is to hold, the default first.

        Args:
            standby_seconds: for so long a version that a promotion or a rollback has stood down stays at hand.

        Raises:
            StorageUnavailable: the database refused.
        """
        since = (now or datetime.now(UTC)) - timedelta(seconds=standby_seconds)
        versions = self.list()
        default = next((one for one in versions if one.is_default), None)
        found = []
        for one in versions:
            if one.status == "live":
                found.append(Place(one, "default" if one.is_default else "live"))
            elif one.status == "candidate" and one.share > 0:
                found.append(Place(one, "candidate"))
            elif one.status == "retired" and one.changed_at > since and _neighbours(one, default):
                found.append(Place(one, "standby"))
        return found

    # --- changing ------------------------------------------------------------------------------------------

    def add(self, folder: Path, *, actor: str) -> ModelVersion:
        """Makes a checkpoint a candidate. One that is known already keeps its status, and is from now on in `folder`.

        Raises:
            CheckpointMissing, CheckpointCorrupt: see `load_checkpoint`.
            StorageFull, StorageUnavailable: the database refused.
        """
        from facemix.vae.checkpoint import load_checkpoint  # brings torch along

        load_checkpoint(folder)
        return self._enter(folder, actor=actor)

    def adopt(self, *, shipped: Path) -> ModelVersion | None:
        """What a server does when it starts: the checkpoint that came with facemix becomes the live default if there is
        none, or if there is one that came with an earlier facemix and is not there any more. None if nothing changed.

        Raises:
            CheckpointMissing, CheckpointCorrupt: see `read_card`; or its weights are not those of its card.
            StorageFull, StorageUnavailable: the database refused.
        """
        default = next((one for one in self.list() if one.is_default), None)
        if default is not None and (not is_shipped(default.folder) or is_whole(default)):
            return None
        weights = self._enter(shipped, actor=ITSELF).weights
        with self._changing(ITSELF, "model.adopt") as change:
            present = change.default
            if present is not None and (default is None or present.weights != default.weights):
                return None  # another process was faster
            version = change.of(weights)
            if present is not None and present.weights == weights:
                return None
            if present is not None:
                change.update(present, status="retired", is_default=0)
            return change.make_default(version, {"in_place_of": None if present is None else present.id})

    def promote(
        self,
        which: str,
        *,
        actor: str,
        results: Path | None = None,
        require: Sequence[str] = (),
        default: bool = True,
    ) -> ModelVersion:
        """Lets a version go live, in the place of the live one of the same name.

        Args:
            which: see `find_version`.
            results: its results file; None takes the one in its folder.
            require: conditions on its figures, see `Condition.parse`.
            default: whether it also becomes the default.

        Raises:
            RecordMissing, RequestInvalid: there is no such version, or a condition is none.
            PromotionRefused: there are no results of these weights, a condition is not met, its files have changed, or
                the default would be left without a successor.
            StorageFull, StorageUnavailable: the database refused.
        """
        conditions = [Condition.parse(text) for text in require]
        version = self.show(which)
        measured = read_measured(results or version.folder / RESULTS_FILE, version.weights)
        unmet = [why for one in conditions if (why := one.unmet_by(measured)) is not None]
        if unmet:
            raise PromotionRefused(
                f"{version.id} does not meet what was required: {'; '.join(unmet)}",
                hint="train or choose another version, or require less",
                unmet=unmet,
            )
        check_files(version)
        measured = replace(measured, conditions=tuple(str(one) for one in conditions))
        with self._changing(actor, "model.promote") as change:
            version = change.of(version.weights)
            details = {"results": measured.file_sha256, "conditions": list(measured.conditions)}
            if default:
                return change.make_default(version, details, results=measured)
            return change.make_live(version, details, results=measured)

    def rollback(self, *, actor: str) -> ModelVersion:
        """Makes the former default the live default again and retires the present one.

        Raises:
            PromotionRefused: there is no former default, or its files have changed.
            StorageFull, StorageUnavailable: the database refused.
        """
        known = {one.weights: one for one in self.list()}
        check_files(_former_of(known))
        with self._changing(actor, "model.rollback") as change:
            former, present = _former_of(change.versions), change.default
            assert present is not None
            change.update(present, status="retired", is_default=0, share=0.0)
            return change.make_default(former, {"from": present.id})

    def retire(self, which: str, *, actor: str) -> ModelVersion:
        """From now on it answers nobody, and no rollback returns to it.

        Raises:
            RecordMissing, RequestInvalid: see `find_version`.
            PromotionRefused: it is the default.
            StorageFull, StorageUnavailable: the database refused.
        """
        with self._changing(actor, "model.retire") as change:
            version = find_version(change.versions.values(), which)
            if version.is_default:
                raise PromotionRefused(
                    f"{version.id} is the default", hint="promote another version first, or roll back"
                )
            for one in list(change.versions.values()):
                if one.former == version.weights:
                    change.update(one, former=None)
            change.tell(version, {})
            return change.update(version, status="retired", share=0.0, former=None)

    def set_share(self, which: str, share: float, *, actor: str) -> ModelVersion:
        """Lets a candidate answer a share of the clients, of those that name no model.

        Args:
            share: 0 to 1; all candidates together have at most 1.

        Raises:
            RecordMissing, RequestInvalid: see `find_version`; or the share is out of range.
            PromotionRefused: it is no candidate.
            StorageFull, StorageUnavailable: the database refused.
        """
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise RequestInvalid(f"the share is {share!r}", hint="choose 0 to 1, as in 0.05", where="share")
        with self._changing(actor, "model.share") as change:
            version = find_version(change.versions.values(), which)
            if version.status != "candidate":
                raise PromotionRefused(
                    f"{version.id} is {version.status}", hint="a share is for candidates: add the checkpoint as one"
                )
            others = sum(one.share for one in change.versions.values() if one.weights != version.weights)
            if others + share > 1:
                raise RequestInvalid(
                    f"the candidates together would answer {others + share:g} of the clients",
                    hint=f"leave this one at most {max(0.0, 1 - others):g}",
                    where="share",
                )
            change.tell(version, {"share": share})
            return change.update(version, share=float(share))

    # --- the table -----------------------------------------------------------------------------------------

    def _enter(self, folder: Path, *, actor: str) -> ModelVersion:
        from facemix.vae.checkpoint import read_card

        card = read_card(folder)
        check_weights(folder, card.weights_sha256)
        measured = None
        with suppress(PromotionRefused):
            measured = read_measured(folder / RESULTS_FILE, card.weights_sha256)
        row = {
            "weights": card.weights_sha256,
            "name": card.name,
            "folder": folder_text(folder),
            "latent_schema": card.latent_schema,
            "status": "candidate",
            "is_default": 0,
            "share": 0.0,
            "card": card.model_dump_json(),
            "results": None if measured is None else measured.as_json(),
        }
        for last in (False, True):
            try:
                with self._changing(actor, "model.add") as change:
                    return change.enter(row)
            except IntegrityError:  # another process has added it meanwhile
                if last:
                    raise
        raise AssertionError("the second try answers or raises")

    @contextmanager
    def _changing(self, actor: str, action: str) -> Iterator[Change]:
        """A transaction over the whole table. What it has been told stands in the audit log if anything was changed."""
        with self._database.writing() as connection:
            change = Change(connection)
            yield change
            if change.subject is not None:
                self._audit.append_in(connection, actor, action, change.subject, change.details, now=change.now)
                self._controls.write_in(connection, MODELS, True, change.now)


def _sorted(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    order = {"live": 0, "candidate": 1, "retired": 2}
    newest = sorted(versions, key=lambda one: (one.added_at, one.weights), reverse=True)
    return sorted(newest, key=lambda one: (not one.is_default, order[one.status]))


def _former_of(known: dict[str, ModelVersion]) -> ModelVersion:
    default = next((one for one in known.values() if one.is_default), None)
    former = None if default is None or default.former is None else known.get(default.former)
    if former is None:
        raise PromotionRefused(
            "there is no default before the present one", hint="promote a version: facemix models list shows them"
        )
    return former


def _neighbours(one: ModelVersion, default: ModelVersion | None) -> bool:
    """Whether one of the two has stood down for the other."""
    return default is not None and (one.weights == default.former or one.former == default.weights)
