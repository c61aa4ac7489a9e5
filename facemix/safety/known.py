"""The recipes that the ledger knows, for telling which of them a mark belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from facemix.storage.database import Database
from facemix.storage.tables import ledger

MOST_KNOWN = 100_000


@dataclass(frozen=True)
class Uses:
    """How many rows of the ledger have a recipe, and when the first and the last of them were answered."""

    rows: int
    first: datetime
    last: datetime


def known_recipes(database: Database, most: int = MOST_KNOWN) -> list[str]:
    """The recipes of the newest rows, each once, the newest first.

    Args:
        most: rows that are looked at.

    Raises:
        StorageUnavailable: the database refused.
    """
    # Identities rise with time, so that the primary key's index is all that is read in order.
    wanted = select(ledger.c.recipe_hash).where(ledger.c.recipe_hash.is_not(None)).order_by(ledger.c.id.desc())
    with database.reading() as connection:
        return list(dict.fromkeys(connection.execute(wanted.limit(most)).scalars()))


def uses_of(database: Database, recipe_hash: str) -> Uses | None:
    """Where the ledger has a recipe; None where it has none.

    Raises:
        StorageUnavailable: the database refused.
    """
    at = ledger.c.at
    wanted = select(func.count(), func.min(at), func.max(at)).where(ledger.c.recipe_hash == recipe_hash)
    with database.reading() as connection:
        rows, first, last = connection.execute(wanted).one()
    return Uses(rows, first, last) if rows else None
