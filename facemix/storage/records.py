"""Conditioning records, as they are kept with the rows of the ledger."""

from __future__ import annotations

from sqlalchemy import select

from facemix.storage.database import Database
from facemix.storage.tables import ledger


class Records:
    """Reads the records of requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, request_id: str, owner: str | None) -> str | None:
        """The record of the newest request of that id and owner that has one, as JSON; None where there is none.

        Args:
            request_id: as in the answer's header.
            owner: name of the API key that it bore; None finds requests without a key alone.

        Raises:
            StorageUnavailable: the database refused.
        """
        columns = ledger.c
        wanted = (
            select(columns.record)
            .where(
                columns.request_id == request_id,
                columns.key_name.is_(None) if owner is None else columns.key_name == owner,
                columns.record.is_not(None),
            )
            .order_by(columns.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(wanted).scalar_one_or_none()
