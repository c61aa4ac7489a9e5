"""What was spent, read from the ledger: by day, model, key or outcome; the cost of a thousand mixes; the month's end.

Sums are by currency: rows that were priced in another one are never added to these. Items of a job, which cost nothing
of their own, are in none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, and_, func, select

from facemix.governance.budgets import Period, month_of
from facemix.storage.database import Database
from facemix.storage.governance_tables import prices
from facemix.storage.ledger import ASKED
from facemix.storage.tables import ledger

By = Literal["day", "model", "key", "outcome"]
KINDS: tuple[By, ...] = get_args(By)
LEAST_DATA = timedelta(hours=1)  # a forecast from less would be a guess
_SUMS = ("cost", "cpu_seconds", "device_seconds", "bytes_in", "bytes_out")


@dataclass(frozen=True)
class Line:
    """Sums over rows. `name` is a day (``2030-05-17``), a model, a key or an outcome; None where the rows have none.
    `currency` is None for rows without a price."""

    name: str | None
    currency: str | None
    requests: int
    cost: float
    cpu_seconds: float
    device_seconds: float
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True)
class MixCost:
    """Requests and jobs that were kept and decoded frames.

    Attributes:
        mixes: how many.
        per_thousand: what a thousand of them cost.
        with_all: the same, if what all other rows cost is shared out to them.
    """

    currency: str
    mixes: int
    per_thousand: float
    with_all: float


@dataclass(frozen=True)
class Forecast:
    """What a month will have cost if it goes on as so far: spent so far, divided by the days of data, times the days
    that are left, added to what is spent.

    Attributes:
        days: of data: since the month began, or since the first row of all if that came later.
    """

    currency: str
    spent: float
    days: float
    month: float
    until: datetime


@dataclass(frozen=True)
class Report:
    """Everything about one interval; `lines` dearest first, but days in their order. `totals` has one for each
    currency, without a name."""

    by: By
    since: datetime
    until: datetime
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]
    mixes: tuple[MixCost, ...]
    forecast: tuple[Forecast, ...]


@dataclass(frozen=True)
class Usage:
    """What one key has used of a period. `outcomes` counts requests by what became of them."""

    period: Period
    requests: int
    cost: float
    outcomes: dict[str, int]


class Costs:
    """Reads the ledger. Thread-safe. Every method waits for the database and raises `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, days: int, by: By, *, now: datetime | None = None) -> Report:
        """The last `days` days, this one included.

        Args:
            days: at least 1.
        """
        now = (now or datetime.now(UTC)).astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since, until = today - timedelta(days=days - 1), now + timedelta(seconds=1)
        lines = self.lines(by, since, until)
        lines.sort(
            key=(lambda line: (line.name or "",)) if by == "day" else (lambda line: (-line.cost, line.name or ""))
        )
        totals = self.lines(None, since, until)
        return Report(
            by, since, until, tuple(lines), tuple(totals), self._mixes(since, until, totals), self.forecast(now)
        )

    def lines(self, by: By | None, since: datetime, until: datetime) -> list[Line]:
        """Sums by name and currency; by currency alone with None."""
        name = None if by is None else self._name(by)
        groups: list[ColumnElement[Any]] = [prices.c.currency] if name is None else [name, prices.c.currency]
        wanted = (
            select(*groups, func.count(), *(func.sum(ledger.c[one]) for one in _SUMS))
            .select_from(ledger.outerjoin(prices, ledger.c.price_version == prices.c.version))
            .where(ASKED, ledger.c.at >= since, ledger.c.at < until)
            .group_by(*groups)
            .order_by(*groups)
        )
        with self._database.reading() as connection:
            rows = [tuple(row) for row in connection.execute(wanted)]
        if name is None:
            rows = [(None, *row) for row in rows]
        return [
            Line(
                None if row[0] is None else str(row[0]),
                row[1],
                row[2],
                *(float(value) for value in row[3:6]),
                *(int(value) for value in row[6:]),
            )
            for row in rows
        ]

    def forecast(self, now: datetime) -> tuple[Forecast, ...]:
        """For the month in which `now` is, by currency; nothing before there is an hour of data."""
        month = month_of(now)
        with self._database.reading() as connection:
            first = connection.execute(select(func.min(ledger.c.at)).where(ledger.c.at <= now)).scalar_one()
        if first is None:
            return ()
        began = max(first, month.since)
        elapsed = now - began
        if elapsed < LEAST_DATA:
            return ()
        left = (month.until - now) / elapsed
        return tuple(
            Forecast(line.currency, line.cost, elapsed / timedelta(days=1), line.cost * (1 + left), month.until)
            for line in self.lines(None, month.since, now)
            if line.currency is not None
        )

    def usage(self, key: str, period: Period) -> Usage:
        """What a key has used of a period, as far as the rows are written."""
        wanted = (
            select(ledger.c.outcome, func.count(), func.sum(ledger.c.cost))
            .where(ASKED, ledger.c.key_name == key, ledger.c.at >= period.since, ledger.c.at < period.until)
            .group_by(ledger.c.outcome)
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        counts = {outcome: count for outcome, count, _ in rows}
        return Usage(period, sum(counts.values()), float(sum(cost for _, _, cost in rows)), counts)

    def _mixes(self, since: datetime, until: datetime, totals: list[Line]) -> tuple[MixCost, ...]:
        wanted = (
            select(prices.c.currency, func.count(), func.sum(ledger.c.cost))
            .select_from(ledger.join(prices, ledger.c.price_version == prices.c.version))
            .where(
                and_(ledger.c.at >= since, ledger.c.at < until, ledger.c.outcome == "kept", ledger.c.frames_decoded > 0)
            )
            .group_by(prices.c.currency)
            .order_by(prices.c.currency)
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        all_of = {line.currency: line.cost for line in totals}
        return tuple(
            MixCost(currency, count, 1000 * cost / count, 1000 * all_of[currency] / count)
            for currency, count, cost in rows
        )

    def _name(self, by: By) -> ColumnElement[Any]:
        if by == "day":  # PostgreSQL's day is that of the connection's time zone
            sqlite = self._database.engine.dialect.name == "sqlite"
            return func.date(ledger.c.at if sqlite else func.timezone("UTC", ledger.c.at))
        return {"model": ledger.c.model_id, "key": ledger.c.key_name, "outcome": ledger.c.outcome}[by]


def figure(value: float) -> str:
    """An amount of money as people read it: four digits that say something, never in powers of ten."""
    if value >= 1000:
        return f"{value:,.2f}"
    text = f"{value:.4g}"
    return f"{value:.9f}".rstrip("0").rstrip(".") if "e-" in text else text
