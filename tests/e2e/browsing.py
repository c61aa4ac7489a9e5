"""What the tests of the page share: the way in, and what is read off the page."""

from __future__ import annotations

import base64
import json
import re
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from facemix.safety.terms import VERSION

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# Chromium itself writes to the console that a request was refused, which is what some of these tests are about.
REFUSED = re.compile(
    r"Failed to load resource: .*\b((404|409|415|422)\b.* at http://[^/]+(/api/v1/.*|/|/#result)|503\b.*/readyz)$"
)


def agreed() -> str:
    """A script by which a browser remembers that its person has agreed to the terms."""
    return f"try {{ localStorage.setItem('facemix.consent', {json.dumps(VERSION)}) }} catch {{}}"


def until(page, expression: str, seconds: float = 60) -> None:
    """Waits until an expression is true on the page, whose policy does not let Playwright itself wait for one."""
    limit = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < limit, expression
        page.wait_for_timeout(50)


def painted(page) -> None:
    """Waits until the browser has painted what has changed so far."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def says(page, beginning: str) -> None:
    """Waits until the status begins with these words."""
    until(page, f"document.getElementById('status').textContent.startsWith({json.dumps(beginning)})")


def rested(page) -> None:
    """Waits until the last step of the session has its picture."""
    until(page, "document.querySelector('.history-row [aria-current]')?.classList.contains('unmixed') === false")


def settled(page) -> None:
    """Waits until nothing will change any more: a photograph's detail, where there is one, is in the picture."""
    until(page, "!document.getElementById('drawn-as').hidden")


def give(page, letter: str, path: Path) -> None:
    """Chooses a photo for one of the places."""
    page.set_input_files(f"#file-{letter}", path)


def filled(page, letter: str) -> None:
    """Waits until a place holds a face."""
    page.wait_for_selector(f".parent-{letter} .drop.filled")


def mixed(page) -> None:
    """Waits until the picture of what is on the page is there."""
    page.wait_for_selector("#download:not([disabled])")


def mix_two(page, photos: Path) -> None:
    give(page, "a", photos / "a.png")
    filled(page, "a")
    give(page, "b", photos / "b.jpg")
    mixed(page)


def mix_samples(page, *numbers: int) -> None:
    """Sample faces, one after the other, as A, B and so on."""
    for number in numbers:
        page.click(f"[data-sample='{number}']")
    mixed(page)


def drawn(page) -> np.ndarray:
    """The canvas once what was asked for is drawn, (512, 512, 3) uint8 RGB."""
    painted(page)
    return canvas(page, "result")


def canvas(page, identity: str) -> np.ndarray:
    """A canvas as it is, (H, W, 3) uint8 RGB."""
    uri = page.evaluate(f"document.getElementById('{identity}').toDataURL('image/png')")
    with Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def weight(page) -> float:
    """Of the second face, on the slider."""
    return float(page.input_value("#weight"))


def shares(page) -> list[float]:
    """Of all faces, in percent, as their fields say."""
    fields = page.locator(".parent:not([hidden]) .share-field")
    return [float(fields.nth(index).input_value()) for index in range(fields.count()) if fields.nth(index).is_visible()]


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    """The same picture. The browser may move a canvas that is read often from one rasteriser to another, which round
    differently."""
    return bool(np.abs(first.astype(int) - second).max() <= 1)


def overflow(page) -> int:
    """Pixels by which the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def found(page) -> list[str]:
    """What axe finds that is serious or worse, with the place of each."""
    painted(page)
    page.wait_for_timeout(400)
    # Colours on their way are neither here nor there. What turns for ever is not waited for.
    until(
        page,
        """document.getAnimations().every(one =>
          one.playState !== "running" || one.effect.getComputedTiming().endTime === Infinity)""",
    )
    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['target']} {node['any'] and node['any'][0]['message']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
