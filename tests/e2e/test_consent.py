"""The question that is asked before the first photo of one's own."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import filled, give, mixed, says, until

from facemix.safety.terms import VERSION

OPEN = "document.getElementById('consent').open"


@pytest.fixture
def asked(visit):
    """A page of a browser that has not been asked; `calls` are the headers of what was sent to find faces."""

    def opened(*sizes, **options):
        page = visit(*sizes, consents=False, **options)
        page.calls = []
        page.on("request", lambda sent: page.calls.append(sent.headers) if sent.url.endswith("/api/v1/faces") else None)
        return page

    return opened


def stored(page):
    return page.evaluate("localStorage.getItem('facemix.consent')")


def test_a_photo_waits_for_the_answer_and_the_answer_is_remembered(asked, photos):
    page = asked()
    give(page, "a", photos / "a.png")
    until(page, OPEN)
    assert page.calls == []
    assert page.evaluate("document.activeElement.id") == "consent-later"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    filled(page, "a")
    assert [headers["x-facemix-consent"] for headers in page.calls] == [VERSION]
    assert stored(page) == VERSION
    give(page, "b", photos / "b.jpg")
    mixed(page)
    assert not page.evaluate(OPEN)
    page.reload()
    give(page, "a", photos / "a.png")
    filled(page, "a")
    assert not page.evaluate(OPEN)
    assert [headers.get("x-facemix-consent") for headers in page.calls] == [VERSION] * 3


@pytest.mark.parametrize("way", ["button", "escape", "close"])
def test_not_now_leaves_everything_as_it_was(asked, photos, way):
    page = asked()
    page.click("[data-sample='3']")
    filled(page, "a")
    before = page.inner_html("#cards")
    give(page, "b", photos / "b.jpg")
    until(page, OPEN)
    if way == "button":
        page.click("#consent-later")
    elif way == "escape":
        page.keyboard.press("Escape")
    else:
        page.click("#consent [aria-label='Close']")
    says(page, "No photo was sent")
    assert page.calls == []
    assert stored(page) is None
    assert page.inner_html("#cards") == before
    give(page, "b", photos / "b.jpg")
    until(page, OPEN)  # it is asked again


def test_several_photos_at_once_are_asked_for_once_and_all_of_them_come(asked, photos):
    page = asked()
    page.set_input_files("#file-more", [photos / "a.png", photos / "b.jpg"])
    until(page, OPEN)
    page.click("#consent-agree")
    mixed(page)
    assert len(page.calls) == 2


def test_sample_faces_are_not_asked_for(asked):
    page = asked()
    for number in (1, 2):
        page.click(f"[data-sample='{number}']")
    mixed(page)
    assert not page.evaluate(OPEN)


def test_consent_to_an_older_text_is_asked_for_anew(asked, photos):
    page = asked()
    page.evaluate("localStorage.setItem('facemix.consent', '2020-01-1')")
    page.reload()
    give(page, "a", photos / "a.png")
    until(page, OPEN)
    page.click("#consent-agree")
    filled(page, "a")
    assert stored(page) == VERSION


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 800, "light"), (360, 640, "dark")])
def test_the_question_is_accessible_and_fits(asked, photos, width, height, scheme):
    page = asked(width, height, color_scheme=scheme)
    give(page, "a", photos / "a.png")
    until(page, OPEN)
    box = page.locator("#consent").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert Axe().run(page, context="#consent").response["violations"] == []


def test_without_scripts_a_box_must_be_ticked(asked, photos):
    page = asked(java_script_enabled=False)
    for letter, name in (("a", "a.png"), ("b", "b.jpg")):
        page.set_input_files(f"#file-{letter}", photos / name)
    box = page.locator("input[name='consent']")
    page.get_by_role("button", name="Mix", exact=True).click()
    page.get_by_text("Consent has not been stated").wait_for()
    for letter, name in (("a", "a.png"), ("b", "b.jpg")):
        page.set_input_files(f"#file-{letter}", photos / name)
    box.check()
    page.get_by_role("button", name="Mix", exact=True).click()
    page.wait_for_selector(".plain-result")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_terms_are_accessible(visit, width, scheme):
    page = visit(width, 800, path="/terms", color_scheme=scheme)
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
