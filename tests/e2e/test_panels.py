"""The panels beside the picture: adjusting, regions, and exploring."""

import base64
import itertools

import numpy as np
import pytest
from browsing import difference, drawn, filled, mix_samples, mixed, overflow, rested, says, until
from in_panels import asks, body_of, mixed_by, pixels, same_pixels, show, slide, sources, studio
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PANELS = ("adjust", "regions", "explore", "animate", "why", "save")


# --- adjust ------------------------------------------------------------------------------------------------


def test_a_slider_moves_an_attribute_and_resets(visit):
    page = studio(visit, 1, 4, panel="adjust")
    before = drawn(page)
    age = "[data-attribute=age]"
    page.wait_for_selector(age)
    with asks(page) as asked:
        slide(page, age, "ArrowRight", 20)
    rested(page)
    until(page, "document.querySelector('#result-notes li') !== null")
    assert body_of(asked.value)["attributes"]["age"] > 0
    assert page.input_value(age) == "2"
    assert page.get_attribute(age, "aria-valuetext").startswith("older, about 2")
    assert page.get_attribute(age, "aria-valuetext").endswith("years")
    assert "older than either parent" in page.inner_text("#result-notes")
    assert difference(drawn(page), before) > 2
    page.click(".dial:has([data-attribute=age]) .dial-reset")
    rested(page)
    assert page.input_value(age) == "0"
    assert page.locator("#result-notes li").count() == 0
    assert page.is_disabled("#attributes-reset")
    same_pixels(drawn(page), before)


def test_one_face_is_edited_and_keeps_the_focus(visit, client):
    page = visit()
    show(page, "adjust")
    smile = "[data-attribute=smile]"
    page.wait_for_selector(smile)
    assert page.is_disabled(smile)
    assert page.inner_text("#attributes-text").startswith("Give a face first")
    page.click("[data-sample='1']")
    filled(page, "a")
    assert page.inner_text("#attributes-text") == ""
    with asks(page) as asked:
        slide(page, smile, "ArrowRight", 20)
    rested(page)
    body = body_of(asked.value)
    assert len(body["parents"]) == 1
    assert body["attributes"]["smile"] > 0
    whole = drawn(page)
    assert whole.std() > 10
    for one in ("#vividness-slider", "[name=interpolation][value=slerp]"):
        assert page.is_disabled(one)
    assert page.inner_text("#vividness-text").startswith("With one face")
    slide(page, smile, "ArrowLeft", 20)
    assert page.input_value(smile) == "0"
    assert page.evaluate("document.activeElement.dataset.attribute") == "smile"
    slide(page, smile, "ArrowRight", 20)
    page.focus("#attributes-reset")
    page.keyboard.press("Enter")
    assert page.input_value(smile) == "0"
    assert page.evaluate("document.activeElement.id") == "attributes-reset"
    page.focus(smile)
    assert page.is_disabled("#attributes-reset")
    page.fill("#words-wanted", "smile 2")
    page.click("#words-apply")
    says(page, "1 understood")
    rested(page)
    same_pixels(drawn(page), whole)


def test_units_that_say_little_stay_in_the_background(visit, client):
    page = studio(visit, 1, 4, panel="adjust")
    page.wait_for_selector("[data-attribute=smile]")
    units = {one["name"]: one["unit"] for one in client.get("/api/v1/attributes").json()["attributes"]}
    for name, words in (("smile", "wide mouth, +1.0"), ("brightness", "brighter, +1.0")):
        slide(page, f"[data-attribute={name}]", "ArrowRight", 10)
        value = page.locator(f".dial:has([data-attribute={name}]) .dial-value")
        assert value.inner_text() == words
        assert value.get_attribute("title").endswith(units[name])
    slide(page, "[data-attribute=mouth_open]", "ArrowRight", 10)
    value = page.locator(".dial:has([data-attribute=mouth_open]) .dial-value")
    assert value.inner_text().endswith("% of the mouth")
    assert value.get_attribute("title") is None


def test_a_note_lies_over_no_slider(visit):
    page = studio(visit, 1, 4, panel="adjust", width=1280, height=800)
    page.wait_for_selector("[data-attribute=age]")
    slide(page, "[data-attribute=age]", "End")
    slide(page, "[data-attribute=brightness]", "Home")
    until(page, "document.querySelector('#result-notes li') !== null")
    boxes = page.evaluate(
        """() => ['#result-notes', '#attributes', '#attributes-title']
          .map((one) => document.querySelector(one).getBoundingClientRect())
          .map(({ top, bottom }) => [top, bottom])"""
    )
    (top, bottom), (sliders, _), (_, heading) = boxes
    assert heading <= top < bottom <= sliders


def test_notes_stay_while_the_shares_are_dragged(visit):
    page = studio(visit, 1, 4, panel="adjust")
    page.wait_for_selector("[data-attribute=age]")
    slide(page, "[data-attribute=age]", "End")
    until(page, "document.querySelector('#result-notes li') !== null")
    with page.expect_response("**/api/v1/strip"):
        pass
    with asks(page):
        slide(page, "#weight", "ArrowRight", 3)
    rested(page)
    until(page, "document.querySelector('#result-notes li')?.textContent.startsWith('The face looks older') === true")


def test_every_attribute_has_a_slider_with_its_ends(visit, client):
    page = studio(visit, 1, 4, panel="adjust")
    for attribute in client.get("/api/v1/attributes").json()["attributes"]:
        slider = page.locator(f"[data-attribute={attribute['name']}]")
        slider.wait_for()
        assert page.get_by_label(attribute["title"], exact=True).get_attribute("type") == "range"
        assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["-3", "3", "0.1"]
        ends = page.locator(f".dial:has([data-attribute={attribute['name']}]) .dial-ends span")
        assert ends.all_inner_texts() == [attribute["low"], attribute["high"]]


def test_words_set_the_sliders_in_one_step(visit):
    page = studio(visit, 1, 4, panel="adjust")
    page.wait_for_selector("[data-attribute=warmth]")
    slide(page, "[data-attribute=warmth]", "ArrowRight", 5)
    page.fill("#words-wanted", "very old, smiling, smilng")
    page.fill("#words-unwanted", "bright")
    page.keyboard.press("Enter")
    says(page, "3 understood, 1 not")
    values = {name: page.input_value(f"[data-attribute={name}]") for name in ("age", "smile", "brightness", "warmth")}
    assert values == {"age": "2", "smile": "1", "brightness": "-1", "warmth": "0.5"}
    found = page.locator("#words-found li").all_inner_texts()
    assert found[0].startswith("very old: Age, older, about 2")
    assert "smiling" in found[-1]
    assert "“smilng”" in found[-1]
    page.click("#undo")
    assert page.input_value("[data-attribute=age]") == "0"
    assert page.input_value("[data-attribute=warmth]") == "0.5"
    assert page.input_value("#words-wanted") == "very old, smiling, smilng"


def test_a_word_of_the_vocabulary_is_added_by_a_click(visit):
    page = studio(visit, 1, 4, panel="adjust")
    page.fill("#words-wanted", "warm,")
    page.click("#words-known summary")
    page.get_by_role("button", name="older", exact=True).click()
    assert page.input_value("#words-wanted") == "warm, older"


def test_a_model_without_directions_says_so(visit):
    page = visit(path="/about")
    nothing = {"model": {}, "available": False, "attributes": [], "words": []}
    page.route("**/api/v1/attributes", lambda route: route.fulfill(json=nothing))
    page.goto(page.url.replace("/about", "/"))
    mix_samples(page, 1, 4)
    show(page, "adjust")
    page.wait_for_selector("#attributes-text:has-text('no attribute directions')")
    assert page.is_disabled("#words-wanted")
    assert page.is_enabled("[name=interpolation][value=slerp]")


def test_attributes_that_did_not_come_can_be_asked_for_again(visit):
    page = visit()
    answers = itertools.chain([False], itertools.repeat(True))
    refusal = {"title": "The engine has failed", "detail": "it is ill", "hint": "wait a little", "status": 500}

    def once(route):
        if next(answers):
            route.continue_()
        else:
            route.fulfill(status=404, json=refusal)

    page.route("**/api/v1/attributes", once)
    show(page, "adjust")
    page.wait_for_selector("#attributes-message:has-text('The engine has failed')")
    assert "It is ill. Wait a little." in page.inner_text("#attributes-message")
    page.click("#attributes-again")
    page.wait_for_selector("[data-attribute=age]")
    assert page.inner_text("#attributes-message") == ""


def test_a_round_path_leaves_nothing_to_vividness(visit):
    page = studio(visit, 1, 4, panel="adjust")
    with asks(page) as asked:
        slide(page, "#vividness-slider", "ArrowRight", 2)
    assert body_of(asked.value)["vividness"] > 0
    rested(page)
    with asks(page) as asked:
        page.check("[name=interpolation][value=slerp]", force=True)
    body = body_of(asked.value)
    assert body["interpolation"] == "slerp"
    assert "vividness" not in body
    assert page.is_disabled("#vividness-slider")
    rested(page)
    page.click("#undo")
    assert page.input_value("#vividness-slider") == "0.1"
    assert page.is_checked("[name=interpolation][value=lerp]")


def test_a_seed_draws_other_people(visit):
    page = studio(visit, 1, 4, panel="adjust")
    before = drawn(page)
    page.fill("#seed", "7")
    with asks(page) as asked:
        page.keyboard.press("Tab")
    assert body_of(asked.value)["seed"] == 7
    rested(page)
    assert difference(drawn(page), before) > 2
    assert all(address.endswith("?seed=7") for address in sources(page, "#people img, .parent .crop[src]"))
    page.fill("#seed", "-3")
    page.keyboard.press("Tab")
    assert page.input_value("#seed") == "7"


# --- regions -----------------------------------------------------------------------------------------------


def test_a_region_takes_its_own_parent(visit, client):
    page = studio(visit, 1, 4, panel="regions")
    before = drawn(page)
    brush = page.locator("#picture .brush")
    page.hover("[data-region=mouth]")
    assert brush.is_visible()
    page.focus("[data-region=eyes]")
    assert brush.is_visible()
    page.keyboard.press("Enter")
    assert page.inner_text("#region-title") == "Eyes and brows"
    with asks(page) as asked:
        page.get_by_label("Eyes and brows: all from B").click()
    assert brush.is_hidden()
    rested(page)
    page.hover("[data-region=nose]")
    show(page, "adjust")
    assert brush.is_hidden()
    show(page, "regions")
    body = body_of(asked.value)
    assert body["regions"] == {"eyes": [0, 1]}
    after = drawn(page)
    change = np.abs(after.astype(int) - before).mean(axis=2)
    assert change[80:190].mean() > 3 * change[400:].mean()
    assert page.get_attribute("[data-region=eyes]", "aria-label") == "Eyes and brows: 100 % B"
    assert mixed_by(client, body).shape == (128, 128, 3)

    with asks(page) as asked:
        slide(page, "#region-shares input", "ArrowLeft", 30)
    rested(page)
    assert page.input_value("#region-shares input") == "0.7"
    page.get_by_label("Eyes and brows: follows the whole").click()
    rested(page)
    same_pixels(drawn(page), before)


def test_the_small_face_is_clicked_where_a_region_is(visit):
    page = studio(visit, 1, 4, panel="regions")
    page.wait_for_selector("[data-region=eyes]")
    face = page.locator("#face-map").bounding_box()
    for across, down, title in ((0.66, 0.74, "Mouth"), (0.25, 0.25, "Eyes and brows"), (0.97, 0.3, "Hair")):
        page.mouse.click(face["x"] + across * face["width"], face["y"] + down * face["height"])
        assert page.inner_text("#region-title") == title


def test_three_parents_share_a_region(visit):
    page = studio(visit, 1, 4, 6, panel="regions")
    page.click("[data-region=nose]")
    page.get_by_label("Nose: all from C").click()
    sliders = page.locator("#region-shares input")
    assert sliders.count() == 3
    with asks(page) as asked:
        slide(page, "#region-shares .dial:nth-of-type(2) input", "ArrowRight", 40)
    rested(page)
    assert sum(body_of(asked.value)["regions"]["nose"]) == pytest.approx(1)
    assert [float(sliders.nth(index).input_value()) for index in range(3)] == pytest.approx([0.4, 0, 0.6])
    # Without its parent the column is gone, and what is left is scaled.
    page.click(".parent-c .menu-open")
    page.click("#menu-c .remove")
    assert page.get_attribute("[data-region=nose]", "aria-label") == "Nose: 100 % A"


def test_shape_from_one_and_colour_from_the_other(visit, client):
    page = studio(visit, 1, 4, panel="regions")
    with asks(page) as asked:
        page.click("#preset-ab")
    rested(page)
    body = body_of(asked.value)
    assert [parent["weight"] for parent in body["parents"]] == [1, 0]
    assert body["colour"] == [0, 1]
    assert page.get_attribute("[aria-label='Colour: all from B']", "aria-pressed") == "true"
    shape, colour = ({"parents": [{"sample": number}]} for number in (1, 4))
    mix, first, second = (mixed_by(client, one).reshape(-1, 3).mean(0) for one in (body, shape, colour))
    assert np.abs(mix - second).max() < np.abs(first - second).max()
    page.click("#undo")
    assert page.input_value("#share-a") == "50"


# --- explore -----------------------------------------------------------------------------------------------


def test_a_random_person_becomes_a_face(visit):
    page = visit()
    page.click("#people button >> nth=2")
    filled(page, "a")
    page.focus("#people button >> nth=2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    mixed(page)
    people = sources(page, "#people img")
    crops = sources(page, ".parent .crop[src]")
    assert crops[:2] == people[2:4]
    page.click("#people-more")
    assert sources(page, "#people img") != people
    assert drawn(page).std() > 10


def test_a_saved_face_is_added_to_the_open_ones(visit, client):
    saved = []
    for number in (2, 3):
        answer = client.post("/api/v1/recipes", json={"parents": [{"sample": number}], "attributes": {"smile": 1}})
        assert answer.status_code == 201, answer.text
        saved.append(answer.json())
    page = studio(visit, 1, 4, panel="explore")
    assert page.is_hidden("#kept-part")
    names = ["Anna, smiling", "Ben"]
    entries = [
        {"id": one["id"], "savedAt": f"2026-01-0{9 - index}T00:00:00Z", "name": name}
        for index, (one, name) in enumerate(zip(saved, names, strict=True))
    ]
    entries.append({"id": "A" * 16, "savedAt": "2026-01-01T00:00:00Z", "name": "never there"})
    page.evaluate("entries => localStorage.setItem('facemix.saved', JSON.stringify(entries))", entries)
    show(page, "adjust")
    show(page, "explore")
    until(page, "document.querySelectorAll('#kept button').length === 2")
    assert page.locator("#kept button").all_inner_texts() == names
    with asks(page) as asked:
        page.click("#kept button >> nth=0")
    says(page, "Face C added")
    rested(page)
    assert [parent.get("recipe") for parent in body_of(asked.value)["parents"]] == [None, None, saved[0]["id"]]
    assert page.inner_text(".parent-c .found-text") == names[0]
    before = drawn(page)
    # One that was deleted meanwhile is left out, and nothing is lost.
    headers = {"X-Facemix-Delete-Token": saved[1]["delete_token"]}
    assert client.delete(f"/api/v1/recipes/{saved[1]['id']}", headers=headers).status_code == 204
    page.click("#kept button >> nth=1")
    says(page, "This face is not on the server any more")
    assert page.locator("#kept button").all_inner_texts() == names[:1]
    same_pixels(drawn(page), before)
    headers = {"X-Facemix-Delete-Token": saved[0]["delete_token"]}
    assert client.delete(f"/api/v1/recipes/{saved[0]['id']}", headers=headers).status_code == 204


def test_variations_of_one_face(visit):
    page = visit()
    page.click("[data-sample='1']")
    filled(page, "a")
    show(page, "explore")
    page.click("#variations-draw")
    page.wait_for_selector("#variations-sheet canvas")
    with asks(page) as asked:
        page.click("#variations-sheet button >> nth=2")
    rested(page)
    body = body_of(asked.value)
    assert (len(body["parents"]), body["variation"]["number"]) == (1, 2)
    page.click("#variation-remove")
    assert page.is_enabled("#variations-draw")


def test_a_surprise_is_one_step(visit):
    page = studio(visit, 1, 4, panel="explore")
    before = drawn(page)
    names = page.locator(".found-text").all_inner_texts()
    page.click("#surprise")
    until(page, "document.querySelector('.parent-a .found-text').textContent.startsWith('Person')")
    rested(page)
    assert difference(drawn(page), before) > 2
    page.click("#undo")
    rested(page)
    assert page.locator(".found-text").all_inner_texts() == names
    same_pixels(drawn(page), before)


def test_a_variation_becomes_the_present_face(visit, client):
    page = studio(visit, 1, 4, panel="explore")
    with asks(page, "grids") as sheet:
        page.click("#variations-draw")
    page.wait_for_selector("#variations-sheet canvas")
    assert body_of(sheet.value)["first"] == 0
    cells = page.locator("#variations-sheet button")
    assert cells.count() == 9
    assert cells.nth(4).get_attribute("aria-label") == "Variation 4, 30 % away"
    with asks(page) as asked:
        cells.nth(4).click()
    rested(page)
    body = body_of(asked.value)
    assert body["variation"] == {"number": 4, "radius": 0.3}
    # What was clicked is what is shown.
    uri = cells.nth(4).locator("canvas").evaluate("canvas => canvas.toDataURL('image/png')")
    shown = pixels(base64.b64decode(uri.partition(",")[2]))
    assert difference(shown, mixed_by(client, body)) < 4
    with asks(page, "grids") as sheet:
        page.click("#variations-draw")
    says(page, "9 faces drawn")
    assert body_of(sheet.value)["first"] == 9
    assert "variation" in page.inner_text("#variation-now").lower()
    page.click("#variation-remove")
    rested(page)
    assert page.is_hidden("#variation-now")


def test_a_cell_of_a_grid_is_opened_and_the_sheet_is_saved(visit, tmp_path):
    page = studio(visit, 1, 4, 6, panel="explore")
    page.select_option("#grid-size", "3")
    page.click("#grid-draw")
    page.wait_for_selector("#grid-sheet canvas")
    assert page.locator("#grid-sheet button").count() == 6
    assert page.locator("#grid-sheet [role=rowheader]").all_inner_texts() == ["B", "C"]
    with page.expect_download() as download:
        page.click("#grid-save")
    download.value.save_as(tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.width > 3 * 128
        assert sheet.height > 2 * 128
    page.focus("#grid-sheet button >> nth=0")
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    rested(page)
    assert [page.input_value(f"#share-{letter}") for letter in "abc"] == ["50", "0", "50"]


def test_a_grid_says_what_it_needs_and_why_it_failed(visit):
    page = studio(visit, 1, 4, panel="explore")
    page.check("[name=grid-kind][value=corners]", force=True)
    assert page.is_disabled("#grid-draw")
    assert "four faces" in page.inner_text("#grid-text")
    page.check("[name=grid-kind][value=weights]", force=True)
    refusal = {"title": "The server is full", "detail": "no room", "hint": "try later", "status": 422}
    page.route("**/api/v1/grids", lambda route: route.fulfill(status=422, json=refusal))
    before = drawn(page)
    page.click("#grid-draw")
    page.wait_for_selector("#grid-message:has-text('The server is full')")
    assert page.inner_text("#status") == "The server is full."
    same_pixels(drawn(page), before)


# --- small screens -----------------------------------------------------------------------------------------


def test_a_phone_shows_every_panel_and_takes_touches(visit):
    page = visit(320, 640, has_touch=True, is_mobile=True)
    for numbers in ((1, 4), (6, 2, 3)):
        mix_samples(page, *numbers)
        for name in PANELS:
            page.tap(f"#tab-{name}")
            page.wait_for_selector(f"#panel-{name}:not([hidden])")
            assert overflow(page) <= 0, name
            small = page.locator(f"#panel-{name}").evaluate(
                """panel => [...panel.querySelectorAll('button, select, summary, input')]
                  .filter(one => one.checkVisibility({ visibilityProperty: true }))
                  .map(one => [one.id || one.className, one.getBoundingClientRect()])
                  .filter(([, box]) => box.height < 24 || box.width < 24).map(([name]) => name)"""
            )
            assert small == [], name
    page.tap("#tab-regions")
    page.tap("[data-region=mouth]")
    assert page.inner_text("#region-title") == "Mouth"
