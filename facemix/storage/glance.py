"""A look into the database's file before its library is imported, for those who mostly find nothing in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

DATABASE_FILE = "facemix.sqlite3"  # in the data folder


def surely_empty(file: Path, table: str) -> bool:
    """Whether nothing stands in that table of an SQLite database: there is no such file, no such table, or no row.
    False also where that cannot be told. Neither folder nor file is made, nor anything changed.

    Args:
        table: its name, which is no input.
    """
    try:
        file.stat()
        with closing(sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=rw", uri=True)) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
            return known.fetchone() is None or connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None
    except FileNotFoundError:
        return True
    except (OSError, sqlite3.Error):
        return False  # who asks the database itself is told what is wrong with it
