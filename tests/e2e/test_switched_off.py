"""The studio while the operator has switched mixing off, and once it is back."""

import pytest
from browsing import filled, mixed, says, until
from playwright.sync_api import TimeoutError as TooLate

pytestmark = [pytest.mark.slow, pytest.mark.browser]

HALTED = {
    "code": "halted",
    "title": "Mixing is switched off",
    "detail": "the operator has switched mixing off: a drill",
    "hint": "nothing is wrong with your photos; come back later",
}


class Switch:
    """Answers in the server's place while it is on."""

    def __init__(self, page) -> None:
        self.on = True
        page.route("**/readyz", lambda route: route.fulfill(json=self._ready()))
        for path in ("mix", "strip", "faces"):
            page.route(f"**/api/v1/{path}", self._answer)

    def _ready(self) -> dict:
        return {"status": "ready", "model": "m", "generation": "halted" if self.on else "on"}

    def _answer(self, route) -> None:
        # A refusal of another status than the server's: the browser itself tells of that one on its console.
        route.fulfill(status=422, json=HALTED) if self.on else route.continue_()


def opens_a_chooser(page, selector: str) -> bool:
    try:
        with page.expect_file_chooser(timeout=1000):
            page.evaluate("selector => document.querySelector(selector).click()", selector)
    except TooLate:
        return False
    return True


def test_nothing_can_be_given_until_it_is_back(visit, photos):
    page = visit()
    switch = Switch(page)
    for number in (1, 2):
        page.click(f"[data-sample='{number}']")
    says(page, "Mixing is switched off. The operator")
    page.wait_for_selector("[data-sample='3'][aria-disabled=true]")
    page.evaluate("document.querySelector('[data-sample=\"3\"]').click()")
    says(page, "Mixing is switched off; nothing is wrong with your photos.")
    assert not opens_a_chooser(page, ".add-face")
    assert page.is_hidden(".parent-c")
    # It can still be reached and read.
    page.focus("#file-a")
    assert page.get_attribute("#file-a", "aria-disabled") == "true"
    assert page.is_enabled("#undo")
    switch.on = False
    mixed(page)  # what was asked for is there by itself
    assert page.locator("[data-sample][aria-disabled], .file[aria-disabled]").count() == 0
    assert opens_a_chooser(page, ".add-face")
    page.set_input_files("#file-more", photos / "a.png")
    filled(page, "c")


def test_a_page_that_came_while_it_was_off_begins_anew(visit, server):
    page = visit(path="/about")
    switch = Switch(page)

    def halted(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('<form id="studio"', '<form id="studio" data-halted'))

    page.route(f"{server}/", halted)
    page.goto(f"{server}/")
    until(page, "document.getElementById('empty-text').textContent === 'Mixing is switched off for now'")
    assert not opens_a_chooser(page, ".way[for=file-more]")
    says(page, "Mixing is switched off; nothing")
    page.unroute(f"{server}/")
    with page.expect_navigation():
        switch.on = False
    until(page, "document.getElementById('empty-text').textContent === 'Drop photos here, or'")
    assert opens_a_chooser(page, ".way[for=file-more]")
