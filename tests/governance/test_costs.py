from datetime import UTC, datetime, timedelta

import pytest

from facemix.governance.budgets import day_of
from facemix.governance.costs import Costs, figure
from facemix.governance.prices import Prices
from facemix.storage.ledger import Ledger, LedgerRow

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def opened(database):
    Prices(database).current()
    return database


def entry(**given):
    base = {"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "at": NOON, "price_version": 1}
    return LedgerRow(**(base | given))


def test_sums_by_day_model_key_and_outcome(opened):
    Ledger(opened).append_many(
        [
            entry(cost=1.0, model_id="m", key_name="a", cpu_seconds=2.0, bytes_in=2**40, at=NOON - DAY),
            entry(cost=2.0, model_id="m", device_seconds=0.5, bytes_out=7),
            entry(cost=4.0, model_id="n", key_name="a", outcome="failed", status=500),
            entry(cost=0.0, outcome="refused", status=422),
        ]
    )
    costs = Costs(opened)

    def sums(by):
        return {line.name: (line.requests, line.cost) for line in costs.report(2, by, now=NOON).lines}

    assert sums("day") == {"2030-05-16": (1, 1.0), "2030-05-17": (3, 6.0)}
    assert sums("model") == {"n": (1, 4.0), "m": (2, 3.0), None: (1, 0.0)}
    assert sums("key") == {"a": (2, 5.0), None: (2, 2.0)}
    assert sums("outcome") == {"failed": (1, 4.0), "kept": (2, 3.0), "refused": (1, 0.0)}
    assert [line.name for line in costs.report(2, "outcome", now=NOON).lines] == ["failed", "kept", "refused"]
    (total,) = costs.report(2, "day", now=NOON).totals
    assert (total.currency, total.requests, total.cost, total.cpu_seconds) == ("USD", 4, 7.0, 2.0)
    assert (total.device_seconds, total.bytes_in, total.bytes_out) == (0.5, 2**40, 7)


def test_a_day_is_one_of_utc_and_a_report_ends_now(opened):
    Ledger(opened).append_many(
        [
            entry(cost=1.0, at=datetime(2030, 5, 16, 23, 59, 59, tzinfo=UTC)),
            entry(cost=2.0, at=datetime(2030, 5, 17, 0, 0, tzinfo=UTC)),
            entry(cost=4.0, at=NOON + DAY),
        ]
    )
    (line,) = Costs(opened).report(1, "day", now=NOON).lines
    assert (line.name, line.cost) == ("2030-05-17", 2.0)


def test_currencies_are_never_added_to_each_other(opened):
    Prices(opened).set(actor="anna", currency="EUR")
    Ledger(opened).append_many([entry(cost=1.0), entry(cost=2.0, price_version=2), entry(price_version=0)])
    report = Costs(opened).report(1, "outcome", now=NOON)
    assert {(line.currency, line.cost) for line in report.totals} == {("USD", 1.0), ("EUR", 2.0), (None, 0.0)}
    assert len(report.lines) == 3


def test_the_cost_of_a_thousand_mixes(opened):
    Ledger(opened).append_many(
        [
            *(entry(cost=0.25, frames_decoded=1) for _ in range(3)),
            entry(cost=0.25, frames_decoded=33),
            entry(cost=1.0, frames_decoded=1, outcome="failed", status=499),
            entry(cost=0.5, outcome="refused", status=422),
            entry(cost=0.5, frames_encoded=1),  # a face that was kept, and no mix
        ]
    )
    (mix,) = Costs(opened).report(1, "day", now=NOON).mixes
    assert (mix.mixes, mix.per_thousand, mix.with_all) == (4, 250.0, 750.0)


def test_a_forecast_goes_on_as_so_far(opened):
    book = Ledger(opened)
    book.append_many([entry(cost=5.0, at=datetime(2030, 4, 30, tzinfo=UTC)), entry(cost=1.0), entry(cost=0.65)])
    now = datetime(2030, 5, 17, 12, tzinfo=UTC) + timedelta(seconds=1)
    (one,) = Costs(opened).forecast(now)
    assert (one.currency, one.spent) == ("USD", 1.65)
    assert one.days == pytest.approx(16.5, abs=1e-4)
    assert one.month == pytest.approx(1.65 / 16.5 * 31, abs=1e-4)


def test_a_forecast_looks_at_days_with_data_and_not_at_too_few(opened):
    costs = Costs(opened)
    assert costs.forecast(NOON) == ()
    Ledger(opened).append_many([entry(cost=1.0, at=NOON - 2 * DAY)])
    (one,) = costs.forecast(NOON)
    assert one.days == 2.0
    assert one.month == pytest.approx(1.0 + 14.5 * 0.5)
    assert costs.forecast(NOON - 2 * DAY + timedelta(minutes=59)) == ()


def test_what_one_key_has_used(opened):
    Ledger(opened).append_many(
        [
            entry(cost=1.0, key_name="a"),
            entry(cost=0.5, key_name="a", outcome="refused", status=422),
            entry(cost=2.0, key_name="b"),
            entry(cost=4.0, key_name="a", at=NOON - DAY),
        ]
    )
    used = Costs(opened).usage("a", day_of(NOON))
    assert (used.requests, used.cost, used.outcomes) == (2, 1.5, {"kept": 1, "refused": 1})
    assert Costs(opened).usage("nobody", day_of(NOON)).requests == 0


def test_an_empty_ledger_has_an_empty_report(opened):
    report = Costs(opened).report(30, "model", now=NOON)
    assert (report.lines, report.totals, report.mixes, report.forecast) == ((), (), (), ())


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.5, "1.5"), (1234.5, "1,234.50"), (0.00001333333, "0.000013333"), (2.5e-10, "0"), (0.09, "0.09")],
)
def test_amounts_are_written_without_powers_of_ten(value, text):
    assert figure(value) == text
