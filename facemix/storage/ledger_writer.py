"""Writes the ledger beside the requests: they never wait for the database, and never fail through it.

`add` puts a row into the spool (`journal.py`), where it outlives this process, and into a bounded queue in memory; one
thread writes what has gathered about every half second, in one transaction. A database that refuses (full disk, server
gone) is tried again, ever less often. What no longer fits into the queue meanwhile is dropped from it, oldest first: it
is read from the spool again when the queue is empty, or counted as lost where the spool does not have it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facemix.errors import StorageUnavailable
from facemix.storage.journal import Journal
from facemix.storage.ledger import LedgerRow, bounded
from facemix.storage.recovery import MOST_IN_TRANSACTION, Writable, write_leftovers, write_rows

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between two transactions
LONGEST_INTERVAL = 8.0  # seconds between two tries while the database refuses
MOST_WAITING = 50_000  # rows kept in memory, about half a kilobyte each and what their records have
MOST_RECORDS = 64 * 1024 * 1024  # characters of their records together
LOOK_SECONDS = 60.0  # between two looks for what dead processes have left in the spool


@dataclass(frozen=True)
class LedgerState:
    """`ok` is False from a refusal of the database, which `error` describes, until the next successful write.

    `written`, `lost` and `unspooled` count rows since the start: `lost` were dropped unwritten, and `unspooled` were
    only in memory until they were written, because the spool did not take them.
    """

    ok: bool
    error: str | None
    waiting: int
    written: int
    lost: int
    unspooled: int = 0


class LedgerWriter:
    """A thread, its queue and its counters. All methods are thread-safe."""

    def __init__(
        self,
        ledger: Writable,
        *,
        most_waiting: int = MOST_WAITING,
        interval: float = INTERVAL,
        spool: Path | None = None,
        written: Callable[[Sequence[LedgerRow]], None] = lambda rows: None,
    ) -> None:
        """Starts the thread.

        Args:
            most_waiting: rows kept in memory, at least 1, those being written included.
            interval: seconds between two transactions.
            spool: folder of the spool; what dead processes have left there is written down, too. None keeps rows in
                memory only.
            written: hears of rows of this process that the database has taken; called by the thread.
        """
        self._ledger = ledger
        self._most_waiting = most_waiting
        self._interval = interval
        self._spool, self._told = spool, written
        self._journal = None if spool is None else Journal.open(spool)
        self._unspooled: set[str] = set()  # ids of waiting rows that the journal does not have
        self._count_unspooled = self._aside = 0  # `_aside`: rows that the journal alone has
        self._looked: float | None = None
        self._changed = threading.Condition()
        self._rows: deque[LedgerRow] = deque()
        self._writing: list[LedgerRow] = []  # taken from the queue, not yet known to be written
        self._records = 0  # characters of the records of both
        self._error: str | None = None
        self._written = self._lost = 0
        self._rounds = self._rounds_wanted = 0
        self._in_round = self._closing = self._gave_up = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def add(self, row: LedgerRow) -> None:
        """Queues a row; when this returns, it outlives the process if the spool takes it. Never blocks on the database
        and never raises; after `close` the row counts as lost."""
        row = bounded(row)
        with self._changed:
            if self._closing:
                self._lost += 1
                return
            if self._spool is not None and (self._journal is None or not self._journal.append(row)):
                self._unspooled.add(row.id)
                self._count_unspooled += 1
            self._rows.append(row)
            self._records += _record(row)
            while self._rows and (
                len(self._rows) + len(self._writing) > self._most_waiting or self._records > MOST_RECORDS
            ):
                self._drop(self._rows.popleft())

    def state(self) -> LedgerState:
        """A snapshot of the counters."""
        with self._changed:
            waiting = len(self._rows) + len(self._writing) + self._aside
            return LedgerState(
                self._error is None, self._error, waiting, self._written, self._lost, self._count_unspooled
            )

    def flush(self, timeout: float) -> bool:
        """Has what is queued tried at once; waits for that at most `timeout` seconds. True if nothing is left."""
        with self._changed:
            # A round that is under way may fail without having met the newest rows: it does not count.
            wanted = self._rounds + 1 + self._in_round
            self._rounds_wanted = max(self._rounds_wanted, wanted)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._rounds >= wanted or self._closing, timeout)
            return not self._rows and not self._writing and not self._aside

    def close(self, timeout: float = 2.0) -> LedgerState:
        """Takes no more rows, tries once more to write what waits, and gives up after `timeout` seconds.

        What is not known to be written by then stays in the spool for the next start, or counts as lost without one.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            unwritten = len(self._rows) + len(self._writing)
            lost = unwritten if self._journal is None else len(self._unspooled)
            if lost:
                log.error("the ledger loses %d rows that the database has not taken", lost)
            kept = unwritten - lost + self._aside
            if kept:
                log.warning("%d rows of the ledger stay in the spool: the next start writes them down", kept)
            self._lost += lost
            self._rows.clear()
            self._writing, self._aside, self._gave_up = [], 0, True
            if self._journal is not None:
                self._journal.close(keep=kept > 0)
        return self.state()

    def _drop(self, row: LedgerRow) -> None:
        self._records -= _record(row)
        if self._journal is None or row.id in self._unspooled:
            self._unspooled.discard(row.id)
            self._lost += 1
        else:
            self._aside += 1

    def _run(self) -> None:
        pause = self._interval
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._rounds_wanted > self._rounds, pause)
                last = self._closing
                self._in_round = True
            ok = self._write_all() and self._write_aside() and self._write_leftovers()
            pause = self._interval if ok else max(self._interval, min(2 * pause, LONGEST_INTERVAL))
            with self._changed:
                self._rounds += 1
                self._in_round = False
                self._changed.notify_all()
            if last:
                return

    def _write_all(self) -> bool:
        """One round: transaction after transaction until the queue is empty (True) or the database refuses (False)."""
        size = MOST_IN_TRANSACTION
        while batch := self._take(size):
            try:
                self._ledger.append_many(batch)
            except StorageUnavailable as error:
                self._settle(batch, error, keep=True)
                return False
            except Exception as error:  # the fault lies in a row: halve until it stands alone, and drop it
                self._settle(batch, error, keep=len(batch) > 1)
                size = max(1, len(batch) // 2)
            else:
                self._settle(batch, None, keep=False)
                size = min(2 * size, MOST_IN_TRANSACTION)
        return True

    def _take(self, size: int) -> list[LedgerRow]:
        with self._changed:
            self._writing = [self._rows.popleft() for _ in range(min(size, len(self._rows)))]
            if not self._writing and not self._aside and self._journal is not None:
                self._journal.clear()  # of what it holds, the database has everything
            return self._writing

    def _write_aside(self) -> bool:
        """Writes what the journal alone has. False where the database refuses."""
        with self._changed:
            aside, journal = self._aside, self._journal
        if not aside or journal is None:
            return True
        try:
            write_rows(self._ledger, journal.rows(), self._told)
        except StorageUnavailable as error:
            return self._refused(error)
        except OSError as error:
            log.error("the ledger loses %d rows: its spool cannot be read: %s", aside, error.strerror)
            written = 0
        else:
            written = aside
        with self._changed:
            self._error = None
            if not self._gave_up:
                self._aside -= aside  # more may have come meanwhile
                self._written += written
                self._lost += aside - written
        return True

    def _write_leftovers(self) -> bool:
        """Writes what dead processes have left. False where the database refuses."""
        now = time.monotonic()
        if self._spool is None or (self._looked is not None and now - self._looked < LOOK_SECONDS):
            return True
        try:
            write_leftovers(self._ledger, self._spool)
        except StorageUnavailable as error:
            return self._refused(error)
        self._looked = now
        return True

    def _refused(self, error: StorageUnavailable) -> bool:
        with self._changed:
            self._error = str(error)
        return False

    def _settle(self, batch: list[LedgerRow], error: Exception | None, *, keep: bool) -> None:
        """Books a transaction's outcome; with `keep`, its rows go back to the head of the queue."""
        with self._changed:
            if self._writing is not batch:
                return  # `close` gave up meanwhile, and has counted these rows
            self._writing = []
            if keep:
                self._rows.extendleft(reversed(batch))
            else:
                self._written += len(batch) if error is None else 0
                self._lost += 0 if error is None else len(batch)
                self._unspooled.difference_update(row.id for row in batch)
                self._records -= sum(map(_record, batch))
            before = self._error
            if error is None:
                self._error = None
            elif isinstance(error, StorageUnavailable):
                self._error = str(error)
        if error is None:
            self._told(batch)
        if error is None and before is not None:
            log.warning("the ledger is written again")
        elif isinstance(error, StorageUnavailable) and before is None:
            log.warning("the ledger waits in memory: %s", error, exc_info=error)
        elif error is not None and not keep:
            log.error("the ledger drops a row that the database will never take", exc_info=error)


def _record(row: LedgerRow) -> int:
    return len(row.record or "")
