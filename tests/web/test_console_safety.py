"""What the console says first: who is not compared with, which results are not looked at, what is lost."""

import threading

import numpy as np
import pytest
from console_client import console
from fake_mixer import FakeMixer

from facemix.errors import StorageUnavailable
from facemix.safety.guard import ABSENT, GuardState
from facemix.web import console_health, console_safety

PEOPLE = {"anna": "operator"}


@pytest.fixture
def browser(tmp_path):
    with console(tmp_path, people=PEOPLE) as made:
        made.sign_in()
        yield made


def protect(browser, embedder="of-long-ago"):
    points = np.ones((1, 4), np.float32)
    browser.client.governed.gallery.enroll(points, "M. K.", "letter of 3 May", "anna", embedder=embedder)


def row(page: str, name: str) -> str:
    return page.split(f'<th scope="row">{name}</th>')[1].partition("</tr>")[0]


def test_people_it_cannot_compare_with_are_told(browser):
    protect(browser)
    governed = browser.client.governed
    page = browser.get("/console").text
    assert ">1</td>" in row(page, "protected people")
    assert "badge-bad" in row(page, "likeness guard")
    assert "not everybody who is protected is compared with" in page.lower()
    governed.guard = type("Guard", (), {"state": lambda self: GuardState(False, ABSENT, 1, 1)})()
    page = browser.get("/console").text
    assert "badge-bad" in row(page, "of them not compared with")
    governed.guard = type("Guard", (), {"state": lambda self: GuardState(True, "", 1, 0)})()
    page = browser.get("/console").text
    assert "badge-live" in row(page, "likeness guard")
    assert "is protected is compared with" not in page


def test_a_gallery_that_cannot_be_read_is_told(browser):
    protect(browser)

    def refuse():
        raise StorageUnavailable("the gallery is ill", hint="wait")

    browser.client.governed.guard.state = refuse
    assert "the gallery is ill" in row(browser.get("/console").text, "likeness guard")


def test_the_page_does_not_wait_for_the_embedder_nor_look_twice_at_once(browser, monkeypatch):
    protect(browser)
    monkeypatch.setattr(console_safety, "GUARD_SECONDS", 0.05)
    go_on, looks = threading.Event(), []

    def state():
        looks.append(1)
        assert go_on.wait(60)
        return GuardState(True, "", 1, 0)

    browser.client.governed.guard.state = state
    for _ in range(6):  # more than there are threads
        assert "not looked yet" in row(browser.get("/console").text, "likeness guard")
    assert len(looks) == 1
    monkeypatch.setattr(console_safety, "GUARD_SECONDS", 60)
    go_on.set()
    assert "compares results" in row(browser.get("/console").text, "likeness guard")


def test_nothing_is_loaded_where_nobody_is_protected(browser):
    def refuse():
        raise AssertionError("it was asked")

    browser.client.governed.guard.state = refuse
    assert ">0</td>" in row(browser.get("/console").text, "protected people")


def test_results_that_nothing_looks_at_are_told(browser, monkeypatch):
    page = browser.get("/console").text
    assert "badge-warn" in row(page, "checks of results")
    assert "facemix fit-checks" in page
    monkeypatch.setattr(FakeMixer, "results", object(), raising=False)
    page = browser.get("/console").text
    assert "withholds what is no face" in row(page, "checks of results")
    assert "looks at results" not in page


def test_what_is_switched_off_is_told(tmp_path):
    off = {"check_results": False, "label": False, "mark": False, "credentials": False}
    with console(tmp_path, people=PEOPLE, **off) as browser:
        browser.sign_in()
        page = browser.get("/console").text
        for name in ("checks of results", "label", "mark", "content credentials"):
            assert "switched off" in row(page, name), name
        assert "FACEMIX_CHECK_RESULTS" in page


def test_what_is_on_is_told(browser):
    page = browser.get("/console").text
    for name in ("label", "mark", "content credentials"):
        assert "badge" not in row(page, name), name


def test_rows_that_were_lost_or_in_memory_alone_are_told(browser, monkeypatch):
    said = {"facemix_ledger_waiting_rows": 2, "facemix_ledger_lost_rows": 7, "facemix_ledger_unspooled_rows": 9}
    monkeypatch.setattr(console_health, "_figures", lambda request: said)
    page = browser.get("/console").text
    assert 'badge-bad">7<' in row(page, "ledger rows lost")
    assert 'badge-warn">9<' in row(page, "ledger rows that were in memory alone")


def test_what_happens_where_nobody_may_review_is_told_as_it_is(browser, monkeypatch):
    monkeypatch.setattr(type(browser.client.governed.operators), "count", lambda self, role=None: 0 if role else 1)
    page = browser.get("/console").text.lower()
    assert "results of low margin are given out unseen" in page
    assert "still waits, and expires" in page
