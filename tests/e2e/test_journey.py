"""One person's way through the page, in a real browser."""

import base64
import itertools
import os
import re
import shutil
from io import BytesIO

import cv2
import numpy as np
import pytest
from files import jpeg, text_named_jpg
from PIL import Image
from portraits import cat

pytestmark = [pytest.mark.slow, pytest.mark.browser]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# Chromium itself writes to the console that an upload was answered with 415 or 422, or /readyz with 503.
REFUSED = re.compile(
    r"Failed to load resource: .*\b(4(15|22)\b.* at http://[^/]+(/api/v1/faces|/|/#result)|503\b.*/readyz)$"
)


@pytest.fixture(scope="module")
def browser():
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        absent = f"none of {', '.join(BROWSERS)} is installed"
        if os.environ.get("FACEMIX_TEST_BROWSER") == "required":
            pytest.fail(absent)
        pytest.skip(absent)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        yield made
        made.close()


@pytest.fixture
def visit(browser, server):
    """visit(width, height) opens the studio. Whatever goes wrong on the page fails the test at its end."""
    contexts, wrong = [], []

    def opened(width=1280, height=800, *, path="/", **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda said: wrong.append(f"{said.type}: {said.text} at {said.location['url']}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server + path)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            foreign = [url for url in page.asked if not url.startswith((server + "/", "blob:", "data:"))]
            assert foreign == []
        context.close()
    assert [text for text in wrong if not REFUSED.search(text)] == []


def give(page, letter, path):
    page.set_input_files(f"#file-{letter}", path)


def mix_two(page, photos):
    give(page, "a", photos / "a.png")
    page.wait_for_selector(".parent-a .drop.filled")
    give(page, "b", photos / "b.jpg")
    page.wait_for_selector("#download:not([disabled])")


def drawn(page) -> np.ndarray:
    """The canvas once what was asked for is drawn, (512, 512, 3) uint8 RGB."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    uri = page.evaluate("document.getElementById('result').toDataURL('image/png')")
    with Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def weight(page) -> float:
    return float(page.input_value("#weight"))


def difference(first, second) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def overflow(page) -> int:
    """Pixels by which the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_two_photographs_become_one_face(visit, client, photos, crop_size, tmp_path):
    page = visit()
    page.wait_for_load_state("networkidle")
    assert page.is_disabled("#download")
    mix_two(page, photos)
    for letter in "ab":
        assert page.inner_text(f".parent-{letter} .found-text") == "One face found."
        assert page.locator(f".parent-{letter} .boxes rect").count() == 1
    middle = drawn(page)
    assert middle.std() > 10
    assert page.inner_text("#share") == "50 % A, 50 % B"

    # By mouse: the face follows, and nothing is fetched.
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
    assert page.asked[asked:] == []

    # What is downloaded is what the endpoint answers, and what the slider shows.
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "facemix-70.png"
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as image:
        assert (image.format, image.size) == ("PNG", (crop_size, crop_size))
        saved = np.asarray(image.convert("RGB"))
    files = {f"face_{letter}": (photos / name).read_bytes() for letter, name in (("a", "a.png"), ("b", "b.jpg"))}
    answer = client.post("/api/v1/mix", files=files, data={"weight": "0.7"}, headers={"Accept": "image/png"})
    with Image.open(BytesIO(answer.content)) as image:
        assert np.abs(saved.astype(int) - np.asarray(image)).max() <= 1
    # The frames for the slider are compressed: they agree but for the finest detail.
    small = [cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA) for one in (at_70, saved, only_b)]
    assert difference(small[0], small[1]) < 4
    assert difference(small[0], small[1]) < difference(small[2], small[1])

    # Swapped, the same place of the slider shows the other side, again without a request.
    page.wait_for_function("document.getElementById('status').textContent.startsWith('Saved')")
    asked = len(page.asked)
    page.click("#swap")
    page.focus("#weight")
    page.keyboard.press("Home")
    np.testing.assert_array_equal(drawn(page), only_b)
    page.keyboard.press("End")
    np.testing.assert_array_equal(drawn(page), only_a)
    assert [url for url in page.asked[asked:] if not url.startswith(("blob:", "data:"))] == []


def test_a_sample_face_takes_a_place(visit, photos):
    page = visit()
    mix_two(page, photos)
    before = drawn(page)
    page.check("[name=target][value=b]", force=True)
    with page.expect_response("**/api/v1/strip") as answer:
        page.click("[data-sample='3']")
    assert answer.value.status == 200
    page.wait_for_selector("#download:not([disabled])")
    assert "Sample face 4" in page.inner_text(".parent-b .found-text")
    assert page.inner_text(".parent-a .found-text") == "One face found."
    assert difference(drawn(page), before) > 1


@pytest.mark.parametrize(("name", "title"), [("diary.jpg", "not supported"), ("cat.jpg", "No face")])
def test_an_unusable_file_leaves_the_rest_as_it_was(visit, photos, tmp_path, name, title):
    (tmp_path / "diary.jpg").write_bytes(text_named_jpg())
    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    page = visit()
    mix_two(page, photos)
    before, asked = drawn(page), len(page.asked)
    second = page.inner_html(".parent-b")
    give(page, "a", tmp_path / name)
    page.wait_for_selector("#message-a .refusal-title")
    message = page.inner_text("#message-a")
    assert title in message
    assert "The face that was here before is kept." in message
    assert "Photo A" in page.inner_text("#status")
    assert page.inner_text("#message-b") == ""
    assert page.inner_html(".parent-b") == second
    np.testing.assert_array_equal(drawn(page), before)
    assert page.is_enabled("#download")
    assert [url.rpartition("/")[2] for url in page.asked[asked:]] == ["faces"]


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(visit, photos, width):
    page = visit(width, 700)
    assert overflow(page) <= 0
    mix_two(page, photos)
    assert overflow(page) <= 0
    assert page.locator("#weight").bounding_box()["width"] > 0.5 * width
    for path in ("/about", "/model", "/docs"):
        assert overflow(visit(width, 700, path=path)) <= 0, path


def test_the_plain_form_mixes_and_refuses_without_javascript(visit, client, photos, crop_size, tmp_path):
    page = visit(java_script_enabled=False)
    give(page, "a", photos / "a.png")
    give(page, "b", photos / "b.jpg")
    page.click("button[type=submit]")
    picture = page.wait_for_selector(".plain-result")
    with Image.open(BytesIO(base64.b64decode(picture.get_attribute("src").partition(",")[2]))) as image:
        assert image.size == (crop_size, crop_size)
        shown = np.asarray(image.convert("RGB"))
    files = {f"face_{letter}": (photos / name).read_bytes() for letter, name in (("a", "a.png"), ("b", "b.jpg"))}
    answer = client.post("/api/v1/mix", files=files, headers={"Accept": "image/png"})
    with Image.open(BytesIO(answer.content)) as image:
        assert np.abs(shown.astype(int) - np.asarray(image)).max() <= 1

    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    give(page, "a", photos / "a.png")
    give(page, "b", tmp_path / "cat.jpg")
    page.click("button[type=submit]")
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
    page.click("#retry")
    page.wait_for_selector("#download:not([disabled])")
    assert page.is_hidden("#retry")
    assert drawn(page).std() > 10


def still_loading(page, server):
    """Opens the studio as it is rendered before the model is there."""

    def render(route):
        answer = route.fetch()
        notice = '<p class="notice" id="loading" role="status">The model is still being loaded.</p><form id="studio"'
        text = answer.text().replace("data-base=", "data-loading data-base=", 1)
        route.fulfill(response=answer, body=text.replace('<form id="studio"', notice, 1))

    page.route(server + "/", render)
    page.goto(server + "/")


def test_a_photo_chosen_while_the_model_loads_is_kept(visit, server, photos):
    page = visit(path="/about")
    still_loading(page, server)
    give(page, "a", photos / "a.png")
    page.wait_for_selector("#loading", state="hidden")
    assert page.inner_text(".parent-a .found-text") == "One face found."


def test_a_model_that_cannot_be_loaded_says_why(visit, server):
    page = visit(path="/about")
    failure = {"code": "checkpoint_corrupt", "title": "The checkpoint is damaged", "detail": "bad", "hint": "copy it"}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=failure))
    still_loading(page, server)
    page.wait_for_selector("#loading:has-text('The checkpoint is damaged')")
    assert "Copy it." in page.inner_text("#loading")
