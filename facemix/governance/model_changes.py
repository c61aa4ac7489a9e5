"""One change of the registry's table: a transaction over all versions, which knows them as they are by now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from facemix.errors import PromotionRefused
from facemix.governance.measured import Measured
from facemix.governance.model_version import ModelVersion, find_version, folder_text, read_version
from facemix.storage.governance_tables import models


def read_versions(connection: Connection, *, locked: bool = False) -> dict[str, ModelVersion]:
    wanted = select(models).order_by(models.c.weights)
    if locked:
        wanted = wanted.with_for_update()  # SQLite's writers queue up by themselves
    return {row["weights"]: read_version(dict(row)) for row in connection.execute(wanted).mappings()}


class Change:
    """One transaction: the versions as they are by now."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.versions = read_versions(connection, locked=True)
        self.now = datetime.now(UTC)
        self.subject: str | None = None
        self.details: dict[str, Any] = {}

    @property
    def default(self) -> ModelVersion | None:
        return next((one for one in self.versions.values() if one.is_default), None)

    def of(self, weights: str) -> ModelVersion:
        return find_version(self.versions.values(), weights)

    def tell(self, version: ModelVersion, details: dict[str, Any]) -> None:
        """What the audit log is to say."""
        self.subject, self.details = version.id, details

    def enter(self, row: dict[str, Any]) -> ModelVersion:
        known = self.versions.get(row["weights"])
        if known is not None:
            results = row["results"] if known.measured is None else known.measured.as_json()
            if (folder_text(known.folder), known.measured is None) == (row["folder"], results is None):
                return known
            self.tell(known, {"folder": row["folder"]})
            return self.update(known, stamp=False, folder=row["folder"], card=row["card"], results=results)
        added = row | {"added_at": self.now, "changed_at": self.now, "former": None}
        self._connection.execute(insert(models), added)
        version = self.versions[row["weights"]] = read_version(added)
        self.tell(version, {"folder": row["folder"]})
        return version

    def make_default(
        self,
        version: ModelVersion,
        details: dict[str, Any],
        *,
        results: Measured | None = None,
    ) -> ModelVersion:
        present = self.default
        if present is not None and present.weights == version.weights:
            raise PromotionRefused(f"{version.id} is the default already", hint="facemix models list shows them all")
        values: dict[str, Any] = {"is_default": 1}
        if present is not None:
            self.update(present, is_default=0)
            values["former"] = present.weights
        return self.make_live(version, details, results=results, **values)

    def make_live(
        self, version: ModelVersion, details: dict[str, Any], *, results: Measured | None = None, **values: Any
    ) -> ModelVersion:
        for one in list(self.versions.values()):
            if one.name != version.name or one.status != "live" or one.weights == version.weights:
                continue
            if one.is_default:
                raise PromotionRefused(
                    f"{one.id} is the default, and one version of {one.name} can be live",
                    hint="promote it as the default, or retire the name with another default first",
                )
            self.update(one, status="retired", share=0.0)
        self.tell(version, details)
        if results is not None:
            values["results"] = results.as_json()
        return self.update(version, status="live", share=0.0, **values)

    def update(self, version: ModelVersion, *, stamp: bool = True, **values: Any) -> ModelVersion:
        if stamp:
            values["changed_at"] = self.now
        self._connection.execute(update(models).where(models.c.weights == version.weights).values(**values))
        found = select(models).where(models.c.weights == version.weights)
        changed = read_version(dict(self._connection.execute(found).mappings().one()))
        self.versions[changed.weights] = changed
        return changed
