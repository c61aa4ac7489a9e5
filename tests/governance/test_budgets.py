from datetime import UTC, datetime, timedelta, timezone

import pytest

from facemix.errors import BudgetExhausted, BudgetSpent, StorageUnavailable
from facemix.governance import budgets as module
from facemix.governance.budgets import Budgets, day_of, month_of
from facemix.storage.ledger import Ledger, LedgerRow

NOON = datetime(2030, 5, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spent_row(cost, key=None, at=NOON):
    return LedgerRow(request_id="r", route="POST /api/v1/mix", status=200, cost=cost, key_name=key, at=at)


@pytest.fixture
def book(database):
    return Ledger(database)


def test_a_day_and_a_month_end_at_midnight_utc():
    late = datetime(2030, 12, 31, 23, 59, tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert (day_of(late).since, day_of(late).until) == (
        datetime(2030, 12, 31, tzinfo=UTC),
        datetime(2031, 1, 1, tzinfo=UTC),
    )
    assert (month_of(late).since, month_of(late).until) == (
        datetime(2030, 12, 1, tzinfo=UTC),
        datetime(2031, 1, 1, tzinfo=UTC),
    )


def test_a_key_may_spend_its_budget_and_no_more(book):
    budgets = Budgets(book)
    budgets.refresh(NOON)
    budgets.check("a", 1.0, None, now=NOON)
    budgets.add(spent_row(0.75, "a"))
    budgets.check("a", 1.0, None, now=NOON)
    budgets.add(spent_row(0.25, "a"))
    budgets.add(spent_row(9.0, "b"))
    budgets.add(spent_row(9.0))
    with pytest.raises(BudgetSpent) as refused:
        budgets.check("a", 1.0, None, now=NOON)
    assert refused.value.status == 402
    assert refused.value.details["retry_after"] == 12 * 3600
    assert refused.value.details["spent"] == 1.0
    assert "day" in refused.value.message
    budgets.check("a", 1.0, None, now=NOON + 12 * HOUR)  # the next day
    with pytest.raises(BudgetSpent, match="month"):
        budgets.check("a", None, 1.0, now=NOON + 12 * HOUR)
    budgets.check("a", None, None, now=NOON)


def test_all_together_have_a_budget(book):
    budgets = Budgets(book, day=2.0, month=3.0)
    budgets.add(spent_row(1.0, "a"))
    budgets.check("a", now=NOON)
    budgets.add(spent_row(1.0))
    with pytest.raises(BudgetExhausted) as refused:
        budgets.check(None, now=NOON)
    assert refused.value.status == 429
    assert "spent" not in refused.value.details
    budgets.check(None, now=NOON + 24 * HOUR)
    budgets.add(spent_row(1.0, at=NOON + 24 * HOUR))
    with pytest.raises(BudgetExhausted, match="month") as refused:
        budgets.check(None, now=NOON + 24 * HOUR)
    assert refused.value.details["retry_after"] == (datetime(2030, 6, 1, tzinfo=UTC) - NOON - 24 * HOUR).total_seconds()


def test_it_begins_with_what_the_ledger_knows(book):
    book.append_many(
        [
            spent_row(1.0, "a", NOON - 30 * 24 * HOUR),
            spent_row(2.0, "a", NOON - 24 * HOUR),
            spent_row(4.0, "a", NOON - HOUR),
            spent_row(8.0, "b", NOON - timedelta(minutes=1)),
        ]
    )
    budgets = Budgets(book)
    assert not budgets.loaded
    budgets.refresh(NOON)
    assert budgets.loaded
    assert (budgets.spent(day_of(NOON), "a"), budgets.spent(month_of(NOON), "a")) == (4.0, 6.0)
    assert budgets.spent(day_of(NOON), everybody=True) == 12.0
    assert budgets.spent(day_of(NOON), None) == 0.0


def test_a_row_counts_once_before_and_after_it_is_written(book):
    budgets, row = Budgets(book, month=1e6), spent_row(1.0, "a")
    budgets.refresh(NOON)
    budgets.add(row)
    counts = [budgets.spent(day_of(NOON), "a")]
    budgets.refresh(NOON)
    counts.append(budgets.spent(day_of(NOON), "a"))
    book.append_many([row])
    budgets.written([row])
    counts.append(budgets.spent(day_of(NOON), "a"))
    budgets.refresh(NOON + timedelta(seconds=2))
    counts.append(budgets.spent(day_of(NOON), "a"))
    budgets.written([row])  # told again, as when it is read from the spool
    budgets.refresh(NOON + timedelta(seconds=4))
    counts.append(budgets.spent(day_of(NOON), "a"))
    assert counts == [1.0] * 5


def test_what_other_processes_spend_is_seen(book):
    mine, theirs = Budgets(book), spent_row(3.0, "a")
    mine.refresh(NOON)
    book.append_many([theirs])
    mine.refresh(NOON + timedelta(seconds=2))
    assert mine.spent(day_of(NOON), "a") == 3.0
    # A row that comes hours late is seen at the next sum over everything.
    book.append_many([spent_row(5.0, "a", NOON - 3 * HOUR)])
    mine.refresh(NOON + timedelta(seconds=4))
    assert mine.spent(day_of(NOON), "a") == 3.0
    mine.refresh(NOON + module.WHOLE)
    assert mine.spent(day_of(NOON), "a") == 8.0


def test_a_new_day_begins_with_nothing(book):
    budgets = Budgets(book)
    midnight = day_of(NOON).until
    book.append_many([spent_row(1.0, "a", midnight - HOUR)])
    budgets.refresh(midnight - timedelta(seconds=1))
    budgets.refresh(midnight)
    assert budgets.spent(day_of(midnight), "a") == 0.0
    assert budgets.spent(month_of(midnight), "a") == 1.0
    budgets.add(spent_row(2.0, "a", midnight + HOUR))
    assert budgets.spent(day_of(midnight), "a") == 2.0


def test_a_database_that_refuses_leaves_what_was_known(book):
    budgets, row = Budgets(book, month=1e6), spent_row(1.0, "a")
    book.append_many([row])
    budgets.refresh(NOON)

    class Gone:
        def spent(self, since, until=None):
            raise StorageUnavailable("gone", hint="wait")

    budgets._ledger = Gone()
    with pytest.raises(StorageUnavailable):
        budgets.refresh(NOON)
    budgets.add(spent_row(0.5, "a"))
    assert budgets.spent(day_of(NOON), "a") == 1.5


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_written_takes_no_memory(book, wanted):
    budgets = Budgets(book, month=1e6 if wanted else None)
    for _ in range(100):
        budgets.add(spent_row(0.0, "a"))
    assert not budgets._pending
    rows = [spent_row(0.1, "a") for _ in range(100)]
    for row in rows:
        budgets.add(row)
    book.append_many(rows)
    budgets.written(rows)
    if wanted:
        budgets.refresh(NOON)
    assert [budgets._pending, budgets._recent, budgets._extra] == [{}, {}, {}]
    budgets.refresh(NOON)  # as when somebody has a budget now
    assert budgets.spent(day_of(NOON), "a") == pytest.approx(10.0)


def test_without_a_ledger_only_sums_are_kept(book):
    budgets = Budgets(book, day=10.0)
    for _ in range(100):
        budgets.add(spent_row(0.25, "a"), kept=False)
    budgets.refresh(NOON)
    assert budgets._pending == {}
    assert budgets.spent(day_of(NOON), everybody=True) == 25.0


def test_what_was_never_written_counts_until_its_month_is_over(book):
    budgets = Budgets(book, month=10.0)
    budgets.add(spent_row(1.0, "a"))
    budgets.refresh(NOON)
    assert budgets.spent(month_of(NOON), "a") == 1.0
    budgets.refresh(NOON + 31 * 24 * HOUR)
    assert [budgets._pending, budgets._extra] == [{}, {}]
