"""A real server: `python -m facemix serve` in a process of its own, with the shipped checkpoint.

FACEMIX_CHECKPOINT names another one; every other FACEMIX_ variable is kept from it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import httpx
import pytest
from browsing import BROWSERS, QUIET, REFUSED, agreed
from files import jpeg, png
from portraits import other, portrait
from served import ROOT, serving


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory) -> Path:
    """Where the running server keeps its log and its data."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(server_folder):
    """The address of the running server. Afterwards it must end by itself, in order, when asked to."""
    chosen = {"checkpoint": os.environ["FACEMIX_CHECKPOINT"]} if os.environ.get("FACEMIX_CHECKPOINT") else {}
    if not chosen and not list((ROOT / "checkpoints").glob("*/card.json")):
        pytest.fail("there is no checkpoint under checkpoints/: these tests need the one that ships")
    # The invisible mark is another one for every recipe, also where two recipes give the same picture;
    # test_same_everywhere.py looks at marked pixels.
    with serving(server_folder, mark=False, **chosen) as running:
        yield running.address
        assert running.stop() == 0
        said = running.log
    assert "Application shutdown complete" in said
    for word in ("Traceback", " ERROR ", "Warning"):
        assert word not in said, said


@pytest.fixture(scope="session")
def client(server):
    with httpx.Client(base_url=server, timeout=120) as made:
        yield made


@pytest.fixture(scope="session")
def crop_size(client) -> int:
    return client.get("/api/v1/model").json()["crop_size"]


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder with two people's photographs as a camera writes them, a.jpg and b.jpg, and a.png without loss."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.png").write_bytes(png(portrait()))
    (folder / "a.jpg").write_bytes(jpeg(portrait()))
    (folder / "b.jpg").write_bytes(jpeg(other()))
    return folder


# Of a module and no longer: while it runs, other tests could start no event loop in this thread.
@pytest.fixture(scope="module")
def launch():
    """launch(*arguments) starts headless Chromium with further arguments; the same ones give the same browser."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        absent = f"none of {', '.join(BROWSERS)} is installed"
        if os.environ.get("FACEMIX_TEST_BROWSER") == "required":
            pytest.fail(absent)
        pytest.skip(absent)
    from playwright.sync_api import sync_playwright

    running = {}
    with sync_playwright() as playwright:

        def started(*arguments):
            if arguments not in running:
                options = [*QUIET, *arguments]
                running[arguments] = playwright.chromium.launch(executable_path=executable, args=options)
            return running[arguments]

        yield started
        for browser in running.values():
            browser.close()


@pytest.fixture(scope="module")
def browser(launch):
    return launch()


@pytest.fixture
def visit(browser, server):
    """visit(width, height) opens the studio, or another `path`; `using` is another browser than the usual one, and
    further options are those of a browser context; `consents`: its person has agreed to the terms before. Whatever goes
    wrong on the page fails the test at its end."""
    contexts, wrong = [], []

    def opened(width=1280, height=800, *, path="/", using=None, consents=True, **options):
        context = (using or browser).new_context(viewport={"width": width, "height": height}, **options)
        if consents:
            context.add_init_script(agreed())
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
