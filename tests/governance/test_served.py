from datetime import timedelta

import pytest

from facemix.governance.prices import Prices
from facemix.governance.served import served_by_model
from facemix.storage.ledger import Ledger, LedgerRow


def row(model, noon, **values):
    given = {"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "frames_decoded": 1, "milliseconds": 100.0}
    return LedgerRow(model_id=model, at=noon, **{**given, **values})


def test_what_models_did_is_told_apart(database, noon):
    rows = [
        row("a@1", noon, device_seconds=0.03, milliseconds=40.0),
        row("a@1", noon, device_seconds=0.01, milliseconds=80.0, frames_decoded=3),
        row("a@1", noon, route="JOB animation", device_seconds=1.0, frames_decoded=100, milliseconds=9e6),
        row("b@2", noon, route="JOB batch", device_seconds=0.5, frames_decoded=10),
        row("a@1", noon, frames_decoded=0),  # drew nothing
        row("a@1", noon, status=503, error_code="busy", outcome="refused"),
        row("a@1", noon - timedelta(days=9)),
        row(None, noon),
    ]
    Ledger(database).append_many(rows)
    found = served_by_model(database, since=noon - timedelta(days=1))
    assert set(found) == {"a@1", "b@2"}
    assert found["a@1"].requests == 3
    assert found["a@1"].milliseconds == pytest.approx(60)
    assert found["a@1"].device_milliseconds == pytest.approx(10)
    assert found["b@2"].milliseconds is None
    assert found["b@2"].device_milliseconds == pytest.approx(50)


def test_costs_are_by_currency(database, noon):
    prices = Prices(database)
    versions = []
    for currency in ("EUR", "CHF"):
        prices.set(actor="test", currency=currency, cpu_second=1.0, device_second=1.0, gigabyte=1.0)
        versions.append(prices.current().version)
    rows = [
        row("a@1", noon, price_version=versions[0], cost=0.5),
        row("a@1", noon, price_version=versions[0], cost=0.25),
        row("a@1", noon, price_version=versions[1], cost=0.125),
        row("a@1", noon, price_version=0, cost=0.0),
    ]
    Ledger(database).append_many(rows)
    (served,) = served_by_model(database, since=noon - timedelta(days=1)).values()
    assert served.requests == 4
    assert served.cost_per_thousand == {"EUR": 375.0, "CHF": 125.0}
