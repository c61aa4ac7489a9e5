"""The photographs' detail in the studio: the sharp picture after the soft one, and what else comes from them."""

import json
from io import BytesIO

import cv2
import numpy as np
import pytest
from browsing import canvas, difference, drawn, found, mix_samples, mix_two, overflow, painted, rested, until
from files import jpeg, png
from in_panels import body_of, pixels, same_pixels, show
from PIL import Image
from portraits import head, other

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SHARP = "document.getElementById('drawn-as').textContent === \"With the photographs' detail\""
OWN = "document.getElementById('drawn-as').textContent === \"The model's own picture\""
MISSING = {
    "title": "The photograph is needed again",
    "status": 409,
    "detail": "it is gone",
    "code": "photograph_missing",
}
# Writes down whenever the picture of before lies over the one of now.
WATCH = """() => {
  const before = document.getElementById('before');
  window.fades = [];
  new MutationObserver(() => {
    if (!before.hidden) window.fades.push(before.getAnimations()[0].effect.getTiming().duration);
  }).observe(before, { attributeFilter: ['hidden'] });
}"""


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Five times as large, as sharp as a photograph of that size, with grain."""
    large = cv2.resize(picture, None, fx=5, fy=5, interpolation=cv2.INTER_LANCZOS4).astype(np.float32)
    large += large - cv2.GaussianBlur(large, (0, 0), 3)
    grain = np.random.default_rng(1).normal(0, 8, large.shape[:2]).astype(np.float32)
    return (large + cv2.GaussianBlur(grain, (0, 0), 0.8)[..., None]).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with two people's photographs whose faces have more than 500 pixels: a.png and b.jpg."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "a.png").write_bytes(png(enlarged(head())))
    (folder / "b.jpg").write_bytes(jpeg(enlarged(other())))
    return folder


def sharp(page):
    until(page, SHARP)


def carried(page) -> list[dict]:
    """What the page has asked /api/v1/mix for with detail, from now on."""
    bodies = []

    def note(request):
        if request.url.endswith("/api/v1/mix") and "detail" in body_of(request):
            bodies.append(body_of(request))

    page.on("request", note)
    return bodies


def same_sharp(first: np.ndarray, second: np.ndarray) -> None:
    """What is carried is decided by latents and decodes that are rounded; of other batches they differ a little."""
    same_pixels(first, second, most=4)


def hold(page) -> list:
    """The requests for detail, which wait for `let_go`."""
    held = []

    def handle(route):
        if "detail" in body_of(route.request):
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/mix", handle)
    return held


def until_held(page, held) -> None:
    while not held:
        page.wait_for_timeout(50)


def faded(page) -> None:
    """Waits until the picture of before has gone."""
    page.wait_for_timeout(300)
    until(page, "document.getElementById('before').hidden")
    painted(page)


def let_go(page, held) -> None:
    for route in held:
        route.continue_()
    page.unroute("**/api/v1/mix")


def made(client, folder, weight="0.5", **fields) -> np.ndarray:
    """What the endpoint makes of the two photographs."""
    files = {f"face_{letter}": (folder / name).read_bytes() for letter, name in (("a", "a.png"), ("b", "b.jpg"))}
    data = {"weight": weight, "detail": "1", **fields}
    return pixels(client.post("/api/v1/mix", files=files, data=data, headers={"Accept": "image/png"}).content)


def downloaded(page, selector: str = "#download") -> np.ndarray:
    with page.expect_download() as download:
        page.click(selector)
    return pixels(download.value.path().read_bytes())


def edges(picture: np.ndarray) -> float:
    """How much there is in a picture that a model of 128 pixels cannot draw; the label lies below."""
    grey = picture[:380].mean(-1).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 2)).std())


def test_the_sharp_picture_takes_the_soft_ones_place_when_the_slider_rests(visit, client, large):
    page = visit()
    asked = carried(page)
    page.evaluate(WATCH)
    held = hold(page)
    mix_two(page, large)
    until_held(page, held)
    soft, place = drawn(page), page.locator("#result").bounding_box()
    assert page.is_hidden("#drawn-as")
    let_go(page, held)
    sharp(page)
    faded(page)
    assert page.is_hidden("#before")
    assert 150 in page.evaluate("window.fades")
    keen = drawn(page)
    assert page.locator("#result").bounding_box() == place
    same_sharp(keen, made(client, large))
    assert edges(keen) > 1.5 * edges(soft)
    (right, down), _ = cv2.phaseCorrelate(*(one.mean(-1).astype(np.float32) for one in (soft, keen)))
    assert np.hypot(right, down) < 2  # the same face in the same place
    assert len(asked) == 1
    assert asked[0]["detail"] == 1

    # What moves is the model's own; what it comes to rest at is sharp again.
    page.focus("#weight")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    moving = canvas(page, "result")
    assert not page.is_visible("#drawn-as")
    assert edges(moving) < 0.8 * edges(keen)
    sharp(page)
    same_sharp(drawn(page), made(client, large, "0.7"))
    assert [round(body["parents"][1]["weight"], 2) for body in asked][-1] == 0.7
    same_sharp(downloaded(page), made(client, large, "0.7"))

    # A way back asks for nothing.
    count = len(asked)
    page.click("#undo")
    sharp(page)
    same_sharp(drawn(page), keen)
    assert len(asked) == count


def test_without_motion_nothing_fades(visit, large):
    page = visit(reduced_motion="reduce")
    page.evaluate(WATCH)
    mix_two(page, large)
    sharp(page)
    assert page.evaluate("window.fades") == []


def test_without_detail_the_picture_is_the_models_own(visit, client, large, crop_size):
    page = visit()
    mix_two(page, large)
    sharp(page)
    show(page, "adjust")
    keen = drawn(page)
    asked = carried(page)
    page.focus("#detail-slider")
    page.keyboard.press("Home")
    until(page, OWN)
    assert page.get_attribute("#detail-slider", "aria-valuetext") == "0 %"
    assert "the model's own" in page.inner_text("#detail-text")
    faded(page)
    assert edges(drawn(page)) < 0.8 * edges(keen)
    own = downloaded(page)
    assert own.shape == (crop_size, crop_size, 3)
    same_pixels(own, made(client, large, detail="0"))
    assert asked == []
    show(page, "save")
    assert "--detail 0" in page.inner_text("#code-cli")
    show(page, "adjust")
    page.click(".dial:has(#detail-slider) .dial-reset")
    sharp(page)
    same_sharp(drawn(page), keen)
    page.fill("#detail-slider", "0.4")
    until(page, "document.querySelector('.history-row [aria-current]').title === 'Detail of the photographs'")
    rested(page)
    sharp(page)
    same_sharp(downloaded(page), made(client, large, detail="0.4"))


def test_samples_have_no_detail_and_none_is_asked_for(visit, crop_size):
    page = visit()
    asked = carried(page)
    mix_samples(page, 1, 4)
    until(page, OWN)
    show(page, "adjust")
    assert page.is_disabled("#detail-slider")
    show(page, "regions")
    assert page.is_disabled("#keep-hair")
    assert downloaded(page).shape == (crop_size, crop_size, 3)
    assert asked == []


def test_hair_is_kept_whole_and_follows_its_parent(visit, client, large):
    page = visit()
    mix_two(page, large)
    sharp(page)
    mixed_hair = drawn(page)
    asked = carried(page)
    show(page, "regions")
    assert page.locator("#keep-hair option").all_inner_texts() == ["Automatic", "A", "B", "Mixed"]
    page.select_option("#keep-hair", label="B")
    until(page, "document.querySelector('.history-row [aria-current]').title === 'Hair: B'")
    rested(page)
    sharp(page)
    faded(page)
    assert asked[-1]["keep"] == {"hair": 1}
    same_sharp(drawn(page), made(client, large, keep="hair=b"))
    assert difference(drawn(page), mixed_hair) > 1
    show(page, "save")
    assert "--keep hair=b" in page.inner_text("#code-cli")
    assert '"keep":{"hair":1}' in page.inner_text("#code-curl")
    page.click("#swap")
    show(page, "regions")
    assert page.input_value("#keep-hair") == "0"
    page.click(".parent-a .menu-open")
    page.click("#menu-a .remove")
    assert page.input_value("#keep-hair") == ""
    page.keyboard.press("Control+z")
    assert page.input_value("#keep-hair") == "0"


def test_the_face_goes_back_into_a_photograph(visit, client, large):
    page = visit()
    mix_two(page, large)
    sharp(page)
    alone = drawn(page)
    show(page, "save")
    page.select_option("#onto", label="Photograph of B")
    rested(page)
    assert page.is_disabled("#onto-colour")
    with page.expect_request("**/api/v1/mix") as request:
        put = downloaded(page, "[data-format=png]")
    body = body_of(request.value)
    assert body["placement"] == {"onto": "photo", "parent": 1}
    assert [set(parent) - {"weight"} for parent in body["parents"]] == [{"face_id"}, {"image", "face"}]
    same_sharp(put, made(client, large, placement="photo:b"))
    assert put.shape[0] / put.shape[1] == pytest.approx(300 / 345, abs=0.01)
    same_sharp(drawn(page), alone)  # the picture stays the face
    assert "--onto photo:b" in page.inner_text("#code-cli")
    page.select_option("#onto", label="A plain colour")
    page.fill("#onto-colour", "#204060")
    rested(page)
    plain = downloaded(page)
    same_sharp(plain, made(client, large, placement="plain:#204060"))
    np.testing.assert_allclose(plain[2, 2], (0x20, 0x40, 0x60), atol=2)
    page.click("#undo")
    page.click("#undo")
    assert page.input_value("#onto") == "photo:1"


def test_a_photograph_that_the_server_has_let_go_of_is_sent_again(visit, large):
    page = visit()
    answers = iter((409, 200, 200, 200))

    def answer(route):
        if "detail" in body_of(route.request) and next(answers) == 409:
            route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(MISSING))
        else:
            route.continue_()

    page.route("**/api/v1/mix", answer)
    sent = []
    page.on(
        "request", lambda request: sent.append(request.url.rpartition("/")[2]) if request.method == "POST" else None
    )
    mix_two(page, large)
    sharp(page)
    assert sent[-4:].count("faces") == 2
    assert sent[-1] == "mix"
    assert page.is_hidden("#retry")


def test_where_the_server_keeps_no_photograph_it_goes_along_with_the_request(visit, client, large):
    page = visit()

    def answer(route):
        body = body_of(route.request)
        if "detail" in body and any("face_id" in parent for parent in body["parents"]):
            route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(MISSING))
        else:
            route.continue_()

    page.route("**/api/v1/mix", answer)
    asked = carried(page)
    mix_two(page, large)
    sharp(page)
    assert [set(parent) - {"weight"} for parent in asked[-1]["parents"]] == [{"image", "face"}] * 2
    same_sharp(drawn(page), made(client, large))


def test_a_saved_link_shows_the_models_own_picture(visit, client, large, crop_size):
    page = visit()
    mix_two(page, large)
    sharp(page)
    show(page, "save")
    assert "the model's own" in page.inner_text("[aria-labelledby=link-title]")
    with page.expect_request("**/api/v1/recipes") as request:
        page.click("#link-save")
    assert not {"detail", "placement"} & set(body_of(request.value))
    page.wait_for_selector("#links li")
    identity = page.locator("#links input").first.input_value().rpartition("/")[2]
    picture = pixels(client.get(f"/api/v1/recipes/{identity}/picture").content)
    assert picture.shape == (crop_size, crop_size, 3)


def test_films_and_grids_have_the_detail_too(visit, large):
    page = visit()
    mix_two(page, large)
    sharp(page)
    show(page, "animate")
    page.select_option("#way-type", "image/webp")
    page.fill("#way-seconds", "0.5")
    page.fill("#way-fps", "6")
    with page.expect_request("**/api/v1/animations") as request:
        page.click("#quick")
    assert body_of(request.value)["detail"] == 1
    page.wait_for_selector("#animation:not([hidden])")
    with page.expect_download() as download:
        page.click("#animation-save")
    with Image.open(BytesIO(download.value.path().read_bytes())) as film:
        assert film.size == (256, 256)
        first = np.asarray(film.convert("RGB"))
    assert edges(cv2.resize(first, (512, 512))) > 1
    show(page, "explore")
    with page.expect_request("**/api/v1/grids") as request:
        page.click("#grid-draw")
    body = body_of(request.value)
    assert (body["detail"], body["size"]) == (1, 256)
    page.wait_for_selector("#grid-sheet button")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_all_of_it_fits_and_has_names(visit, large, width, scheme):
    page = visit(width=width, height=800, color_scheme=scheme)
    mix_two(page, large)
    sharp(page)
    for name in ("adjust", "regions", "save"):
        show(page, name)
        if name == "save":
            page.select_option("#onto", "plain")
        assert overflow(page) == 0
        assert found(page) == []
