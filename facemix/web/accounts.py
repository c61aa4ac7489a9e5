"""One row in the ledger for every request that asks for work, answered or refused; the keys that name its sender."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from cachetools import TTLCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.errors import StorageUnavailable
from facemix.serving.meter import metered
from facemix.settings import Settings
from facemix.web.job_work import Ended, GivenItem
from facemix.web.ledger_rows import item_row, job_row, request_row
from facemix.web.rates import Sender
from facemix.web.routes import CLIENT_LEFT, PROBES
from facemix.web.threads import Threads

if TYPE_CHECKING:
    from facemix.governance.costs import Usage
    from facemix.governance.prices import PriceTable
    from facemix.storage.database import Database
    from facemix.storage.keys import Key
    from facemix.storage.ledger import LedgerRow
    from facemix.storage.ledger_writer import LedgerState

KEYS_REMEMBERED = 1024
KEY_SECONDS = 15.0  # so long a revoked key may still be let in
LOOK_UPS_AT_ONCE = 4
REFRESH_SECONDS = 2.0  # between two looks at prices, and at what others have spent
_REST = 10  # so many times as long as a look took is waited at least, so that a slow database is not kept busy by it
CLOSE_SECONDS = 2.0  # so long a stop waits for such a look
SPOOL = "spool"

log = logging.getLogger("facemix.web")
_NOT_KNOWN = object()
_NOT_COUNTED = ("/console/", "/static/")  # what is done in the console has the audit log


class LedgerMiddleware:
    """Writes a row for every request to the interface, and for every form of the pages but the console's. A row
    holds no address, no file name and no image; see `docs/storage.md`. It is written before the last part of the answer
    is sent, so that nobody has an answer of which the ledger knows nothing.

    Args:
        add: takes a row at once; it must neither wait nor raise.
    """

    def __init__(self, app: ASGIApp, add: Callable[[LedgerRow], None]) -> None:
        self.app = app
        self.add = add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_counted(scope):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, arrived, sent, written = CLIENT_LEFT, 0, 0, False

        def account() -> None:
            nonlocal written
            if not written and not scope.get("state", {}).get("accounted"):  # a replica that answered has its own row
                self.add(request_row(scope, status, (time.perf_counter() - started) * 1000, arrived, sent, meter))
            written = True

        async def counted_receive() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                account()
            await send(message)

        with metered() as meter:
            try:
                await self.app(scope, counted_receive, counted_send)
            except Exception:
                status = 500  # whatever was begun, the connection is cut
                raise
            finally:
                account()


def _sender(key: Key) -> Sender:
    return Sender(key.name, key.requests_per_minute, key.scopes, key.budget_day, key.budget_month)


def _is_counted(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if scope["method"] == "POST":
        return not f"{path}/".startswith(_NOT_COUNTED)
    return path.startswith("/api/") and path not in PROBES


class Accounts:
    """The ledger, the keys, the prices and the budgets of one application.

    Args:
        database: upgraded; closed by `close`.
        ledger: whether rows are written. Without it, budgets know only what was spent since the start.
        spool: folder in which rows outlive the process until the database has them; None keeps them in memory.
        budget_day, budget_month: what all requests together may cost.
        gpu: whether the first price table has a price for the device.
    """

    def __init__(
        self,
        database: Database,
        *,
        ledger: bool = True,
        spool: Path | None = None,
        budget_day: float | None = None,
        budget_month: float | None = None,
        gpu: bool = False,
    ) -> None:
        from facemix.governance.budgets import Budgets
        from facemix.governance.prices import Prices
        from facemix.storage.keys import KeyStore
        from facemix.storage.ledger import Ledger
        from facemix.storage.ledger_writer import LedgerWriter

        self._database = database
        self._keys = KeyStore(database)
        self._ledger = Ledger(database)
        self.prices = Prices(database, gpu=gpu)
        self.budgets = Budgets(self._ledger, day=budget_day, month=budget_month)
        self.heard: Callable[[LedgerRow, str], None] = lambda row, currency: None
        """Hears of every row, with the currency of its cost; set by whoever counts. Must neither wait nor raise."""
        self._table: PriceTable | None = None
        self._writer = LedgerWriter(self._ledger, spool=spool, written=self.budgets.written) if ledger else None
        # A database is not asked for every request.
        self._known: TTLCache[str, Sender | None] = TTLCache(KEYS_REMEMBERED, KEY_SECONDS)
        # Threads of their own: a database that hangs must not hold those that files and pages are read in.
        self._look_ups = Threads(LOOK_UPS_AT_ONCE)
        self._closed = threading.Event()
        self._refused: type[Exception] | None = None
        self._looking: threading.Thread | None = None

    @classmethod
    def open(cls, settings: Settings, database: Database) -> Self:
        """Those that the settings ask for, with the prices of now."""
        from facemix.governance.prices import has_gpu

        made = cls(
            database,
            ledger=settings.ledger,
            spool=settings.data_dir.expanduser() / SPOOL,
            budget_day=settings.budget_day,
            budget_month=settings.budget_month,
            gpu=has_gpu(settings),
        )
        made.start()
        return made

    def start(self) -> None:
        """Reads prices and what was spent, and goes on looking at both every few seconds until `close`. Waits for the
        database; while it refuses, what was known last counts, and without prices nothing costs anything."""
        if self._looking is None:
            self._look()
            self._looking = threading.Thread(target=self._keep_looking, name="accounts", daemon=True)
            self._looking.start()

    def add(self, row: LedgerRow) -> None:
        """Prices and queues a row; neither waits nor raises."""
        table = self._table
        if table is not None:
            cost = table.cost(row.cpu_seconds, row.device_seconds, row.bytes_in + row.bytes_out)
            row = replace(row, price_version=table.version, cost=cost)
        self.budgets.add(row, kept=self._writer is not None)
        self.heard(row, "" if table is None else table.currency)
        if self._writer is not None:
            self._writer.add(row)

    def add_job(self, ended: Ended) -> None:
        """Queues a row for a job that has ended; the request that started it has one of its own."""
        self.add(job_row(ended))

    def add_item(self, item: GivenItem) -> None:
        """Queues a row for one of several results that a job gives out. It has no price and nobody hears of it: what it
        took is in the row of the job."""
        if self._writer is not None:
            self._writer.add(item_row(item))

    async def check_budget(self, sender: Sender | None) -> None:
        """Before any work for a request, whether it may still be paid.

        Args:
            sender: whose key it bears, None without one.

        Raises:
            BudgetSpent, BudgetExhausted: see `Budgets.check`.
            StorageUnavailable: there is a budget, and what was spent could never be read.
        """
        day, month = (None, None) if sender is None else (sender.budget_day, sender.budget_month)
        if day is None and month is None and not self.budgets.limited:
            return
        self.budgets.wanted = True
        if not self.budgets.loaded:
            await self._look_ups.run(self.budgets.refresh)
        self.budgets.check(None if sender is None else sender.name, day, month)

    async def usage(self, key: str) -> tuple[PriceTable, Usage, Usage]:
        """The prices of now, and what a key has used of this day and this month, as far as it is written down.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        from facemix.governance.budgets import day_of, month_of
        from facemix.governance.costs import Costs

        def look() -> tuple[PriceTable, Usage, Usage]:
            costs, now = Costs(self._database), datetime.now(UTC)
            return self.prices.current(), costs.usage(key, day_of(now)), costs.usage(key, month_of(now))

        return await self._look_ups.run(look)

    def ledger_state(self) -> LedgerState | None:
        """How the writing goes, None where it is switched off."""
        return None if self._writer is None else self._writer.state()

    def prune(self, older_than: datetime) -> int:
        """Deletes the rows from before that time; how many they were. Waits for the database.

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        return self._ledger.prune(older_than)

    async def sender_of(self, secret: str) -> Sender | None:
        """Whose key has that secret; None for a secret that no living key has.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        known: Any = self._known.get(secret, _NOT_KNOWN)  # one look: what is there may run out before a second
        if known is _NOT_KNOWN:
            key = await self._look_ups.run(partial(self._keys.find, secret))
            known = self._known[secret] = None if key is None else _sender(key)
        return cast("Sender | None", known)

    def close(self) -> None:
        """Writes what waits, for a bounded time."""
        self._closed.set()
        if self._looking is not None:
            self._looking.join(CLOSE_SECONDS)
        if self._writer is not None:
            self._writer.close()
        self._database.close()

    def _keep_looking(self) -> None:
        pause = REFRESH_SECONDS
        while not self._closed.wait(pause):
            began = time.monotonic()
            self._look()
            pause = max(REFRESH_SECONDS, _REST * (time.monotonic() - began))

    def _look(self) -> None:
        try:
            self._table = self.prices.current()
            self.budgets.currency = self._table.currency
            if self.budgets.wanted:
                self.budgets.refresh()
        except Exception as error:  # what cannot be read now may be readable at the next look
            if self._refused is not type(error):  # not every two seconds
                known = isinstance(error, StorageUnavailable)
                log.warning("prices and budgets are as they were read last: %s", error, exc_info=not known)
            self._refused = type(error)
        else:
            self._refused = None
