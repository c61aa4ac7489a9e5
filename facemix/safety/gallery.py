"""The gallery of the likeness guard: people who have asked that no result looks like them.

What is kept of a person are points of the face embedder, sealed with the installation's secret, a label and who agreed
to it; no photograph. Removing a person removes all of it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import delete, insert, select

from facemix.errors import RecordMissing, RequestInvalid, SealBroken
from facemix.governance.audit import AuditLog
from facemix.governance.secrets import Secrets
from facemix.storage.database import Database
from facemix.storage.governance_tables import protected
from facemix.storage.tokens import new_id

MOST_POINTS = 32  # photographs of one person
MOST_LABEL, LEAST_CONSENT, MOST_CONSENT = 100, 10, 1000  # characters
_PURPOSE = "protected"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Protected:
    """A person in the gallery, without the points. `label` and `consent` are the operator's words."""

    id: str
    label: str
    consent: str
    embedder: str
    created_at: datetime


class Gallery:
    """The protected people. Thread-safe; several processes may use one."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self._database = database
        self._secrets = secrets
        self._audit = AuditLog(database)

    def enroll(
        self,
        points: np.ndarray,
        label: str,
        consent: str,
        actor: str,
        *,
        embedder: str,
        now: datetime | None = None,
    ) -> str:
        """Adds a person; returns the new id, 16 characters.

        Args:
            points: (N, D) float32, one for each photograph.
            label: what the operator calls the entry.
            consent: who agreed to be in the gallery, how and when.
            actor: who adds it, for the audit log.
            embedder: name of what made the points.

        Raises:
            RequestInvalid: label or consent is empty or too long, or the points are not points.
            StorageFull, StorageUnavailable: the database refused; nothing was added.
        """
        label, consent = " ".join(label.split()), " ".join(consent.split())
        _check_texts(label, consent)
        if points.ndim != 2 or not 1 <= len(points) <= MOST_POINTS or not np.isfinite(points).all():
            raise RequestInvalid(
                f"{len(points)} points cannot be enrolled", hint=f"give 1 to {MOST_POINTS} photographs", where="photos"
            )
        found = new_id()
        row = {
            "id": found,
            "label": label,
            "consent": consent,
            "embedder": embedder,
            "points": self._secrets.seal(_PURPOSE, _packed(points), found.encode()),
            "created_at": now or datetime.now(UTC),
        }
        # The label may be a name. It stays out of the audit log, which outlives a removal.
        details = {"photographs": len(points), "embedder": embedder}
        with self._database.writing() as connection:
            self._audit.append_in(connection, actor, "guard.enroll", found, details, now=now)
            connection.execute(insert(protected), row)
        return found

    def list(self) -> list[Protected]:
        """Everybody, the oldest entry first. Raises `StorageUnavailable`."""
        table = protected.c
        wanted = select(table.id, table.label, table.consent, table.embedder, table.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(table.created_at, table.id)).all()
        return [Protected(*row) for row in rows]

    def remove(self, id: str, actor: str, *, now: datetime | None = None) -> None:
        """Deletes a person's points, label and consent; that somebody was removed stays in the audit log.

        Raises:
            RecordMissing: nobody has this id.
            StorageFull, StorageUnavailable: the database refused; nothing was removed.
        """
        with self._database.writing() as connection:
            self._audit.append_in(connection, actor, "guard.remove", id, now=now)
            if not connection.execute(delete(protected).where(protected.c.id == id)).rowcount:
                raise RecordMissing(f"nobody in the gallery has the id {id!r}", hint="`facemix guard list` names all")

    def ids(self) -> frozenset[str]:
        """Raises `StorageUnavailable`."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(protected.c.id)).scalars())

    def points(self, ids: frozenset[str], embedder: str) -> dict[str, np.ndarray]:
        """The points of those of `ids` that `embedder` made and that can be opened, (N, D) float32 each.

        Raises:
            StorageUnavailable: the database refused.
        """
        table = protected.c
        with self._database.reading() as connection:
            rows = connection.execute(select(table.id, table.embedder, table.points)).all()
        found = {}
        for id, made_by, sealed in rows:
            if id not in ids or made_by != embedder:
                continue
            try:
                found[id] = _unpacked(self._secrets.open(_PURPOSE, sealed, id.encode()))
            except SealBroken:
                _log.error("the points of protected person %s cannot be opened: the guard does not see them", id)
        return found


def _check_texts(label: str, consent: str) -> None:
    if not 1 <= len(label) <= MOST_LABEL:
        raise RequestInvalid(f"the label has {len(label)} characters", hint=f"give 1 to {MOST_LABEL}", where="label")
    if not LEAST_CONSENT <= len(consent) <= MOST_CONSENT:
        raise RequestInvalid(
            f"the consent has {len(consent)} characters",
            hint=f"say who agreed, how and when, in {LEAST_CONSENT} to {MOST_CONSENT} characters",
            where="consent",
        )


def _packed(points: np.ndarray) -> bytes:
    """The number of columns, then all numbers, little-endian."""
    return np.uint32(points.shape[1]).astype("<u4").tobytes() + points.astype("<f4").tobytes()


def _unpacked(data: bytes) -> np.ndarray:
    columns = int(np.frombuffer(data[:4], "<u4")[0])
    return np.frombuffer(data[4:], "<f4").reshape(-1, columns).astype(np.float32)
