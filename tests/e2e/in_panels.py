"""What the tests of the panels share: opening one, and what is sent from it."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
from browsing import mix_samples, rested, until
from PIL import Image


def show(page, name: str) -> None:
    """Opens a panel."""
    page.click(f"#tab-{name}")


def studio(visit, *samples: int, panel: str, **options):
    """The studio with sample faces and a panel open."""
    page = visit(**options)
    mix_samples(page, *samples)
    rested(page)
    show(page, panel)
    return page


def asks(page, path: str = "mix"):
    """The next POST request to an endpoint, once the block is left."""
    return page.expect_request(lambda request: request.url.endswith(f"/api/v1/{path}") and request.method == "POST")


def own_picture(page) -> None:
    """Leaves the photographs' detail out: every picture is the model's own then."""
    show(page, "adjust")
    page.fill("#detail-slider", "0")
    until(page, "document.getElementById('drawn-as').textContent === \"The model's own picture\"")


def body_of(request) -> dict:
    return json.loads(request.post_data)


def pixels(content: bytes) -> np.ndarray:
    """Of a file, (H, W, 3) uint8 RGB."""
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def mixed_by(client, body: dict) -> np.ndarray:
    """What the endpoint draws."""
    answer = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.text
    return pixels(answer.content)


def slide(page, selector: str, key: str, times: int = 1) -> None:
    """Moves a slider with the keyboard."""
    page.focus(selector)
    for _ in range(times):
        page.keyboard.press(key)


def sources(page, images: str) -> list[str]:
    """The addresses of some pictures."""
    return page.locator(images).evaluate_all("images => images.map(({ src }) => src)")


def same_pixels(first: np.ndarray, second: np.ndarray, most: int = 1) -> None:
    """Fails unless two pictures are one but for rounding: frames of another batch may differ by a grey level."""
    assert first.shape == second.shape
    assert np.abs(first.astype(int) - second).max() <= most
