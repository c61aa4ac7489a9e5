"""What a person does around a mix: undo and redo, the strip of the session, comparing, shortcuts, the theme."""

import numpy as np
import pytest
from browsing import (
    alike,
    canvas,
    difference,
    drawn,
    filled,
    give,
    mix_samples,
    mix_two,
    mixed,
    painted,
    rested,
    says,
    settled,
    shares,
    until,
    weight,
)
from files import jpeg
from portraits import cat

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def filled_letters(page) -> str:
    found = page.locator(".parent:has(.drop.filled)")
    return "".join(found.nth(index).get_attribute("data-slot") for index in range(found.count()))


def entries(page) -> list[str]:
    found = page.locator(".history-row button")
    return [found.nth(index).get_attribute("title") for index in range(found.count())]


def test_steps_are_undone_and_done_again(visit):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    two = drawn(page)
    page.focus("#weight")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert weight(page) == pytest.approx(0.55)
    page.click("[data-sample='3']")
    mixed(page)
    rested(page)
    three = drawn(page)
    assert shares(page) == pytest.approx([30, 36.7, 33.3])
    asked = len(page.asked)

    page.click("#undo")
    assert weight(page) == pytest.approx(0.55)
    page.keyboard.press("Control+z")  # the five presses were one step
    assert weight(page) == 0.5
    rested(page)
    assert alike(drawn(page), two)
    page.keyboard.press("Control+z")
    assert filled_letters(page) == "a"
    page.keyboard.press("Control+z")
    assert filled_letters(page) == ""
    assert page.is_disabled("#undo")
    for _ in range(5):
        page.keyboard.press("Control+Shift+Z")
    assert shares(page) == pytest.approx([30, 36.7, 33.3])
    assert page.is_disabled("#redo")
    rested(page)
    assert alike(drawn(page), three)
    fetched = [url for url in page.asked[asked:] if not url.startswith(("blob:", "data:")) and "/samples/" not in url]
    assert fetched == []  # all of it was still here

    # A new step after going back cuts off what came after.
    page.click("#undo")
    page.click("#swap")
    assert page.is_disabled("#redo")
    assert entries(page)[-1] == "Faces swapped"


def test_the_strip_of_the_session_leads_back(visit, photos):
    page = visit()
    mix_two(page, photos)
    settled(page)
    first = drawn(page)
    page.click("[data-sample='3']")
    mixed(page)
    page.click("#randomise")
    rested(page)
    assert entries(page) == ["Face A added", "Face B added", "Face C added", "Random shares"]
    page.click(".history-row li:nth-child(2) button")
    assert shares(page) == [50, 50]
    settled(page)
    assert alike(drawn(page), first)
    assert page.get_attribute(".history-row li:nth-child(2) button", "aria-current") == "step"
    page.click(".history-row li:last-child button")
    assert len(shares(page)) == 3
    thumbs = page.evaluate("[...document.querySelectorAll('.history-row img')].map((one) => one.src)")
    assert len(set(thumbs)) == 4
    assert all(one.startswith("data:image/") for one in thumbs)


def test_a_photo_that_was_removed_comes_back_with_undo(visit, photos):
    page = visit()
    mix_two(page, photos)
    settled(page)
    before = drawn(page)
    page.click(".parent-a .menu-open")
    page.click("#menu-a .remove")
    assert filled_letters(page) == "b"  # it stays where it is
    assert page.is_visible("#empty")
    assert page.evaluate("document.activeElement.id") == "file-a"
    page.keyboard.press("Control+z")
    settled(page)
    assert filled_letters(page) == "ab"
    assert alike(drawn(page), before)


def test_the_second_place_can_be_filled_first(visit, photos):
    page = visit()
    give(page, "b", photos / "b.jpg")
    filled(page, "b")
    says(page, "Face B is in its place.")
    assert page.inner_text("#empty-text") == "Now a face for A:"
    give(page, "a", photos / "a.png")
    mixed(page)
    assert [page.inner_text(f".parent-{letter} .found-text") for letter in "ab"] == ["a.png", "b.jpg"]


def shown_over(page) -> np.ndarray:
    """What is drawn over the mix."""
    until(page, "!document.getElementById('compared').hidden")
    painted(page)
    page.wait_for_timeout(50)
    return canvas(page, "compared")


def test_a_face_is_seen_while_it_is_held(visit):
    page = visit()
    mix_samples(page, 1, 2, 3)
    rested(page)
    hidden = "document.getElementById('compared').hidden"
    mix = drawn(page)
    seen = {}
    for letter in "ABC":
        button = page.locator(f"#compare .letter-{letter.lower()}")
        box = button.bounding_box()
        page.mouse.move(box["x"] + 8, box["y"] + 8)
        page.mouse.down()
        seen[letter] = shown_over(page)
        assert page.inner_text("#tag") == letter
        page.mouse.up()
        assert page.evaluate(hidden)
        # By keyboard on the button, and from anywhere by the letter.
        button.focus()
        page.keyboard.down(" ")
        assert alike(shown_over(page), seen[letter])
        page.keyboard.up(" ")
        assert page.evaluate(hidden)
        page.focus(".pad-handle")
        page.keyboard.down(letter.lower())
        assert alike(shown_over(page), seen[letter])
        page.keyboard.up(letter.lower())
        assert page.evaluate(hidden)
    assert difference(seen["A"], seen["B"]) > 5
    assert alike(drawn(page), mix)
    page.keyboard.down("d")  # there is no fourth face
    assert page.evaluate(hidden)
    page.keyboard.up("d")

    # Held on the picture itself: the one that weighs most.
    page.fill("#share-b", "80")
    page.press("#share-b", "Enter")
    rested(page)
    page.hover("#picture")
    page.mouse.down()
    assert alike(shown_over(page), seen["B"])
    page.mouse.up()
    assert page.evaluate(hidden)


def test_a_face_is_held_by_touch(visit):
    page = visit(375, 740, has_touch=True, is_mobile=True)
    for number in (1, 2):
        page.tap(f"[data-sample='{number}']")
    rested(page)
    page.locator("#compare").scroll_into_view_if_needed()
    box = page.locator("#compare .letter-b").bounding_box()
    session = page.context.new_cdp_session(page)
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    shown_over(page)
    assert page.inner_text("#tag") == "B"
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, "document.getElementById('compared').hidden")


def test_a_face_stands_beside_the_mix(visit):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    page.click("#split-toggle")
    assert page.get_attribute("#split-toggle", "aria-pressed") == "true"
    clip = "document.getElementById('compared').style.clipPath"
    assert page.evaluate(clip) == "inset(0px 50% 0px 0px)"
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    page.mouse.up()
    assert page.evaluate(clip) == "inset(0px 20% 0px 0px)"
    page.focus("#split")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(clip) == "inset(0px 25% 0px 0px)"
    first = shown_over(page)
    page.click("#compare .letter-b")
    assert page.inner_text("#tag") == "B"
    assert difference(shown_over(page), first) > 5
    page.keyboard.press("v")
    assert page.evaluate("document.getElementById('compared').hidden")


def test_what_is_said_of_a_step_ends_with_the_next_one(visit):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    page.fill("#share-b", "70")
    page.keyboard.press("Enter")
    rested(page)
    page.click("#undo")
    says(page, "Undone: Weights.")
    page.click("#redo")
    says(page, "Done again: Weights.")
    page.click("#undo")
    says(page, "Undone: Weights.")
    page.fill("#share-b", "20")
    page.keyboard.press("Enter")
    says(page, "Ready: drag the slider.")
    page.click("#swap")
    says(page, "The faces have changed places.")
    page.fill("#share-b", "30")
    page.keyboard.press("Enter")
    says(page, "Ready: drag the slider.")


def test_shortcuts_and_their_sheet(visit):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    page.keyboard.press("?")
    assert page.is_visible("#help")
    assert "Redo" in page.inner_text("#shortcuts")
    page.keyboard.press("x")  # the page below does not listen
    page.keyboard.press("Control+z")
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")
    assert [page.inner_text(f".parent-{letter} .found-text") for letter in "ab"] == ["Sample 2", "Sample 3"]
    page.keyboard.press("x")
    assert page.inner_text(".parent-a .found-text") == "Sample 3"
    page.keyboard.press("p")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.keyboard.press("p")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    page.click("[data-sample='5']")
    mixed(page)
    page.keyboard.press("r")
    assert len(set(shares(page))) == 3
    page.keyboard.press("0")
    assert shares(page) == [33.3, 33.3, 33.3]
    page.locator("#share-a").press_sequentially("0")  # typed, not a shortcut
    assert page.input_value("#share-a").endswith("0")

    # Single keys can be switched off; the others stay.
    page.click("#help-open")
    page.uncheck("#single-keys")
    page.click("#help [aria-label=Close]")
    before = shares(page)
    page.keyboard.press("r")
    page.keyboard.press("?")
    assert shares(page) == before
    assert page.is_hidden("#help")
    page.keyboard.press("Control+z")
    assert shares(page) != before


def test_the_theme_follows_the_system_until_it_is_chosen(visit):
    page = visit(color_scheme="dark", consents=False)
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    light = page.evaluate(paper)
    assert light != dark
    page.goto(page.url + "about")
    assert page.evaluate(paper) == light
    assert page.evaluate("({...localStorage})") == {"facemix.theme": "light"}
    page.click("#theme")
    assert page.evaluate(paper) == dark
    assert page.evaluate("({...localStorage})") == {}
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == light


def test_nothing_but_the_theme_the_consent_and_saved_recipes_is_kept_in_the_browser(visit, photos):
    page = visit()
    mix_two(page, photos)
    page.click("#split-toggle")
    stored = page.evaluate("[Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]")
    assert stored == [["facemix.consent"], [], ""]


def test_what_is_waited_for_is_said(visit, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    page = visit()
    held = []
    page.route("**/api/v1/strip", lambda route: held.append(route))
    mix_samples_unmixed(page)
    page.wait_for_selector(".working-text:has-text('Mixing ...')")
    assert page.is_disabled("#download")
    page.route("**/api/v1/faces", lambda route: held.append(route))
    page.set_input_files("#file-more", tmp_path / "cat.jpg")
    page.wait_for_selector(".parent-c .progress-text:has-text('Sending 0.0 of')")
    for route in held:
        route.continue_()
    mixed(page)
    page.wait_for_selector("#message-c .refusal-title")
    assert page.is_hidden(".working")


def mix_samples_unmixed(page) -> None:
    for number in (1, 2):
        page.click(f"[data-sample='{number}']")


def test_on_a_phone_the_picture_stays_in_sight_below(visit):
    page = visit(375, 740, has_touch=True, is_mobile=True)
    for number in (1, 2):
        page.tap(f"[data-sample='{number}']")
    rested(page)
    page.evaluate("scrollTo(0, 0)")
    until(page, "document.getElementById('mini').hidden")
    page.locator("#history").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert page.is_hidden("#mini")  # nothing that changes the picture is in sight
    page.click("#tab-adjust")
    page.locator("#panel-adjust").evaluate("panel => panel.scrollIntoView({ block: 'end' })")
    until(page, "!document.getElementById('mini').hidden")
    assert canvas(page, "mini").std() > 10


def test_the_browser_asks_before_faces_are_left(visit, server):
    page = visit()
    asked = []

    def answer(dialog):
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.goto(server + "/about")
    page.goto(server + "/")
    assert asked == []
    page.click("[data-sample='1']")
    filled(page, "a")
    page.goto(server + "/about")
    assert asked == ["beforeunload"]


def focused(page) -> str:
    """What has the focus: its id, or its card and class."""
    return page.evaluate("""() => {
      const now = document.activeElement;
      return now.id || `${now.closest("[data-slot]")?.dataset.slot} ${now.className}`;
    }""")


def test_the_focus_stays_near_what_is_taken_away(visit):
    page = visit()
    mix_samples(page, 1, 2, 3, 4)
    for letter, after in (("b", "b menu-open js-only"), ("c", "file-more"), ("b", "file-b")):
        page.focus(f".parent-{letter} .menu-open")
        page.keyboard.press("Enter")
        page.focus(f"#menu-{letter} .remove")
        page.keyboard.press("Enter")
        painted(page)  # the browser takes it from what is hidden with the next frame
        assert focused(page) == after
    page.click("#start-over")
    page.click("#start-over")
    painted(page)
    assert focused(page) == "file-a"


def test_weights_that_are_all_locked_say_so(visit):
    page = visit()
    mix_samples(page, 1, 2, 3)
    for letter in "abc":
        page.click(f".parent-{letter} .lock")
    page.click("#even")
    says(page, "Every weight is locked.")
    page.click(".parent-a .lock")
    page.click("#randomise")
    says(page, "Only one weight is not locked.")
    assert shares(page) == [33.3, 33.3, 33.3]


def test_what_the_status_says_of_the_picture_follows_the_faces(visit):
    page = visit()
    mix_samples(page, 1, 2)
    says(page, "Ready: drag the slider")
    page.click(".history-row li:first-child button")
    assert page.inner_text("#status") == ""
    page.click(".history-row li:last-child button")
    page.click("[data-sample='3']")
    says(page, "Ready: drag the handle")
    rested(page)
    for _ in range(5):
        page.click("#randomise")
    assert entries(page).count("Random shares") == 1  # rolled quickly, they are one step


def test_a_step_without_a_picture_shows_the_face_that_came_last(visit):
    page = visit()
    page.route("**/api/v1/strip", lambda route: None)
    mix_samples_unmixed(page)
    page.wait_for_selector(".history-row li:nth-child(2)")
    last = ".history-row li:nth-child(2) button"
    assert page.inner_text(f"{last} .letter") == "B"
    assert page.get_attribute(f"{last} img", "src") == page.get_attribute(".parent-b .crop", "src")
