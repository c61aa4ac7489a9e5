"""One person's way through the page, in a real browser."""

import base64
import itertools
from io import BytesIO

import cv2
import numpy as np
import pytest
from browsing import (
    alike,
    difference,
    drawn,
    filled,
    give,
    mix_samples,
    mix_two,
    mixed,
    overflow,
    rested,
    says,
    settled,
    until,
    weight,
)
from files import jpeg, text_named_jpg
from in_panels import own_picture, same_pixels
from PIL import Image
from portraits import cat

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def same_mix(client, photos, weight, detail=0) -> np.ndarray:
    files = {f"face_{letter}": (photos / name).read_bytes() for letter, name in (("a", "a.png"), ("b", "b.jpg"))}
    answer = client.post(
        "/api/v1/mix", files=files, data={"weight": str(weight), "detail": str(detail)}, headers={"Accept": "image/png"}
    )
    with Image.open(BytesIO(answer.content)) as image:
        return np.asarray(image.convert("RGB"))


def test_two_photographs_become_one_face(visit, client, photos, crop_size, tmp_path):
    page = visit()
    page.wait_for_load_state("networkidle")
    assert page.is_disabled("#download")
    mix_two(page, photos)
    for letter, name in (("a", "a.png"), ("b", "b.jpg")):
        assert page.inner_text(f".parent-{letter} .found-text") == name
        assert page.inner_text(f".parent-{letter} .gates-good") == "Clear photo"
        crop = page.locator(f".parent-{letter} .crop")
        assert crop.evaluate("crop => crop.naturalWidth") == crop_size
        assert crop.bounding_box()["width"] > 200
    own_picture(page)  # test_sharp_studio.py looks at the sharp ones
    middle = drawn(page)
    assert middle.std() > 10
    assert page.inner_text("#share") == "50 % A, 50 % B"

    # By mouse: the face follows, and nothing is fetched.
    rested(page)
    asked = len(page.asked)
    track = page.locator("#weight").bounding_box()
    y = track["y"] + track["height"] / 2
    seen = []
    page.mouse.move(track["x"] + track["width"] / 2, y)
    page.mouse.down()
    for share in (0.3, 0.1, 0.6, 0.9):
        page.mouse.move(track["x"] + track["width"] * share, y, steps=5)
        assert abs(weight(page) - share) < 0.05
        seen.append(drawn(page))
    page.mouse.up()
    for first, second in itertools.pairwise(seen):
        assert difference(first, second) > 1

    # By keyboard: to both ends and in steps.
    page.focus("#weight")
    page.keyboard.press("Home")
    assert weight(page) == 0
    only_a = drawn(page)
    page.keyboard.press("End")
    assert weight(page) == 1
    only_b = drawn(page)
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert weight(page) == pytest.approx(0.7)
    assert page.get_attribute("#weight", "aria-valuetext") == "70 % B"
    at_70 = drawn(page)
    assert difference(only_a, only_b) > 5
    assert difference(at_70, only_b) < difference(at_70, only_a)
    assert difference(at_70, only_a) > 1
    assert [url for url in page.asked[asked:] if not url.startswith(("blob:", "data:"))] == []

    # What is downloaded is what the endpoint answers, and what the slider shows.
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "facemix-70.png"
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as image:
        assert (image.format, image.size) == ("PNG", (crop_size, crop_size))
        saved = np.asarray(image.convert("RGB"))
    assert np.abs(saved.astype(int) - same_mix(client, photos, 0.7)).max() <= 1
    # The frames for the slider are compressed: they agree but for the finest detail.
    small = [cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA) for one in (at_70, saved, only_b)]
    assert difference(small[0], small[1]) < 4
    assert difference(small[0], small[1]) < difference(small[2], small[1])

    # Swapped, the same place of the slider shows the other side, again without a request.
    says(page, "Saved")
    asked = len(page.asked)
    page.click("#swap")
    page.focus("#weight")
    page.keyboard.press("Home")
    assert alike(drawn(page), only_b)
    page.keyboard.press("End")
    assert alike(drawn(page), only_a)
    assert [url for url in page.asked[asked:] if not url.startswith(("blob:", "data:"))] == []


def test_playing_moves_through_the_faces_and_stays_where_it_is_stopped(visit):
    page = visit()
    mix_samples(page, 1, 2)
    before, asked = drawn(page), len(page.asked)
    page.click("#play")
    until(page, "Math.abs(document.getElementById('weight').value - 0.5) > 0.2")
    assert difference(drawn(page), before) > 1
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    stopped = weight(page)
    assert float(page.input_value("#share-b")) == pytest.approx(stopped * 100, abs=0.1)
    assert page.inner_text("#share").endswith(f"{round(stopped * 100)} % B")
    assert [url for url in page.asked[asked:] if not url.startswith(("blob:", "data:"))] == []


def test_a_sample_face_takes_a_place(visit, photos):
    page = visit()
    mix_two(page, photos)
    before = drawn(page)
    page.check("[name=target][value=b]", force=True)
    with page.expect_response("**/api/v1/strip") as answer:
        page.click("[data-sample='3']")
    assert answer.value.status == 200
    mixed(page)
    assert page.inner_text(".parent-b .found-text") == "Sample 4"
    assert page.inner_text(".parent-a .found-text") == "a.png"
    assert page.locator(".parent:not([hidden])").count() == 2
    assert difference(drawn(page), before) > 1


@pytest.mark.parametrize(("name", "title"), [("diary.jpg", "not supported"), ("cat.jpg", "No face")])
def test_an_unusable_file_leaves_the_rest_as_it_was(visit, photos, tmp_path, name, title):
    (tmp_path / "diary.jpg").write_bytes(text_named_jpg())
    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    page = visit()
    mix_two(page, photos)
    settled(page)
    before, asked = drawn(page), len(page.asked)
    second = page.inner_html(".parent-b")
    give(page, "a", tmp_path / name)
    page.wait_for_selector("#message-a .refusal-title")
    message = page.inner_text("#message-a")
    assert title in message
    assert "The face that was here before is kept." in message
    assert "photo for face A" in page.inner_text("#status")
    assert page.inner_text("#message-b") == ""
    assert page.inner_html(".parent-b") == second
    np.testing.assert_array_equal(drawn(page), before)
    assert page.is_enabled("#download")
    assert [url.rpartition("/")[2] for url in page.asked[asked:]] == ["faces"]
    page.click("#message-a .dismiss")
    assert page.inner_text("#message-a") == ""
    assert page.inner_text(".parent-a .found-text") == "a.png"


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(visit, photos, width):
    page = visit(width, 700)
    assert overflow(page) <= 0
    mix_two(page, photos)
    assert overflow(page) <= 0
    assert page.locator("#weight").bounding_box()["width"] > 0.5 * width
    mix_samples(page, 1, 2, 3)
    assert overflow(page) <= 0
    for path in ("/about", "/models", "/docs"):
        assert overflow(visit(width, 700, path=path)) <= 0, path


def test_the_plain_form_mixes_and_refuses_without_javascript(visit, client, photos, tmp_path):
    page = visit(java_script_enabled=False)
    give(page, "a", photos / "a.png")
    give(page, "b", photos / "b.jpg")
    page.check("input[name=consent]")
    page.click("button[type=submit]:visible")
    picture = page.wait_for_selector(".plain-result")
    with Image.open(BytesIO(base64.b64decode(picture.get_attribute("src").partition(",")[2]))) as image:
        shown = np.asarray(image.convert("RGB"))
    same_pixels(shown, same_mix(client, photos, 0.5, detail=1), most=4)

    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    give(page, "a", photos / "a.png")
    give(page, "b", tmp_path / "cat.jpg")
    page.check("input[name=consent]")
    page.click("button[type=submit]:visible")
    page.wait_for_selector("#message-b .refusal-title")
    assert "No face was found" in page.inner_text("#message-b")
    assert page.inner_text("#message-a") == ""


def test_a_mix_that_failed_can_be_tried_again(visit, photos):
    page = visit()
    page.wait_for_load_state("networkidle")
    answers = itertools.chain([False], itertools.repeat(True))

    def once(route):
        if next(answers):
            route.continue_()
        else:
            route.fulfill(status=200, content_type="application/json", body="not JSON")

    page.route("**/api/v1/strip", once)
    give(page, "a", photos / "a.png")
    give(page, "b", photos / "b.jpg")
    page.wait_for_selector("#retry:visible")
    assert page.is_disabled("#download")
    assert page.inner_text("#empty") == "The answer cannot be read"
    page.click("#retry")
    mixed(page)
    assert page.is_hidden("#retry")
    assert page.is_hidden("#empty")
    says(page, "Ready: drag the slider")
    assert drawn(page).std() > 10
    assert [page.inner_text(f".parent-{letter} .found-text") for letter in "ab"] == ["a.png", "b.jpg"]


def test_a_mix_that_failed_leaves_the_last_picture_and_marks_it(visit):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    before = drawn(page)
    page.route(
        "**/api/v1/mix", lambda route: route.fulfill(status=200, content_type="application/json", body="not JSON")
    )
    page.click("[data-sample='3']")
    page.wait_for_selector("#retry:visible")
    assert page.get_attribute("#picture", "class") == "picture stale"
    np.testing.assert_array_equal(drawn(page), before)
    assert page.is_disabled("#download")
    page.unroute("**/api/v1/mix")
    page.click("#retry")
    says(page, "Ready: drag the handle")
    assert page.get_attribute("#picture", "class") == "picture"
    assert difference(drawn(page), before) > 1


def still_loading(page, server):
    """Opens the studio as it is rendered before the model is there."""

    def render(route):
        answer = route.fetch()
        notice = '<p class="notice" id="loading">The model is still being loaded.</p><form id="studio"'
        text = answer.text().replace("data-base=", "data-loading data-base=", 1)
        route.fulfill(response=answer, body=text.replace('<form id="studio"', notice, 1))

    page.route(server + "/", render)
    page.goto(server + "/")


def test_a_photo_chosen_while_the_model_loads_is_kept(visit, server, photos):
    page = visit(path="/about")
    still_loading(page, server)
    give(page, "a", photos / "a.png")
    page.wait_for_selector("#loading", state="hidden")
    filled(page, "a")
    assert page.inner_text(".parent-a .found-text") == "a.png"


def test_a_model_that_cannot_be_loaded_says_why(visit, server):
    page = visit(path="/about")
    failure = {"code": "checkpoint_corrupt", "title": "The checkpoint is damaged", "detail": "bad", "hint": "copy it"}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=failure))
    still_loading(page, server)
    page.wait_for_selector("#loading:has-text('The checkpoint is damaged')")
    assert "Copy it." in page.inner_text("#loading")
