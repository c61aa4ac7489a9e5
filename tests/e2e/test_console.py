"""The console in a browser: axe, light and dark, on a phone, and a key without scripts, whose secret is shown once."""

import re

import pytest
from browsing import found, overflow

from facemix.governance.operators import Operators
from facemix.settings import Settings
from facemix.web.run import open_database

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SIZES = {"desktop": (1280, 800), "phone": (320, 740)}
PAGES = (
    *("/console", "/console/review", "/console/spend", "/console/models", "/console/keys"),
    *("/console/people", "/console/audit", "/console/stop", "/console/account"),
)
NAME, PASSWORD = "anna", "some words in a row"


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def people(server, server_folder):
    """Somebody who may sign in, and a reviewer."""
    with open_database(Settings(data_dir=server_folder / "data")) as database:
        operators = Operators(database)
        for name, role in ((NAME, "operator"), ("rita", "reviewer")):
            if not operators.has(name):
                operators.create(name, PASSWORD, role, actor="test")


@pytest.fixture
def signed_in(visit):
    """signed_in(width, height) is a page on which an operator has signed in, at the console."""

    def made(*size, **options):
        page = visit(*size, path="/console", **options)
        page.fill("input[name=name]", NAME)
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(re.compile(r"/console$"))
        return page

    return made


def address(page, path: str) -> str:
    return "/".join(page.url.split("/")[:3]) + path


def test_pages(signed_in, size, scheme):
    page = signed_in(*size, color_scheme=scheme)
    for path in PAGES:
        page.goto(address(page, path))
        for summary in page.locator("main summary").all():
            summary.click()
        assert found(page) == [], path
        assert overflow(page) == 0, path


def test_the_form_to_sign_in(visit, size, scheme):
    page = visit(*size, color_scheme=scheme, path="/console/sign-in")
    assert found(page) == []
    assert overflow(page) == 0


def test_what_can_be_touched_is_large_enough_on_a_phone(signed_in):
    page = signed_in(320, 740)
    for path in PAGES:
        page.goto(address(page, path))
        for one in page.locator("header a:visible, header button:visible, main button:visible").all():
            box = one.bounding_box()
            assert min(box["width"], box["height"]) >= 24, (path, one.inner_text())


def test_a_key_without_scripts(signed_in):
    page = signed_in(1280, 800, java_script_enabled=False)
    page.click("nav[aria-label=Console] >> text=Keys")
    page.fill("input[name=name]:visible", "studio")
    page.check("input[name=scope_mix]")
    page.click("text=Add the key")
    secret = page.inner_text(".secret")
    assert re.fullmatch(r"fmx_[A-Za-z0-9_-]{43}", secret)
    page.reload()
    assert page.locator(".secret").count() == 0
    assert secret not in page.content()
    page.go_back()
    assert secret not in page.content()
    page.goto(address(page, "/console/keys"))
    page.click("summary:has-text('Revoke studio')")
    page.get_by_role("button", name="Revoke studio").click()
    page.wait_for_load_state()
    assert page.inner_text("tr:has(th:text-is('studio')) .badge") == "revoked"
    page.click("text=Sign out")
    page.goto(address(page, "/console/keys"))
    assert "/console/sign-in" in page.url
