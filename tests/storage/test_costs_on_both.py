"""Sums over the ledger by day, on either database."""

from datetime import UTC, datetime

from facemix.governance.budgets import day_of
from facemix.governance.costs import Costs
from facemix.governance.prices import Prices
from facemix.storage.ledger import Ledger


def test_a_day_is_one_of_utc_on_every_database(database, row):
    Prices(database).current()
    late, early = datetime(2030, 5, 16, 23, 59, 59, 999999, tzinfo=UTC), datetime(2030, 5, 17, tzinfo=UTC)
    rows = [row(at=late, cost=1.0, price_version=1), row(at=early, cost=2.0, price_version=1, bytes_in=2**40)]
    Ledger(database).append_many(rows)
    report = Costs(database).report(2, "day", now=datetime(2030, 5, 17, 9, tzinfo=UTC))
    assert [(line.name, line.cost) for line in report.lines] == [("2030-05-16", 1.0), ("2030-05-17", 2.0)]
    assert type(report.totals[0].bytes_in) is int
    assert Ledger(database).spent(day_of(early).since, day_of(early).until) == {None: 2.0}
    (forecast,) = report.forecast
    assert forecast.spent == 3.0
