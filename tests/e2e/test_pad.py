"""Three faces and more: the pad between them by mouse, keyboard and touch, the number fields and the locks."""

import itertools
import math
from io import BytesIO

import cv2
import numpy as np
import pytest
from browsing import difference, drawn, mix_samples, mixed, overflow, rested, shares, until
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def corner(page, number: int) -> tuple[float, float]:
    """Where a parent's picture is, in pixels of the window."""
    box = page.locator(f"[data-corner='{number}'] .pad-ring").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def handle(page) -> tuple[float, float]:
    box = page.locator(".pad-handle").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def settled(page) -> np.ndarray:
    rested(page)
    return drawn(page)


def three(visit, *arguments, **options):
    page = visit(*arguments, **options)
    mix_samples(page, 1, 2, 3)
    return page


def test_the_handle_is_dragged_by_mouse(visit, client):
    page = three(visit)
    assert page.is_hidden("#weight")
    assert shares(page) == [33.3, 33.3, 33.3]
    page.locator("#pad").scroll_into_view_if_needed()
    seen = [settled(page)]
    page.mouse.move(*handle(page))
    page.mouse.down()
    for number in range(3):
        page.mouse.move(*corner(page, number), steps=8)
        assert shares(page)[number] > 99
        assert handle(page) == pytest.approx(corner(page, number), abs=1)
        if number == 1:
            page.mouse.move(10_000, 10)  # beyond the pad the handle keeps to its rim
            assert sum(shares(page)) == pytest.approx(100, abs=0.2)
    page.mouse.up()
    seen.append(settled(page))
    assert difference(*seen) > 1

    # On the way between two corners lie their mixes, and what is drawn is what the endpoint draws.
    third = [(2 * a + b) / 3 for a, b in zip(corner(page, 0), corner(page, 1), strict=True)]
    with page.expect_request("**/api/v1/mix") as asked:
        page.mouse.click(*third)
    assert shares(page) == pytest.approx([66.7, 33.3, 0], abs=1)
    body = asked.value.post_data_json
    assert [parent["sample"] for parent in body["parents"]] == [1, 2, 3]
    weights = [parent["weight"] for parent in body["parents"]]
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    assert weights == [round(weight, 4) for weight in weights]
    answer = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
    with Image.open(BytesIO(answer.content)) as image:
        expected = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BOX))
    assert difference(cv2.resize(settled(page), (32, 32), interpolation=cv2.INTER_AREA), expected) < 1


def test_dragging_asks_for_one_picture_at_a_time_and_ends_with_the_newest(visit):
    page = three(visit)
    rested(page)
    page.locator("#pad").scroll_into_view_if_needed()
    under_way, most, sent = 0, 0, []

    def begun(request):
        nonlocal under_way, most
        if request.url.endswith("/api/v1/mix"):
            under_way += 1
            most = max(most, under_way)
            sent.append(request.post_data_json)

    def ended(request):
        nonlocal under_way
        under_way -= request.url.endswith("/api/v1/mix")

    page.on("request", begun)
    page.on("requestfinished", ended)
    page.mouse.move(*handle(page))
    page.mouse.down()
    x, y = handle(page)
    for step in range(40):
        page.mouse.move(x + 40 * math.sin(step / 4), y + 40 * math.cos(step / 4) - 40)
    page.mouse.up()
    rested(page)
    assert most == 1
    assert len(sent) < 40
    last = [100 * parent["weight"] for parent in sent[-1]["parents"]]
    assert last == pytest.approx(shares(page), abs=0.06)


def test_the_handle_is_moved_by_keyboard(visit):
    page = three(visit)
    page.focus(".pad-handle")
    before = page.get_attribute(".pad-handle", "aria-valuetext")
    assert before == "33 % A, 33 % B, 33 % C"
    page.keyboard.press("ArrowUp")  # A is at the top
    first = shares(page)
    assert first[0] > 33.4
    assert first[1] == pytest.approx(first[2], abs=0.1)
    page.keyboard.press("Shift+ArrowUp")
    assert shares(page)[0] - first[0] > 2 * (first[0] - 33.3)
    for _ in range(12):
        page.keyboard.press("2")
    assert shares(page) == [0, 100, 0]
    page.keyboard.press("3")
    assert shares(page) == pytest.approx([0, 50, 50], abs=0.1)
    page.keyboard.press("8")  # there is no eighth face
    assert shares(page) == pytest.approx([0, 50, 50], abs=0.1)
    page.keyboard.press("Home")
    assert shares(page) == [33.3, 33.3, 33.3]
    assert page.get_attribute(".pad-handle", "aria-valuetext") == before


def test_the_handle_is_moved_by_touch(visit):
    page = visit(375, 740, has_touch=True, is_mobile=True)
    assert page.inner_text("#empty-text") == "Begin with two photos"
    for number in (1, 2, 3):
        page.tap(f"[data-sample='{number}']")
    mixed(page)
    page.locator("#pad").scroll_into_view_if_needed()
    page.touchscreen.tap(*corner(page, 2))
    assert shares(page) == [0, 0, 100]
    top = page.evaluate("scrollY")
    session = page.context.new_cdp_session(page)

    def touch(kind, *point):
        points = [{"x": point[0], "y": point[1]}] if point else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    start, end = corner(page, 2), corner(page, 0)
    touch("touchStart", *start)
    for step in range(1, 9):
        touch("touchMove", *(a + (b - a) * step / 8 for a, b in zip(start, end, strict=True)))
    touch("touchEnd")
    until(page, "Number(document.getElementById('share-a').value) > 95")
    assert page.evaluate("scrollY") == top  # the page did not scroll under the finger
    assert overflow(page) <= 0


def test_number_fields_are_exact_and_move_the_handle(visit):
    page = visit()
    mix_samples(page, 1, 2, 3, 4, 5)
    middle = handle(page)
    page.fill("#share-b", "62.5")
    page.press("#share-b", "Enter")
    assert shares(page) == pytest.approx([9.4, 62.5, 9.4, 9.4, 9.4])
    to = corner(page, 1)
    assert math.dist(handle(page), to) < math.dist(middle, to)
    with page.expect_request("**/api/v1/mix") as asked:
        page.fill("#share-d", "0")
        page.press("#share-d", "Tab")
    assert [round(parent["weight"], 6) for parent in asked.value.post_data_json["parents"]] == [
        pytest.approx(share / 90.625, abs=1e-6) for share in (9.375, 62.5, 9.375, 0, 9.375)
    ]
    for wrong in ("", "-5", "nonsense"):
        page.locator("#share-d").press_sequentially(wrong)
        page.press("#share-d", "Enter")
        assert shares(page)[3] == 0
    page.fill("#share-a", "250")
    page.press("#share-a", "Enter")
    assert shares(page) == [100, 0, 0, 0, 0]
    page.fill("#share-a", "0")  # what is left when nothing else has a share goes to all others
    page.press("#share-a", "Enter")
    assert shares(page) == [0, 25, 25, 25, 25]


def test_a_locked_share_stays(visit):
    page = visit()
    mix_samples(page, 1, 2, 3, 4)
    page.fill("#share-a", "40")
    page.press("#share-a", "Enter")
    page.click(".parent-a .lock")
    assert page.get_attribute(".parent-a .lock", "aria-pressed") == "true"
    assert page.get_attribute("#share-a", "readonly") is not None
    page.locator("#pad").scroll_into_view_if_needed()
    for number in (2, 0, 3):
        page.mouse.click(*corner(page, number))
        assert shares(page)[0] == 40
        assert sum(shares(page)) == pytest.approx(100, abs=0.2)
    assert shares(page) == [40, 0, 0, 60]
    page.fill("#share-b", "90")
    page.press("#share-b", "Enter")
    assert shares(page) == [40, 60, 0, 0]
    page.click("#randomise")
    assert shares(page)[0] == 40
    assert len(set(shares(page)[1:])) == 3  # one of them may happen to be 40, too
    page.click("#even")
    assert shares(page) == [40, 20, 20, 20]
    page.click(".parent-a .lock")
    page.click("#even")
    assert shares(page) == [25, 25, 25, 25]


def test_a_face_that_is_removed_leaves_its_share_to_the_others(visit):
    page = visit()
    mix_samples(page, 1, 2, 3)
    page.fill("#share-a", "50")
    page.press("#share-a", "Enter")
    page.click(".parent-b .menu-open")
    page.click("#menu-b .remove")
    mixed(page)
    assert shares(page) == pytest.approx([66.7, 33.3])
    assert [page.inner_text(f".parent-{letter} .found-text") for letter in "ab"] == ["Sample 2", "Sample 4"]
    assert page.is_visible("#weight")
    assert page.is_hidden("#pad")


def test_eight_faces_are_the_most(visit):
    page = visit()
    mix_samples(page, *range(8))
    assert page.locator(".pad-face").count() == 8
    assert shares(page) == [12.5] * 8
    assert page.locator("#compare .pill span").all_inner_texts() == ["12.5 %"] * 8
    assert page.is_hidden("#add")
    page.click("[data-sample='9']")  # instead of the one that is aimed at
    mixed(page)
    assert len(shares(page)) == 8
    assert overflow(page) <= 0


GEOMETRY = """async ([count, points]) => {
  const module = await import("/static/pad_geometry.js");
  const polygon = module.corners(count, [50, 50], 37);
  return {
    polygon,
    corners: polygon.map((corner) => module.weightsAt(polygon, corner)),
    inside: points.map((point) => {
      const place = module.inside(polygon, point);
      const weights = module.weightsAt(polygon, place);
      return { place, weights, back: module.pointOf(polygon, weights) };
    }),
    locked: points.map((point) => {
      const weights = polygon.map((_, index) => (index === 0 ? 0.3 : 0.7 / (count - 1)));
      return module.weightsInReach(polygon, weights, polygon.map((_, index) => index === 0), point);
    }),
  };
}"""


@pytest.mark.parametrize("count", range(3, 9))
def test_weights_on_the_pad_are_mean_value_coordinates(visit, count):
    page = visit(path="/about")
    points = [[x, y] for x, y in itertools.product(np.linspace(0, 100, 11).tolist(), repeat=2)]
    found = page.evaluate(GEOMETRY, [count, points])
    np.testing.assert_allclose(found["corners"], np.eye(count), atol=1e-9)
    polygon = np.array(found["polygon"])
    for point, one in zip(points, found["inside"], strict=True):
        weights = np.array(one["weights"])
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(one["back"], one["place"], atol=1e-6)
        if one["place"] == point:
            np.testing.assert_allclose(weights, floater(polygon, np.array(point)), atol=1e-6)
    for weights in found["locked"]:
        assert weights[0] == pytest.approx(0.3)
        assert min(weights) >= 0
        assert sum(weights) == pytest.approx(1)


def floater(polygon: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Mean value coordinates by angles, as the paper defines them."""
    rays = polygon - point
    lengths = np.linalg.norm(rays, axis=1)
    following = np.roll(rays, -1, axis=0)
    cosines = (rays * following).sum(1) / (lengths * np.roll(lengths, -1))
    tangents = np.tan(np.arccos(np.clip(cosines, -1, 1)) / 2)
    weights = (np.roll(tangents, 1) + tangents) / lengths
    return weights / weights.sum()
