"""Every way in which a photo gets into the page, and every way in which that can fail."""

import base64
import re

import cv2
import numpy as np
import pytest
from browsing import alike, canvas, difference, drawn, filled, give, mix_samples, mix_two, mixed, rested, says, until
from files import jpeg, png
from portraits import LANDMARKS, cat, crowd, far_away, other, portrait

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# A file as a drop or a paste brings it.
TRANSFER = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, type, base64] of files) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  return transfer;
}"""


def transfer(page, *photos):
    packed = [[name, "image/jpeg", base64.b64encode(data).decode()] for name, data in photos]
    return page.evaluate_handle(TRANSFER, packed)


def names(page) -> list[str]:
    """What fills the places, in their order."""
    found = page.locator(".parent:has(.drop.filled) .found-text")
    return [found.nth(index).inner_text() for index in range(found.count())]


def faces_sent(page) -> int:
    return sum(url.endswith("/api/v1/faces") for url in page.asked)


@pytest.fixture
def group(tmp_path):
    (tmp_path / "group.jpg").write_bytes(jpeg(crowd()))
    return tmp_path / "group.jpg"


# --- several at once ---------------------------------------------------------------------------------------


def test_several_photos_dropped_on_the_page_fill_further_places(visit):
    page = visit()
    files = [(f"{number}.jpg", jpeg(photo)) for number, photo in enumerate((portrait(), other(), portrait()[:, ::-1]))]
    given = transfer(page, *files)
    page.dispatch_event("#stage", "dragover", {"dataTransfer": given})
    assert page.evaluate("document.documentElement.classList.contains('dragging')")
    page.dispatch_event("#stage", "drop", {"dataTransfer": given})
    assert not page.evaluate("document.documentElement.classList.contains('dragging')")
    filled(page, "c")
    mixed(page)
    assert names(page) == ["0.jpg", "1.jpg", "2.jpg"]
    # Onto a face: the first takes its place, the others fill further ones.
    more = transfer(page, ("3.jpg", jpeg(portrait())), ("4.jpg", jpeg(other())))
    page.dispatch_event(".parent-b .drop", "drop", {"dataTransfer": more})
    filled(page, "d")
    until(page, "document.querySelector('.parent-b .found-text').textContent === '3.jpg'")
    assert names(page) == ["0.jpg", "3.jpg", "2.jpg", "4.jpg"]


def test_several_photos_are_chosen_at_once_up_to_eight(visit, tmp_path):
    page = visit()
    mix_samples(page, *range(6))
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(png(np.roll(portrait(), number, axis=1)))
    page.set_input_files("#file-more", paths)
    filled(page, "h")
    mixed(page)
    assert names(page)[5:] == ["Sample 6", "0.png", "1.png"]
    assert faces_sent(page) == 2
    says(page, "Ready")
    assert page.inner_text("#status").endswith("One photo was not taken: eight faces are the most.")


def test_a_pasted_photo_takes_the_next_place(visit):
    page = visit()
    paste = (
        "transfer => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true }))"
    )
    for number, photo in enumerate((portrait(), other())):
        transfer(page, (f"{number}.jpg", jpeg(photo))).evaluate(paste)
        filled(page, "ab"[number])
    mixed(page)
    assert names(page) == ["0.jpg", "1.jpg"]


def test_the_paste_button_reads_the_clipboard(visit, server):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server)
    page.click("#paste")
    says(page, "There is no picture")
    copy = """async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
    }"""
    page.evaluate(copy, base64.b64encode(png(portrait())).decode())
    page.click("#paste")
    filled(page, "a")
    assert names(page) == ["pasted"]


# --- one photo ---------------------------------------------------------------------------------------------


def test_a_large_upload_shows_how_far_it_is_and_can_be_cancelled(visit, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    (tmp_path / "large.png").write_bytes(png(noise))
    page = visit()
    mix_samples(page, 1, 2)
    before = page.inner_html(".parent-a")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 800_000}
    session.send("Network.emulateNetworkConditions", limits)
    page.set_input_files("#file-more", tmp_path / "large.png")
    page.wait_for_selector(".parent-c .progress")
    until(page, "document.querySelector('.parent-c progress').value > 0.2")
    text = page.inner_text(".parent-c .progress-text")
    sent, size = map(float, re.fullmatch(r"Sending (\d+\.\d) of (\d+\.\d) MB", text).groups())
    assert 0 < sent < size
    assert size == pytest.approx((tmp_path / "large.png").stat().st_size / 1048576, abs=0.1)
    assert page.locator(".parent-c progress").evaluate("bar => bar.position") < 1
    page.click(".parent-c .cancel")
    assert page.is_hidden(".parent-c")
    assert page.evaluate("document.activeElement.id") == "file-more"
    assert page.inner_text("#status") == "Cancelled."
    assert page.inner_html(".parent-a") == before
    assert page.is_enabled("#download")


@pytest.mark.parametrize("failure", ["refused", "cut off", "too large", "empty"])
def test_an_upload_that_fails_leaves_the_rest_as_it_was(visit, photos, tmp_path, failure):
    page = visit()
    mix_samples(page, 1, 2)
    rested(page)
    before, others = drawn(page), [page.inner_html(f".parent-{letter}") for letter in "ab"]
    path = photos / "a.png"
    if failure == "refused":
        path = tmp_path / "cat.jpg"
        path.write_bytes(jpeg(cat()))
    elif failure == "cut off":
        page.route("**/api/v1/faces", lambda route: route.fulfill(status=200, body="<html>a proxy</html>"))
    else:
        path = tmp_path / "file.jpg"
        path.write_bytes(b"" if failure == "empty" else b"\xff\xd8" + bytes(11 * 1024 * 1024))
    page.set_input_files("#file-more", path)
    page.wait_for_selector("#message-c .refusal-title")
    title = {"refused": "No face", "cut off": "cannot be read", "too large": "too large", "empty": "is empty"}[failure]
    assert title in page.inner_text("#message-c")
    assert re.match("(The photo .+|What was given) cannot be used", page.inner_text("#status"))
    assert page.is_hidden(".parent-c .letter")
    assert alike(drawn(page), before)
    assert [page.inner_html(f".parent-{letter}") for letter in "ab"] == others
    assert page.is_enabled("#download")
    page.click("#message-c .dismiss")
    assert page.is_hidden(".parent-c")


def test_the_face_of_a_group_photo_is_picked_on_the_photo(visit, photos, group):
    page = visit()
    give(page, "a", photos / "a.png")
    filled(page, "a")
    give(page, "b", group)
    mixed(page)
    first, crop = drawn(page), page.get_attribute(".parent-b .crop", "src")
    assert page.inner_text(".parent-b .which") == "1 of 2"
    page.click(".parent-b .which")
    boxes = page.locator("#picking-faces button")
    assert boxes.count() == 2
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Face 1 of 2, in use"
    # The boxes lie where the faces are in the photo as it is shown.
    shown = page.locator("#picking-photo").bounding_box()
    scale = shown["width"] / crowd().shape[1]
    second = boxes.nth(1).bounding_box()
    assert second["x"] - shown["x"] > 300 * scale
    boxes.nth(1).click()
    assert page.is_hidden("#picking")
    mixed(page)
    rested(page)
    assert page.inner_text(".parent-b .which") == "2 of 2"
    assert page.get_attribute(".parent-b .crop", "src") != crop
    assert difference(drawn(page), first) > 0.5
    assert faces_sent(page) == 2

    # By keyboard, through the menu; Escape changes nothing.
    page.focus(".parent-b .menu-open")
    page.keyboard.press("Enter")
    page.focus("#menu-b .pick")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.parent-b .which').textContent === '1 of 2'")
    assert page.get_attribute(".parent-b .crop", "src") == crop
    page.click(".parent-b .which")
    page.keyboard.press("Escape")
    assert page.is_hidden("#picking")
    assert page.inner_text(".parent-b .which") == "1 of 2"


def test_a_face_that_the_gates_warn_of_is_used_and_says_so(visit, tmp_path):
    (tmp_path / "dark.png").write_bytes(png((portrait() * 0.2).astype(np.uint8)))
    page = visit()
    give(page, "a", tmp_path / "dark.png")
    filled(page, "a")
    assert page.inner_text(".parent-a .gates-short") == "Dark"
    assert page.is_hidden(".parent-a .warnings")
    page.click(".parent-a .gates-short")
    assert "brightness" in page.inner_text(".parent-a .warnings")


def test_a_refused_photo_keeps_no_letter(visit, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    page = visit(375, 740)
    page.click("[data-sample='1']")
    filled(page, "a")
    give(page, "b", tmp_path / "cat.jpg")
    page.wait_for_selector("#message-b .refusal-title")
    assert page.inner_text("#empty-text") == "Now a face for B:"
    page.click("[data-sample='2']")
    mixed(page)
    give(page, "a", tmp_path / "cat.jpg")  # in a place that holds a face, its message has room on a phone, too
    page.wait_for_selector("#message-a .refusal-title")
    assert page.locator(".parent-a").bounding_box()["width"] > 280


def test_a_face_that_the_gates_refuse_says_why_beside_it(visit, tmp_path):
    (tmp_path / "far.png").write_bytes(png(far_away()))
    page = visit()
    mix_samples(page, 1, 2)
    give(page, "b", tmp_path / "far.png")
    page.wait_for_selector("#message-b .refusal-title")
    assert "pixels apart" in page.inner_text("#message-b")
    assert "The new photo for face B cannot be used" in page.inner_text("#status")
    assert page.locator("#message-b .by-hand").count() == 0  # it would be as small
    assert names(page) == ["Sample 2", "Sample 3"]


# --- by hand -----------------------------------------------------------------------------------------------

EYES_AND_MOUTH = [*LANDMARKS[:2], LANDMARKS[3:].mean(0)]


def on_photo(page, x, y) -> tuple[float, float]:
    """From pixels of the photo in the dialog to those of the window."""
    shown = page.locator("#placing-image").bounding_box()
    width = page.evaluate("document.getElementById('placing-image').naturalWidth")
    return shown["x"] + x * shown["width"] / width, shown["y"] + y * shown["width"] / width


@pytest.fixture
def unfound(tmp_path):
    """The portrait in black and white, so grainy that the detector finds no face in it, and yet a photograph."""
    grey = portrait().mean(2, keepdims=True)
    noise = np.random.default_rng(0).normal(0, 70, grey.shape)
    grainy = np.clip(grey + noise, 0, 255).astype(np.uint8).repeat(3, 2)
    (tmp_path / "noisy.png").write_bytes(png(grainy))
    return tmp_path / "noisy.png"


def test_eyes_and_mouth_are_placed_by_hand_where_no_face_is_found(visit, unfound, crop_size):
    page = visit()
    give(page, "a", unfound)
    page.wait_for_selector("#message-a .by-hand")
    page.click("#message-a .by-hand")
    page.wait_for_selector("#placing:visible")
    assert page.is_disabled("#placing-use")
    for point in EYES_AND_MOUTH:
        page.mouse.click(*on_photo(page, *point))
    assert page.is_enabled("#placing-use")
    preview = canvas(page, "placing-preview")
    # Dragged away and back.
    start, away = on_photo(page, *EYES_AND_MOUTH[2]), on_photo(page, 300, 250)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*away, steps=4)
    assert difference(canvas(page, "placing-preview"), preview) > 2
    page.mouse.move(*start, steps=4)
    page.mouse.up()
    with page.expect_response("**/api/v1/faces") as answer:
        page.click("#placing-use")
    assert answer.value.status == 200
    filled(page, "a")
    until(page, "document.activeElement.matches('.parent-a .menu-open')")
    assert page.inner_text("#message-a") == ""
    assert page.inner_text(".parent-a .gates-good, .parent-a .gates-short")
    # The preview showed what the server cut out.
    crop = page.evaluate(CROP, ".parent-a .crop")
    cut = np.array(crop, np.uint8).reshape(crop_size, crop_size, 4)[..., :3]
    small = [cv2.resize(one, (12, 12), interpolation=cv2.INTER_AREA) for one in (preview, cut)]
    assert difference(*small) < 4
    assert difference(small[0][:, ::-1], small[1]) > 8


CROP = """(selector) => {
  const image = document.querySelector(selector);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def test_points_are_placed_and_moved_by_keyboard(visit, photos):
    page = visit()
    mix_two(page, photos)
    crop = page.get_attribute(".parent-a .crop", "src")
    page.click(".parent-a .menu-open")
    page.click("#menu-a .place")
    page.wait_for_selector("[data-point=left_eye]:visible")
    # The points of the detector are the beginning.
    at = page.get_attribute("[data-point=left_eye]", "aria-label")
    x, y = map(int, re.fullmatch(r"Left eye, at (\d+), (\d+)", at).groups())
    assert np.hypot(*(np.array([x, y]) - LANDMARKS[0])) < 6
    page.click("#placing-again")
    assert page.is_disabled("#placing-use")
    page.keyboard.press("Enter")
    assert page.is_enabled("#placing-use")
    assert page.evaluate("document.activeElement.dataset.point") == "left_eye"
    before = page.get_attribute("[data-point=left_eye]", "aria-label")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    after = page.get_attribute("[data-point=left_eye]", "aria-label")
    assert int(after.rpartition(" ")[2]) < int(before.rpartition(" ")[2])
    page.keyboard.press("Escape")
    assert page.is_hidden("#placing")
    assert page.get_attribute(".parent-a .crop", "src") == crop
    assert faces_sent(page) == 2


# --- the camera --------------------------------------------------------------------------------------------

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def test_the_camera_takes_a_picture_after_a_countdown(visit, launch, tmp_path):
    """Its picture is a film of one frame: the portrait."""
    frame = cv2.resize(portrait(), (640, 480))
    yuv = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
    film = tmp_path / "film.y4m"
    film.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420\n" + (b"FRAME\n" + yuv.tobytes()) * 10)
    page = visit(using=launch(*FAKE_CAMERA, f"--use-file-for-fake-video-capture={film}"))
    page.click("#camera-open")
    page.wait_for_selector("#camera-shoot:not([disabled])")
    page.click("#camera-shoot")
    page.wait_for_selector("#camera-count:not([hidden])")
    page.click("#camera-shoot")  # not yet
    assert page.is_hidden("#camera-count")
    page.click("#camera-shoot")
    filled(page, "a")
    assert page.is_hidden("#camera")
    assert page.evaluate("document.getElementById('camera-video').srcObject") is None
    mix_samples(page, 1)
    page.click("#add .camera-open")  # further faces, too
    page.wait_for_selector("#camera-shoot:not([disabled])")
    page.click("#camera-shoot")
    filled(page, "c")
    assert names(page) == ["camera.jpg", "Sample 2", "camera.jpg"]


def test_a_picture_of_the_camera_without_a_face_is_refused(visit, launch):
    page = visit(using=launch(*FAKE_CAMERA))
    page.click("#camera-open")
    page.wait_for_selector("#camera-shoot:not([disabled])")
    page.click("#camera-shoot")
    page.wait_for_selector("#message-a .refusal-title")
    assert "No face" in page.inner_text("#message-a")


def test_without_a_camera_or_leave_to_use_it_the_page_says_so(visit):
    page = visit()
    page.click("#camera-open")
    until(page, "/No camera|may not use/.test(document.getElementById('camera-text').textContent)")
    assert page.is_disabled("#camera-shoot")
    page.keyboard.press("Escape")
    assert page.is_hidden("#camera")


# --- what the server keeps ---------------------------------------------------------------------------------


def kept_ids(page) -> list[str]:
    """Ids of the faces under which the last request named the parents."""
    return [parent.get("face_id") for parent in page.bodies[-1]["parents"]]


def test_a_face_that_the_server_has_let_go_of_is_sent_again_unseen(visit, client, photos):
    page = visit()
    page.bodies = []
    page.on("request", lambda sent: page.bodies.append(sent.post_data_json) if "/api/v1/mix" in sent.url else None)
    mix_two(page, photos)
    page.click("[data-sample='5']")
    mixed(page)
    rested(page)
    before = drawn(page)
    ids = kept_ids(page)[:2]
    for identity in ids:
        assert client.delete(f"/api/v1/faces/{identity}").status_code == 204
    sent = faces_sent(page)
    page.focus(".pad-handle")
    page.keyboard.press("Shift+ArrowLeft")
    rested(page)
    assert faces_sent(page) == sent + 2
    assert not set(kept_ids(page)[:2]) & set(ids)
    assert page.is_hidden("#retry")
    assert difference(drawn(page), before) > 0
    page.keyboard.press("Shift+ArrowLeft")
    rested(page)
    assert faces_sent(page) == sent + 2  # the new ids hold


def test_starting_over_lets_go_of_everything(visit, client, photos):
    page = visit()
    mix_two(page, photos)
    with page.expect_request("**/api/v1/mix") as asked, page.expect_download():
        page.click("#download")
    ids = [parent["face_id"] for parent in asked.value.post_data_json["parents"]]
    assert all(client.get(f"/api/v1/faces/{identity}").status_code == 200 for identity in ids)
    page.click("#start-over")
    assert page.inner_text("#start-over") == "Really clear everything?"
    assert names(page) == ["a.png", "b.jpg"]
    page.click("#start-over")
    assert names(page) == []
    assert page.is_visible("#empty")
    assert page.is_hidden("#history")
    page.wait_for_load_state("networkidle")
    assert all(client.get(f"/api/v1/faces/{identity}").status_code == 404 for identity in ids)


def test_photos_keep_their_order_whichever_is_looked_at_first(visit, tmp_path):
    """Of four photos the first is answered last, while a sample face is added behind them."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(png(np.roll(portrait(), number, axis=1)))
    page = visit()
    held = []

    def hold_first(route):
        if b'filename="0.png"' in (route.request.post_data_buffer or b""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/faces", hold_first)
    page.set_input_files("#file-more", paths)
    filled(page, "b")
    filled(page, "c")
    filled(page, "d")
    page.click("[data-sample='7']")
    filled(page, "e")
    assert page.is_visible(".parent-a .progress")
    held[0].continue_()
    filled(page, "a")
    assert names(page) == ["0.png", "1.png", "2.png", "3.png", "Sample 8"]


def test_a_sample_face_is_dragged_to_a_place(visit):
    page = visit()
    mix_samples(page, 1, 2)
    page.locator("[data-sample='5']").scroll_into_view_if_needed()
    page.hover("[data-sample='5']")
    page.mouse.down()
    place = page.locator(".parent-b .drop").bounding_box()
    page.mouse.move(place["x"] + 60, place["y"] + 60, steps=8)
    page.mouse.up()
    until(page, "document.querySelector('.parent-b .found-text').textContent !== 'Sample 3'")
    mixed(page)
    assert names(page) == ["Sample 2", "Sample 6"]
