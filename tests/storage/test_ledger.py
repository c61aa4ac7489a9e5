from datetime import timedelta

import pytest

from facemix.storage.ledger import Ledger, LedgerTotal

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(database):
    return Ledger(database)


def test_rows_get_ids_that_rise_with_time(row):
    made = [row().id for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [one[:16] for one in made] == sorted(one[:16] for one in made)
    assert {len(one) for one in made} == {32}


def test_every_column_is_written(ledger, row, database, noon):
    given = {
        "request_id": "abc",
        "route": "GET /",
        "status": 422,
        "error_code": "face_not_found",
        "model_id": "m",
        "key_name": "k",
        "frames_encoded": 2,
        "frames_decoded": 33,
        "device_seconds": 0.125,
        "milliseconds": 12.5,
        "bytes_in": 2**40,
        "bytes_out": 3,
    }
    ledger.append_many([row(**given)])
    with database.reading() as connection:
        (found,) = connection.exec_driver_sql(f"SELECT {', '.join(given)} FROM ledger").all()
    assert tuple(found) == tuple(given.values())
    assert ledger.count(noon, noon + timedelta(microseconds=1)) == 1


def test_writing_a_row_again_changes_nothing(ledger, row):
    first, second = row(), row()
    ledger.append_many([first])
    ledger.append_many([first, second])
    ledger.append_many([])
    assert ledger.count() == 2


def test_totals_are_by_model_and_key_and_the_costliest_come_first(ledger, row):
    cost = {"frames_encoded": 2, "frames_decoded": 3, "milliseconds": 1.5, "bytes_in": 2**40, "bytes_out": 7}
    cost |= {"cpu_seconds": 0.75, "cost": 0.25}
    ledger.append_many(
        [
            row(error_code="busy", status=503),
            row(model_id="m", key_name="k", device_seconds=0.25, **cost),
            row(model_id="m", key_name="k", device_seconds=0.5, error_code="face_not_found", **cost),
            row(model_id="m", device_seconds=0.125),
        ]
    )
    none = dict.fromkeys(("frames_encoded", "frames_decoded", "bytes_in", "bytes_out"), 0)
    none |= dict.fromkeys(("cpu_seconds", "cost"), 0.0)
    found = ledger.totals()
    assert found == [
        LedgerTotal(
            model_id="m",
            key_name="k",
            requests=2,
            refused=1,
            frames_encoded=4,
            frames_decoded=6,
            device_seconds=0.75,
            milliseconds=3.0,
            bytes_in=2**41,
            bytes_out=14,
            cpu_seconds=1.5,
            cost=0.5,
        ),
        LedgerTotal(model_id="m", key_name=None, requests=1, refused=0, device_seconds=0.125, milliseconds=0.0, **none),
        LedgerTotal(model_id=None, key_name=None, requests=1, refused=1, device_seconds=0.0, milliseconds=0.0, **none),
    ]
    assert type(found[0].bytes_in) is int


def test_an_interval_holds_its_start_and_not_its_end(ledger, row, noon):
    ledger.append_many([row(at=noon + hours * HOUR, bytes_in=10**hours) for hours in range(4)])
    assert ledger.count(noon + HOUR, noon + 3 * HOUR) == 2
    assert [one.bytes_in for one in ledger.totals(noon + HOUR, noon + 3 * HOUR)] == [110]
    assert ledger.count(since=noon + 2 * HOUR) == 2
    assert ledger.count(until=noon) == 0
    assert ledger.totals(until=noon) == []


def test_pruning_leaves_what_is_not_older(ledger, row, noon):
    ledger.append_many([row(at=noon + hours * HOUR) for hours in range(4)])
    assert ledger.prune(noon + 2 * HOUR) == 2
    assert ledger.count(until=noon + 2 * HOUR) == 0
    assert ledger.count() == 2
