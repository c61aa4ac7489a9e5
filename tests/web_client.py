"""An in-process client: the application, its lifespan and an event loop in a thread, no sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO

import httpx
import numpy as np
from anyio import fail_after, sleep, sleep_forever, to_thread
from anyio.from_thread import start_blocking_portal
from fake_mixer import FakeMixer
from PIL import Image

from facemix.settings import Settings
from facemix.web.app import create_app


class AppClient:
    """Blocking requests against the application. `portal` runs coroutines on its event loop."""

    def __init__(self, app, portal) -> None:
        self.app = app
        self.portal = portal

    def request(self, method: str, path: str, **options) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://facemix.test") as client:
                return await client.request(method, path, **options)

        return self.portal.call(send)

    def get(self, path: str, **options) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options) -> httpx.Response:
        return self.request("POST", path, **options)

    def scope(self, method: str, path: str, headers: dict[str, str]) -> dict:
        """What a server tells an application about a request."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("facemix.test", 80),
        }

    def stream_post(self, path: str, headers: dict[str, str], pieces: Iterator[bytes]) -> int:
        """Sends pieces as they come, each taken in a thread, and returns the status."""

        async def speak():
            sent, ended = [], False

            async def receive():
                nonlocal ended
                if ended:
                    await sleep_forever()
                piece = await to_thread.run_sync(next, pieces, None)
                ended = piece is None
                return {"type": "http.request", "body": piece or b"", "more_body": not ended}

            async def send(message):
                sent.append(message)

            await self.app(self.scope("POST", path, headers), receive, send)
            return sent[0]["status"]

        return self.portal.call(speak)

    def raw(self, method: str, path: str, headers: dict[str, str], chunks: list[bytes], hang_up=False):
        """Speaks ASGI itself. Returns (status, headers, body, number of chunks that were taken).

        With `hang_up` the client goes away after the last chunk, with the body unfinished.
        """

        async def speak():
            taken, sent = 0, []

            async def receive():
                nonlocal taken
                if taken == len(chunks):
                    if not hang_up:
                        await sleep_forever()  # it waits for the answer
                    return {"type": "http.disconnect"}
                taken += 1
                return {
                    "type": "http.request",
                    "body": chunks[taken - 1],
                    "more_body": hang_up or taken < len(chunks),
                }

            async def send(message):
                sent.append(message)

            scope = self.scope(method, path, headers)
            await self.app(scope, receive, send)
            if not sent:
                return None, {}, b"", taken
            answer = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
            return sent[0]["status"], answer, b"".join(m.get("body", b"") for m in sent[1:]), taken

        return self.portal.call(speak)


@contextmanager
def running(factory=FakeMixer, *, wait: bool = True, accounts=None, stores=None, governed=None, fleet=None, **settings):
    """The application between start and stop; `wait` until the mixer is there."""
    app = create_app(Settings(**settings), lambda observer: factory(), accounts, stores, governed, fleet)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        stack.enter_context(portal.wrap_async_context_manager(app.router.lifespan_context(app)))
        client = AppClient(app, portal)
        if wait:

            async def loaded():
                with fail_after(60):
                    while app.state.facemix.loaded is None and app.state.facemix.failure is None:
                        await sleep(0.005)

            portal.call(loaded)
        yield client


def picture(colour=(120, 90, 60), size=(80, 60), kind="PNG") -> bytes:
    """A picture of one colour with a bright disc, as a file."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:] = colour
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels[(x - size[0] / 2) ** 2 + (y - size[1] / 2) ** 2 < (size[1] / 4) ** 2] = (230, 200, 170)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


PHOTO = picture()
OTHER = picture((40, 120, 160))
CAT = picture((0, 0, 255))
CROWD = picture((0, 255, 0))
DEFECT = picture((255, 0, 0))
DARK = picture((5, 5, 5), size=(400, 20))


def files(**photos: bytes) -> dict:
    return {name: (f"{name}.png", data, "image/png") for name, data in photos.items()}


def opened(content: bytes) -> np.ndarray:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def problem(response, status: int, code: str, where: str | None = None) -> dict:
    """Asserts that an answer is a complete problem document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["where"] == where
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["hint"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["request_id"] in body["instance"]
    return body
