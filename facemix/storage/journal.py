"""The spool: rows of the ledger in a file of this process, from before a request is answered until the database has
them.

A row is one line, written by one call to the operating system: from then on it outlives the process, however that
ends. It is not forced onto the disk, so it does not outlive a machine that loses its power; a request would have to
wait for the disk. Whoever owns a file holds a lock on it, which the operating system lets go of when the process ends:
a file without a lock is what a dead process left behind, and is written down by whoever finds it first. Writing the
same row twice is harmless (`Ledger.append_many`).
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from facemix.storage.ledger import COLUMNS, OUTCOMES, LedgerRow

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

PREFIX, SUFFIX = "ledger-", ".rows"
MOST_LINE = 64 * 1024  # bytes of one row
MOST_BYTES = 256 * 1024 * 1024  # of one file: half a million rows that no database has taken
_TRIES = 5
_TYPES = {one.name: str(one.type) for one in fields(LedgerRow)}


class Journal:
    """The file of this process. Not for several threads at once; needs none.

    Attributes:
        size: bytes that it holds.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self.size = 0

    @classmethod
    def open(cls, folder: Path) -> Journal | None:
        """A new file, for its owner only. None, with a warning in the log, where there can be none: rows are then in
        memory alone until the database has them."""
        if fcntl is None:
            return None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for _ in range(_TRIES):
                path = folder / f"{PREFIX}{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
                descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                # Between the two, somebody who looks for what the dead have left may take it for that.
                if _locked(descriptor) and _is_still(path, descriptor):
                    return cls(path, descriptor)
                os.close(descriptor)
        except OSError as error:
            log.warning("the ledger's spool cannot be opened in %s: %s", folder, error.strerror)
            return None
        log.warning("the ledger's spool cannot be opened in %s: others take its files", folder)
        return None

    def append(self, row: LedgerRow) -> bool:
        """Writes a row. False if it is not there afterwards: the disk is full, or the row or the file too long."""
        line = line_of(row)
        if self._descriptor < 0 or len(line) > MOST_LINE or self.size + len(line) > MOST_BYTES:
            return False
        try:
            written = os.write(self._descriptor, line)
            if written == len(line):
                self.size += written
                return True
            os.ftruncate(self._descriptor, self.size)  # else the next row would begin in the middle of a line
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
        return False

    def rows(self) -> Iterator[LedgerRow]:
        """What it holds, oldest first."""
        with self._path.open("rb") as file:
            yield from _rows(file)

    def clear(self) -> None:
        """Forgets every row: the database has them."""
        if self._descriptor >= 0 and self.size:
            with suppress(OSError):  # what stays is written down once more, which is harmless
                os.ftruncate(self._descriptor, 0)
            self.size = 0

    def close(self, *, keep: bool) -> None:
        """Lets go of the file; with `keep` it stays for whoever starts next."""
        if self._descriptor < 0:
            return
        if not keep:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


class Leftover:
    """A file whose process is dead, while it is locked by this one."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    def rows(self) -> Iterator[LedgerRow]:
        """What it holds, oldest first; lines that are torn or no rows are passed over."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            yield from _rows(file)

    def remove(self) -> None:
        """Its rows are in the database."""
        self.path.unlink(missing_ok=True)


@contextmanager
def leftover(path: Path) -> Iterator[Leftover | None]:
    """The file, locked; None where somebody owns it, or it is gone, or no file of ours."""
    descriptor = -1
    try:
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        if descriptor < 0 or not _locked(descriptor) or not _is_still(path, descriptor):
            yield None
        else:
            yield Leftover(path, descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def spooled(folder: Path) -> list[Path]:
    """The files in a folder, whoever owns them, oldest names first."""
    if fcntl is None:
        return []
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.name.startswith(PREFIX) and path.suffix == SUFFIX)
    return []


def line_of(row: LedgerRow) -> bytes:
    """A row as it stands in the file."""
    values: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS}
    values["at"] = row.at.isoformat()
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def row_of(line: bytes) -> LedgerRow | None:
    """A line as a row; None where it is torn, or none of ours."""
    try:
        values = json.loads(line)
        values = {name: values[name] for name in COLUMNS if name in values}  # a newer facemix may have written more
        values["at"] = datetime.fromisoformat(values["at"])
        right = all(_fits(name, value) for name, value in values.items())
        if not right or values["at"].tzinfo is None or not {"id", "request_id", "route", "status"} <= values.keys():
            return None
        return LedgerRow(**values)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _fits(name: str, value: Any) -> bool:
    kind = _TYPES[name]
    if value is None:
        return kind.endswith("| None")
    if kind.startswith("str"):
        return isinstance(value, str)
    if kind == "Outcome":
        return value in OUTCOMES
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return kind == "datetime" or isinstance(value, int | float)


def _rows(file: Any) -> Iterator[LedgerRow]:
    while line := file.readline(MOST_LINE + 1):
        if line.endswith(b"\n") and (row := row_of(line)) is not None:
            yield row


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file that is open is the one at `path`, and a regular one."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return stat.S_ISREG(ours.st_mode) and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
