"""What a key is told of its own spending, and an operator of everybody's."""

from datetime import UTC, datetime

import pytest
from console_client import Browser, console
from days import well_within_a_day

from facemix.governance.audit import AuditLog
from facemix.governance.prices import Prices
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger, LedgerRow


def entry(**given):
    return LedgerRow(**({"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "price_version": 1} | given))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    well_within_a_day(120)  # its rows are of today, for every test of this module
    people = {"anna": "operator", "rita": "reviewer"}
    with console(tmp_path_factory.mktemp("spend"), people=people, budget_day=4.0) as browser:
        database = browser.client.governed.database
        Prices(database).current()
        browser.client.secret = KeyStore(database).create("integrator", budget_day=2.0)
        Ledger(database).append_many(
            [
                entry(cost=1.25, key_name="integrator", frames_decoded=1, model_id="<m>@abc"),
                entry(cost=0.25, key_name="integrator", outcome="refused", status=422),
                entry(cost=3.0, key_name="other"),
            ]
        )
        yield browser.client


@pytest.fixture
def browser(site):
    return Browser(site)


def test_a_key_is_told_what_it_has_used_and_nothing_of_others(site):
    answer = site.get("/api/v1/usage", headers={"Authorization": f"Bearer {site.secret}"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["key"], body["currency"], body["price_version"]) == ("integrator", "USD", 1)
    assert body["day"]["outcomes"] == {"kept": 1, "refused": 1}
    assert (body["day"]["cost"], body["day"]["budget"], body["day"]["left"]) == (1.5, 2.0, 0.5)
    assert (body["month"]["cost"], body["month"]["budget"], body["month"]["left"]) == (1.5, None, None)
    assert datetime.fromisoformat(body["day"]["until"]) > datetime.now(UTC)
    assert "other" not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/faces", "/api/v1/jobs", "/api/v1/usage"])
def test_what_only_a_key_may_ask_asks_for_one(site, path):
    without = site.get(path)
    assert (without.status_code, without.json()["code"]) == (401, "key_required")
    assert without.headers["www-authenticate"] == "Bearer"
    wrong = site.get(path, headers={"Authorization": "Bearer fmx_x"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "key_unknown")
    assert site.get(path, headers={"Authorization": f"Bearer {site.secret}"}).status_code == 200


def test_an_operator_sees_what_was_spent(browser):
    browser.sign_in()
    page = browser.get("/console/spend?by=key&days=7")
    assert page.status_code == 200
    for text in (
        "integrator",
        "other",
        "USD 1.5",
        "USD 4.5",
        "Budget of the day: 4.5 of 4 USD",
        "A thousand mixes cost",
    ):
        assert text in page.text
    assert "&lt;m&gt;@abc" in browser.get("/console/spend?by=model").text
    assert "refused" in browser.get("/console/spend?by=outcome").text
    assert browser.get("/console/spend").status_code == 200
    assert browser.get("/console/spend?by=face").status_code == 422
    assert browser.get("/console/spend?days=0").status_code == 422


def test_a_reviewer_does_not(browser):
    browser.sign_in("rita")
    assert browser.get("/console/spend").status_code == 403
    browser.cookies.clear()
    assert browser.get("/console/spend").status_code == 303  # to sign in


def test_an_operator_sets_prices(browser):
    browser.sign_in()
    wrong = browser.send("/console/spend", "/console/spend/prices", cpu_second="-1", gigabyte="0.5")
    assert wrong.status_code == 422
    assert 'value="0.5"' in wrong.text
    assert browser.send("/console/spend", "/console/spend/prices", gigabyte="much").status_code == 422
    database = browser.client.governed.database
    assert Prices(database).current().version == 1
    done = browser.send("/console/spend", "/console/spend/prices", gigabyte="0.5", currency="eur")
    assert (done.status_code, done.headers["location"]) == (303, "/console/spend")
    table = Prices(database).current()
    assert (table.version, table.currency, table.gigabyte) == (2, "EUR", 0.5)
    assert AuditLog(database).list()[0].actor == "anna"
    forged = browser.post("/console/spend/prices", {"csrf": "x", "gigabyte": "0"})
    assert forged.status_code == 403
    assert Prices(database).current().version == 2


def test_prices_that_change_nothing_make_no_version(browser):
    browser.sign_in()
    database = browser.client.governed.database
    before, rows = Prices(database).current(), len(AuditLog(database).list())
    same = {name: str(getattr(before, name)) for name in ("currency", "cpu_second", "device_second", "gigabyte")}
    for fields, said in (
        ({}, "Name at least one price, or a currency."),
        ({"currency": " ", "gigabyte": ""}, "Name at least one price, or a currency."),
        ({"gigabyte": same["gigabyte"]}, f"of version {before.version}."),
        (same | {"currency": before.currency.lower()}, f"of version {before.version}."),
    ):
        answer = browser.send("/console/spend", "/console/spend/prices", **fields)
        assert answer.status_code == 422
        assert said in answer.text
    assert Prices(database).current() == before
    assert len(AuditLog(database).list()) == rows
    done = browser.send("/console/spend", "/console/spend/prices", **same | {"cpu_second": "0.25"})
    assert done.status_code == 303
    assert Prices(database).current().version == before.version + 1
