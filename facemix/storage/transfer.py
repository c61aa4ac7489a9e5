"""Copies all rows from one database into another: to PostgreSQL when one machine is no longer enough, or back."""

from __future__ import annotations

from facemix.storage import governance_tables  # noqa: F401  # its tables are copied, too
from facemix.storage.database import Database
from facemix.storage.tables import metadata, shelf

BATCH = 1000  # rows in memory, and in one transaction
SHELF_BATCH = 16  # of things that may be megabytes each


def transfer(source: Database, target: Database) -> dict[str, int]:
    """Copies every table; how many rows each had. Both databases must be upgraded.

    Rows that the target has already (by primary key) are left as they are there, so that an interrupted copy may be
    started again.

    Raises:
        StorageFull, StorageUnavailable: one of the databases refused; the batches before it are copied.
    """
    copied = {}
    for table in metadata.sorted_tables:
        copied[table.name] = 0
        with source.reading() as connection:
            size = SHELF_BATCH if table is shelf else BATCH
            rows = connection.execution_options(yield_per=size).execute(table.select())
            for batch in rows.mappings().partitions():
                target.insert_missing(table, [dict(row) for row in batch])
                copied[table.name] += len(batch)
    return copied
