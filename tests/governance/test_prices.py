from concurrent.futures import ThreadPoolExecutor

import pytest

from facemix.errors import RecordMissing, RequestInvalid
from facemix.governance.audit import AuditLog
from facemix.governance.prices import CPU_SECOND, GPU_SECOND, PER_GIGABYTE, Prices, has_gpu
from facemix.settings import Settings


@pytest.fixture
def priced(database):
    return database


def test_there_are_prices_from_the_start(priced):
    table = Prices(priced).current()
    assert (table.version, table.currency) == (1, "USD")
    assert (table.cpu_second, table.device_second, table.gigabyte) == (CPU_SECOND, 0.0, PER_GIGABYTE)
    assert Prices(priced, gpu=True).current() == table  # it is there already


def test_a_device_has_a_price_where_it_is_a_gpu(priced):
    assert Prices(priced, gpu=True).current().device_second == GPU_SECOND
    assert has_gpu(Settings(device="cuda"))
    assert not has_gpu(Settings(device="cpu"))


def test_a_cost_is_the_sum_of_its_parts(priced):
    prices = Prices(priced)
    prices.set(actor="anna", cpu_second=2.0, device_second=3.0, gigabyte=5.0)
    assert prices.current().cost(0.5, 0.25, 10**9) == 2 * 0.5 + 3 * 0.25 + 5
    assert prices.current().cost(0, 0, 0) == 0


def test_a_change_is_a_new_version_and_the_former_stays(priced):
    prices = Prices(priced)
    first = prices.current()
    second = prices.set(actor="anna", gigabyte=0.5, currency="EUR")
    assert (second.version, second.currency, second.gigabyte) == (2, "EUR", 0.5)
    assert second.cpu_second == first.cpu_second
    assert prices.current() == prices.at(2) == second
    assert prices.at(1) == first
    assert [table.version for table in prices.list()] == [2, 1]
    with pytest.raises(RecordMissing, match="no price table 3"):
        prices.at(3)


def test_a_change_is_in_the_audit_log(priced):
    Prices(priced).set(actor="anna", cpu_second=0.25)
    (row,) = AuditLog(priced).list()
    assert (row.actor, row.action, row.subject) == ("anna", "prices.set", "2")
    assert row.details["cpu_second"] == 0.25
    assert AuditLog(priced).verify().broken is None


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"cpu_second": -0.1}, "cpu_second"),
        ({"device_second": float("nan")}, "device_second"),
        ({"gigabyte": float("inf")}, "gigabyte"),
        ({"gigabyte": 1e9}, "gigabyte"),
        ({"currency": "euro"}, "currency"),
        ({"currency": "EU\n"}, "currency"),
    ],
)
def test_absurd_prices_are_refused_and_change_nothing(priced, given, where):
    with pytest.raises(RequestInvalid) as refused:
        Prices(priced).set(actor="anna", **given)
    assert refused.value.where == where
    assert Prices(priced).current().version == 1
    assert AuditLog(priced).list() == []


def test_two_who_change_prices_at_once_make_two_versions(priced):
    prices = Prices(priced)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: prices.set(actor=f"a{number}", gigabyte=float(number)), range(4)))
    assert sorted(table.version for table in made) == [2, 3, 4, 5]
    assert len(AuditLog(priced).list()) == 4
