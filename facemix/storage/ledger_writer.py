"""Writes the ledger beside the requests: they never wait for the database, and never fail through it.

`add` puts a row into a bounded queue in memory; one thread writes what has gathered about every half second, in one
transaction. A database that refuses (full disk, server gone) is tried again, ever less often; what no longer fits into
the queue meanwhile is dropped, oldest first, and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from facemix.errors import StorageUnavailable
from facemix.storage.ledger import LedgerRow

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between two transactions
LONGEST_INTERVAL = 8.0  # seconds between two tries while the database refuses
MOST_WAITING = 50_000  # rows kept in memory, about half a kilobyte each
MOST_IN_TRANSACTION = 5_000


class Writable(Protocol):
    """What rows are written to: a `Ledger`."""

    def append_many(self, rows: Sequence[LedgerRow]) -> None: ...


@dataclass(frozen=True)
class LedgerState:
    """`ok` is False from a refusal of the database, which `error` describes, until the next successful write.

    `written` and `lost` count rows since the start; `lost` were dropped unwritten.
    """

    ok: bool
    error: str | None
    waiting: int
    written: int
    lost: int


class LedgerWriter:
    """A thread, its queue and its counters. All methods are thread-safe."""

    def __init__(self, ledger: Writable, *, most_waiting: int = MOST_WAITING, interval: float = INTERVAL) -> None:
        """Starts the thread.

        Args:
            most_waiting: rows kept in memory, at least 1, those being written included.
            interval: seconds between two transactions.
        """
        self._ledger = ledger
        self._most_waiting = most_waiting
        self._interval = interval
        self._changed = threading.Condition()
        self._rows: deque[LedgerRow] = deque()
        self._writing: list[LedgerRow] = []  # taken from the queue, not yet known to be written
        self._error: str | None = None
        self._written = self._lost = 0
        self._rounds = self._rounds_wanted = 0
        self._in_round = self._closing = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def add(self, row: LedgerRow) -> None:
        """Queues a row. Never blocks on the database and never raises; after `close` the row counts as lost."""
        with self._changed:
            if self._closing:
                self._lost += 1
                return
            self._rows.append(row)
            if len(self._rows) + len(self._writing) > self._most_waiting:
                self._rows.popleft()
                self._lost += 1

    def state(self) -> LedgerState:
        """A snapshot of the counters."""
        with self._changed:
            waiting = len(self._rows) + len(self._writing)
            return LedgerState(self._error is None, self._error, waiting, self._written, self._lost)

    def flush(self, timeout: float) -> bool:
        """Has what is queued tried at once; waits for that at most `timeout` seconds. True if nothing is left."""
        with self._changed:
            # A round that is under way may fail without having met the newest rows: it does not count.
            wanted = self._rounds + 1 + self._in_round
            self._rounds_wanted = max(self._rounds_wanted, wanted)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._rounds >= wanted or self._closing, timeout)
            return not self._rows and not self._writing

    def close(self, timeout: float = 2.0) -> LedgerState:
        """Takes no more rows, tries once more to write what waits, and gives up after `timeout` seconds.

        What is not known to be written by then counts as lost.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            unwritten = len(self._rows) + len(self._writing)
            if unwritten:
                log.error("the ledger loses %d rows that the database has not taken", unwritten)
            self._lost += unwritten
            self._rows.clear()
            self._writing = []
        return self.state()

    def _run(self) -> None:
        pause = self._interval
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._rounds_wanted > self._rounds, pause)
                last = self._closing
                self._in_round = True
            ok = self._write_all()
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
            return self._writing

    def _settle(self, batch: list[LedgerRow], error: Exception | None, *, keep: bool) -> None:
        """Books a transaction's outcome; with `keep`, its rows go back to the head of the queue."""
        with self._changed:
            if self._writing is not batch:
                return  # `close` gave up meanwhile, and has counted these rows
            self._writing = []
            if keep:
                self._rows.extendleft(reversed(batch))
            elif error is None:
                self._written += len(batch)
            else:
                self._lost += len(batch)
            before = self._error
            if error is None:
                self._error = None
            elif isinstance(error, StorageUnavailable):
                self._error = str(error)
        if error is None and before is not None:
            log.warning("the ledger is written again")
        elif isinstance(error, StorageUnavailable) and before is None:
            log.warning("the ledger waits in memory: %s", error, exc_info=error)
        elif error is not None and not keep:
            log.error("the ledger drops a row that the database will never take", exc_info=error)
