"""What an operator switches for every worker at once: small values in the database, looked at once a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from facemix.governance.audit import AuditLog
from facemix.storage.database import Database
from facemix.storage.governance_tables import controls

KILL = "kill"
MOST_REASON = 300  # characters


@dataclass(frozen=True)
class KillSwitch:
    """Whether generation is stopped; `reason` is shown to everybody who asks for a face."""

    on: bool = False
    reason: str = ""
    by: str = ""
    since: datetime | None = None


class Controls:
    """The table. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = AuditLog(database)

    def versions(self) -> dict[str, int]:
        """The version of every control that was ever set: what a worker compares once a second.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            return {row.name: row.version for row in connection.execute(select(controls.c.name, controls.c.version))}

    def get(self, name: str) -> tuple[Any, datetime] | None:
        """The value of a control and when it was set; None if it never was.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(controls).where(controls.c.name == name)).one_or_none()
        return None if row is None else (json.loads(row.value), row.changed_at)

    def set(self, name: str, value: Any, *, actor: str, action: str, now: datetime | None = None) -> None:
        """Sets a control, with a row in the audit log.

        Raises:
            StorageFull, StorageUnavailable: the database refused; nothing was changed.
        """
        at = now or datetime.now(UTC)
        with self._database.writing() as connection:
            # The audit's lock comes first: on PostgreSQL two that set a new control at once would collide.
            self._audit.append_in(connection, actor, action, name, {"value": value}, now=at)
            self.write_in(connection, name, value, at)

    def write_in(self, connection: Connection, name: str, value: Any, at: datetime) -> None:
        """The same within a transaction of the caller, who has added the row to the audit log before."""
        changed = {"value": json.dumps(value), "changed_at": at}
        found = connection.execute(
            update(controls).where(controls.c.name == name).values(version=controls.c.version + 1, **changed)
        ).rowcount
        if not found:
            connection.execute(insert(controls), {"name": name, "version": 1, **changed})

    def touch(self, name: str, *, actor: str, action: str) -> None:
        """Lets every worker look again at what belongs to `name`, as ``models``."""
        self.set(name, True, actor=actor, action=action)

    def kill_switch(self) -> KillSwitch:
        """Raises `StorageUnavailable`."""
        found = self.get(KILL)
        if found is None:
            return KillSwitch()
        value, at = found
        return KillSwitch(value["on"], value["reason"], value["by"], at)

    def kill(self, reason: str, *, actor: str) -> None:
        """Stops generation in every worker, within seconds. Raises `StorageFull`, `StorageUnavailable`."""
        self._switch(True, reason, actor)

    def resume(self, *, actor: str) -> None:
        """Lets it go on. Raises `StorageFull`, `StorageUnavailable`."""
        self._switch(False, "", actor)

    def _switch(self, on: bool, reason: str, actor: str) -> None:
        value = {"on": on, "reason": " ".join(reason.split())[:MOST_REASON], "by": actor}
        self.set(KILL, value, actor=actor, action="kill.on" if on else "kill.off")
