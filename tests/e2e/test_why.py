"""The panel that explains a face: maps, figures, neighbours and the record; large and small."""

import json

import pytest
from browsing import filled, found, give, overflow, rested, says, until
from in_panels import asks, body_of, show, slide, studio

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def explain(page):
    """Asks, and returns what was sent."""
    with asks(page, "explain") as asked:
        page.click("#why-explain")
    page.wait_for_selector("#why-found:visible")
    return body_of(asked.value)


def test_it_says_who_drew_what_and_what_each_change_moved(visit):
    page = studio(visit, 1, 4, panel="adjust")
    page.wait_for_selector("[data-attribute=smile]")
    slide(page, "[data-attribute=smile]", "ArrowRight", 10)
    rested(page)
    show(page, "why")
    sent = explain(page)
    assert sent["attributes"] == {"smile": 1}
    assert len(sent["parents"]) == 2
    says(page, "A drew")
    maps = page.locator("#why-parents .why-map")
    assert maps.count() == 2
    assert "at a weight of 50 %" in maps.nth(1).inner_text()
    assert maps.nth(0).locator("img").get_attribute("alt").startswith("Heat map of face A")
    assert page.locator("#why-regions tbody tr").count() == 6
    rows = page.locator("#why-regions tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).reduce((sum, cell) => sum + parseInt(cell.textContent), 0))"
    )
    assert all(99 <= total <= 101 for total in rows)
    assert page.inner_text("#why-edits").startswith("Smile: ")
    assert "mouth" in page.inner_text("#why-edits")


def test_the_nearest_training_faces_and_the_record_are_shown_and_saved(visit, client):
    page = studio(visit, 1, 4, panel="why")
    explain(page)
    assert page.inner_text("#why-words")
    index = client.post("/api/v1/explain", json={"parents": [{"sample": 1}, {"sample": 4}]}).json()["closeness"]
    if index is None:
        assert page.locator("#why-near-table").is_hidden()
    else:
        assert page.locator("#why-near tbody tr").count() == len(index["neighbours"])
        assert page.locator("#why-near code").first.inner_text() == index["neighbours"][0]["hash"]
    record = page.inner_text("#why-record")
    assert "none looked at it: it came as a sample" in record
    with page.expect_download() as saved:
        page.click("#why-save")
    told = json.loads(saved.value.path().read_text())
    assert told["record"]["schema"] == 2
    assert told["recipe"]["parents"][0]["number"] == 1
    assert "picture" not in json.dumps(told["parents"])


def test_a_photograph_alone_is_explained_with_its_gates(visit, photos):
    page = visit()
    show(page, "why")
    assert page.is_disabled("#why-explain")
    give(page, "a", photos / "a.png")
    filled(page, "a")
    until(page, "!document.getElementById('why-explain').disabled")
    assert len(explain(page)["parents"]) == 1
    assert page.locator("#why-parents .why-map").count() == 1
    assert page.locator("#why-edits-part").is_hidden()


def test_what_was_said_of_another_face_goes_away(visit):
    page = studio(visit, 1, 4, panel="why")
    explain(page)
    page.click("#swap")
    page.wait_for_selector("#why-found", state="hidden")
    assert page.locator("#why-parents img").count() == 0
    page.click("#undo")
    rested(page)
    explain(page)


def test_a_refusal_is_said_and_can_be_tried_again(visit):
    page = studio(visit, 1, 4, panel="why")
    refusal = {
        "title": "The server is busy",
        "detail": "it is",
        "hint": "try again",
        "code": "request_invalid",
        "status": 422,
    }
    page.route(
        "**/api/v1/explain",
        lambda route: route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(refusal)),
    )
    page.click("#why-explain")
    page.wait_for_selector("#why-message .refusal-title")
    assert page.locator("#why-found").is_hidden()
    page.unroute("**/api/v1/explain")
    explain(page)
    assert page.locator("#why-message .refusal-title").count() == 0


@pytest.mark.parametrize(("size", "scheme"), [((1280, 800), "light"), ((375, 740), "dark"), ((320, 640), "light")])
def test_it_fits_and_axe_finds_nothing(visit, size, scheme):
    page = studio(visit, 1, 4, panel="why", width=size[0], height=size[1], color_scheme=scheme)
    explain(page)
    page.click("#panel-why summary")
    assert overflow(page) <= 0
    assert found(page) == []
