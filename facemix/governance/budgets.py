"""What may still be spent: by one key, and by all requests together, in a day and in a month (UTC).

What was spent is held in memory: the ledger's sums as they were read last, and on top of them every row of this process
that was not in them yet. Rows of other processes are seen a few seconds late. Nothing is reserved for a request that is
still worked on, so a budget may be overshot by what was under way when it ran out (`docs/costs.md`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from facemix.errors import BudgetExhausted, BudgetSpent, FacemixError
from facemix.storage.ledger import LedgerRow

# A row may come into the database late, from a process whose database refused for a while. What is older than this is
# summed only now and then, the rest at every look.
LATE = timedelta(minutes=15)
WHOLE = timedelta(minutes=10)  # between two sums over everything
_ROUNDING = 1e-12  # what adding and taking away leaves behind

Sums = dict[str | None, float]
_Entry = tuple[datetime, str | None, float]  # when, whose key, what it cost


class Spent(Protocol):
    """Where sums come from: a `Ledger`."""

    def spent(self, since: datetime, until: datetime | None = None) -> Sums: ...


@dataclass(frozen=True)
class Period:
    """A day or a month; `since` belongs to it, `until` does not."""

    name: str
    since: datetime
    until: datetime


def day_of(now: datetime) -> Period:
    """The day in UTC."""
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period("day", since, since + timedelta(days=1))


def month_of(now: datetime) -> Period:
    """The calendar month in UTC."""
    since = day_of(now).since.replace(day=1)
    return Period("month", since, (since + timedelta(days=32)).replace(day=1))


@dataclass
class _Account:
    """Sums over one period: `settled` until `mark`, and `read` from the ledger in all; `pending` are rows of this
    process, by id, that were not in it when it was read."""

    period: Period
    settled: Sums = field(default_factory=dict)
    mark: datetime | None = None
    read: Sums = field(default_factory=dict)

    def look(self, ledger: Spent, now: datetime, whole: bool) -> tuple[Sums, datetime, Sums]:
        """What is to be put into its place: settled, mark, read. Waits for the database."""
        settled, mark = self.settled, self.mark
        if whole or mark is None:
            mark = max(self.period.since, now - LATE)
            settled = ledger.spent(self.period.since, mark) if mark > self.period.since else {}
        return settled, mark, _sum(settled, ledger.spent(mark))


class Budgets:
    """Thread-safe. Until the first `refresh`, it knows only of rows that were added here.

    Args:
        day, month: what all requests together may cost; None means no limit.

    Attributes:
        limited: whether all requests together have a budget.
        wanted: whether anybody has; set by whoever learns of a key's.
        currency: for messages; changes with the price table.
        loaded: whether the ledger has been read.
    """

    def __init__(self, ledger: Spent, *, day: float | None = None, month: float | None = None) -> None:
        self._ledger = ledger
        self.limits = {"day": day, "month": month}
        self.currency = ""
        self.loaded = False
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._whole_at: datetime | None = None
        # Rows of this process that the last sums may not have: not yet written, or written while they were made.
        self._pending: dict[str, _Entry] = {}
        self._recent: dict[str, _Entry] = {}
        self._extra: dict[tuple[str, datetime, str | None], float] = {}
        self.limited = self.wanted = day is not None or month is not None

    def add(self, row: LedgerRow, *, kept: bool = True) -> None:
        """A row of this process; it counts at once.

        Args:
            kept: whether the ledger will have it; else it counts as long as this process lives.
        """
        if row.cost:
            entry = (row.at, row.key_name, row.cost)
            with self._lock:
                if kept:
                    self._pending[row.id] = entry
                self._count(entry)

    def written(self, rows: Sequence[LedgerRow]) -> None:
        """The database has these rows."""
        with self._lock:
            for row in rows:
                if (mine := self._pending.pop(row.id, None)) is None:
                    continue
                if self.wanted:
                    self._recent[row.id] = mine
                else:  # nobody sums the ledger, which has it now
                    self._take_off(mine)

    def refresh(self, now: datetime | None = None) -> None:
        """Reads the ledger's sums. Waits for the database.

        Raises:
            StorageUnavailable: the database refused; what was known stays.
        """
        with self._refreshing:
            now = now or datetime.now(UTC)
            with self._lock:
                accounts = [self._account(period) for period in (day_of(now), month_of(now))]
                seen = list(self._recent)  # written before the sums are made, so they hold them
                whole = self._whole_at is None or now - self._whole_at >= WHOLE
            found = [account.look(self._ledger, now, whole) for account in accounts]
            with self._lock:
                for account, (account.settled, account.mark, account.read) in zip(accounts, found, strict=True):
                    self._accounts[account.period.name] = account
                for identity in seen:
                    self._take_off(self._recent.pop(identity))
                self._whole_at = now if whole else self._whole_at
                self.loaded = True
                # What was never written, and belongs to a month that is over, counts no more.
                begun = {account.period.since for account in accounts}
                self._extra = {name: cost for name, cost in self._extra.items() if name[1] in begun}
                self._pending = {name: entry for name, entry in self._pending.items() if entry[0] >= min(begun)}

    def spent(self, period: Period, key: str | None = None, *, everybody: bool = False) -> float:
        """What a key has spent in a period, or with `everybody` all requests, those without a key included."""
        with self._lock:
            account = self._accounts.get(period.name)
            read = account.read if account is not None and account.period == period else {}
            if not everybody:
                return max(0.0, read.get(key, 0.0) + self._extra.get((period.name, period.since, key), 0.0))
            extra = (
                cost for (name, since, _), cost in self._extra.items() if (name, since) == (period.name, period.since)
            )
            return max(0.0, sum(read.values()) + sum(extra))

    def check(
        self, key: str | None, day: float | None = None, month: float | None = None, *, now: datetime | None = None
    ) -> None:
        """Whether work may begin.

        Args:
            key: whose request it is; `day` and `month` are this key's budgets.

        Raises:
            BudgetSpent: the key's budget is spent.
            BudgetExhausted: the installation's is. `details` of both hold `retry_after`, seconds until it begins anew.
        """
        now = now or datetime.now(UTC)
        for period, own in ((day_of(now), day), (month_of(now), month)):
            if own is not None and key is not None and (spent := self.spent(period, key)) >= own:
                raise self._spent(BudgetSpent, f"the key {key!r}", period, own, spent, now)
            limit = self.limits[period.name]
            if limit is not None and (spent := self.spent(period, everybody=True)) >= limit:
                raise self._spent(BudgetExhausted, "this server", period, limit, spent, now)

    def _spent(
        self, kind: type[FacemixError], who: str, period: Period, limit: float, spent: float, now: datetime
    ) -> FacemixError:
        wait = max(1, math.ceil((period.until - now).total_seconds()))
        details = {"period": period.name, "until": period.until.isoformat(), "retry_after": wait}
        if kind is BudgetSpent:  # what the whole server spends is nobody's business but the operator's
            details |= {"budget": limit, "spent": round(spent, 6), "currency": self.currency}
        return kind(
            f"{who} has spent its budget of the {period.name}",
            hint=f"it begins anew on {period.until:%Y-%m-%d} at 00:00 UTC, or ask whoever runs this server for more",
            **details,
        )

    def _account(self, period: Period) -> _Account:
        account = self._accounts.get(period.name)
        return account if account is not None and account.period == period else _Account(period)

    def _count(self, entry: _Entry) -> None:
        at, key, cost = entry
        for period in (day_of(at), month_of(at)):
            name = (period.name, period.since, key)
            self._extra[name] = self._extra.get(name, 0.0) + cost
            if abs(self._extra[name]) <= _ROUNDING:
                del self._extra[name]

    def _take_off(self, entry: _Entry) -> None:
        at, key, cost = entry
        self._count((at, key, -cost))


def _sum(*given: Sums) -> Sums:
    total: Sums = {}
    for one in given:
        for key, cost in one.items():
            total[key] = total.get(key, 0.0) + cost
    return total
