"""A result that a person looks at first, as the studio shows it."""

import json

import pytest
from browsing import mix_samples, mixed, overflow, says, until
from in_panels import show, slide, studio

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_held_result_leads_to_its_page_and_is_not_asked_for_again(visit, server):
    page = visit(375, 800)
    address = f"{server}/held/{'A' * 43}"
    body = {
        "code": "held_for_review",
        "title": "A person will look at the result first",
        "detail": "a person will look at the result first",
        "hint": "look at the status page from time to time",
        "page_url": address,
    }
    held = {"status": 202, "content_type": "application/json", "body": json.dumps(body)}
    for path in ("mix", "strip"):
        page.route(f"**/api/v1/{path}", lambda route: route.fulfill(**held))
    for number in (1, 2):
        page.click(f"[data-sample='{number}']")
    says(page, "A person will look at the result first. Look")
    link = page.get_by_role("link", name="See how it stands")
    assert link.get_attribute("href") == address
    assert page.locator("#retry").is_hidden()
    assert overflow(page) == 0
    for path in ("mix", "strip"):
        page.unroute(f"**/api/v1/{path}")
    mix_samples(page, 3)
    until(page, "document.getElementById('held').hidden")


def test_nothing_of_a_held_result_is_saved(visit, server):
    page = studio(visit, 1, 4, panel="save")
    offered = ("#download", "[data-format=png]", "#copy-picture", "#save-recipe", "#link-save")
    assert not any(page.is_disabled(button) for button in offered)
    page.wait_for_selector("#code-lines:not([hidden])")
    held = {"code": "held_for_review", "title": "Held", "detail": "held", "hint": "", "page_url": f"{server}/held/x"}
    for path in ("mix", "strip"):
        page.route(f"**/api/v1/{path}", lambda route: route.fulfill(status=202, json=held))
    show(page, "adjust")
    slide(page, "#vividness-slider", "ArrowRight")
    says(page, "Held.")
    show(page, "save")
    assert all(page.is_disabled(button) for button in offered)  # what is still drawn was another result
    assert page.is_hidden("#code-lines")
    assert page.inner_text("#save-held").startswith("A person will look at this result first.")
    for path in ("mix", "strip"):
        page.unroute(f"**/api/v1/{path}")
    page.click("#undo")
    mixed(page)
    assert not any(page.is_disabled(button) for button in offered)
    assert page.is_hidden("#save-held")


def test_what_was_too_wide_fits(visit):
    assert overflow(visit(320, 800, path="/verify")) == 0
    page = visit(1280, 800)
    fits = "[...document.querySelectorAll('[role=tab]')].every((tab) => tab.scrollWidth <= tab.clientWidth)"
    assert page.evaluate(fits)
