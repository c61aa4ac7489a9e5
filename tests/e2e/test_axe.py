"""axe finds nothing serious: the studio empty, filled and with its dialogs open, light and dark, large and small.

axe-core is run by `page.evaluate`, which the page's policy does not touch.
"""

import pytest
from browsing import found, give, mix_samples, mix_two, rested
from files import jpeg
from portraits import cat, crowd

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SIZES = {"desktop": (1280, 800), "phone": (375, 740)}


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


def test_empty(visit, size, scheme):
    assert found(visit(*size, color_scheme=scheme)) == []


def test_with_faces(visit, size, scheme, photos, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(jpeg(cat()))
    page = visit(*size, color_scheme=scheme)
    mix_two(page, photos)
    rested(page)
    assert found(page) == []
    page.click("#split-toggle")
    assert found(page) == []
    page.click("#split-toggle")
    mix_samples(page, 1, 2, 3, 4, 5, 6)
    page.click(".parent-c .lock")
    give(page, "d", tmp_path / "cat.jpg")
    page.wait_for_selector("#message-d .refusal-title")
    rested(page)
    assert found(page) == []
    page.click(".parent-a .menu-open")
    assert found(page) == []


@pytest.mark.parametrize("tab", ["adjust", "regions", "explore", "animate", "why", "save"])
def test_tabs(visit, size, scheme, tab):
    page = visit(*size, color_scheme=scheme)
    mix_samples(page, 1, 2, 3)
    rested(page)
    page.click(f"#tab-{tab}")
    page.wait_for_load_state("networkidle")
    assert found(page) == []


def test_dialogs(visit, size, scheme, tmp_path):
    (tmp_path / "group.jpg").write_bytes(jpeg(crowd()))
    page = visit(*size, color_scheme=scheme)
    give(page, "a", tmp_path / "group.jpg")
    page.click(".parent-a .which")
    assert found(page) == []
    page.keyboard.press("Escape")
    page.click(".parent-a .menu-open")
    page.click("#menu-a .place")
    page.wait_for_selector("#placing:visible")
    assert found(page) == []
    page.keyboard.press("Escape")
    page.click("#camera-open")
    page.wait_for_selector("#camera:visible")
    assert found(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert found(page) == []
