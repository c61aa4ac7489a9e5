"""API keys as operators give them out: what is done to one stands in the audit log, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from facemix.governance.audit import AuditLog
from facemix.storage.database import Database
from facemix.storage.keys import Also, KeyStore


class AuditedKeys(KeyStore):
    """`KeyStore` for one who acts.

    Args:
        actor: who does it: the operator's name, or ``command line``.
    """

    def __init__(self, database: Database, actor: str) -> None:
        super().__init__(database)
        self._audit, self._actor = AuditLog(database), actor

    def add(
        self,
        name: str,
        requests_per_minute: int | None = None,
        *,
        scopes: Collection[str] | None = None,
        days: int | None = None,
        budget_day: float | None = None,
        budget_month: float | None = None,
    ) -> str:
        """See `KeyStore.create`."""
        given = {"days": days, "budget_day": budget_day, "budget_month": budget_month}
        details = {name: value for name, value in given.items() if value is not None}
        details |= {} if requests_per_minute is None else {"per_minute": requests_per_minute}
        details |= {} if scopes is None else {"scopes": sorted(scopes)}
        also = self._row("key.add", name, details)
        return self.create(name, requests_per_minute, scopes=scopes, **given, also=also)

    def renew(self, name: str) -> str:
        """See `KeyStore.rotate`."""
        return self.rotate(name, also=self._row("key.rotate", name, {}))

    def end(self, name: str) -> None:
        """See `KeyStore.revoke`."""
        self.revoke(name, also=self._row("key.revoke", name, {}))

    def _row(self, action: str, name: str, details: dict[str, Any]) -> Also:
        def also(connection: Connection) -> object:
            return self._audit.append_in(connection, self._actor, action, name, details)

        return also
