"""Brings rows from the spool into the ledger: what this process has there alone, and what dead ones have left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from facemix.errors import StorageUnavailable
from facemix.storage.journal import leftover, spooled
from facemix.storage.ledger import LedgerRow

log = logging.getLogger(__name__)

MOST_IN_TRANSACTION = 5_000


class Writable(Protocol):
    """What rows are written to: a `Ledger`."""

    def append_many(self, rows: Sequence[LedgerRow]) -> None: ...


def write_rows(
    ledger: Writable, rows: Iterable[LedgerRow], written: Callable[[Sequence[LedgerRow]], None] = lambda rows: None
) -> None:
    """Writes rows, some of which may be there already; those that the database will never take are passed over.

    Args:
        written: hears of each batch that is in the database.

    Raises:
        StorageUnavailable: the database refused; the batches before are there.
        OSError: the rows' file cannot be read.
    """
    for batch in _batches(rows, MOST_IN_TRANSACTION):
        try:
            ledger.append_many(batch)
        except StorageUnavailable:
            raise
        except Exception:  # the fault lies in a row
            _one_by_one(ledger, batch)
        written(batch)


def write_leftovers(ledger: Writable, folder: Path) -> None:
    """Writes what dead processes have left in a folder, and deletes their files.

    Raises:
        StorageUnavailable: the database refused; the files that are not written yet are still there.
    """
    for path in spooled(folder):
        with leftover(path) as found:
            if found is None:
                continue
            try:
                write_rows(ledger, found.rows())
                found.remove()
            except OSError as error:
                log.warning("what a process left behind in %s cannot be read: %s", path.name, error.strerror)
            else:
                log.info("the rows of %s, which a process left behind, are in the ledger", path.name)


def _one_by_one(ledger: Writable, rows: Sequence[LedgerRow]) -> None:
    for row in rows:
        try:
            ledger.append_many([row])
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("the ledger passes over a row of the spool that the database will never take", exc_info=error)


def _batches(rows: Iterable[LedgerRow], most: int) -> Iterator[list[LedgerRow]]:
    left = iter(rows)
    while batch := list(islice(left, most)):
        yield batch
