"""What surrounds every request. Plain ASGI: nothing here buffers a body or starts a task.

From the outside in, those of other modules in brackets: request id, (traces, metrics, ledger,) security headers, HEAD,
the catch for defects, (rates, the deadline on bodies,) the cap on bodies(, idempotency).
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.errors import BodyTooLarge, FacemixError
from facemix.web import logs
from facemix.web.limits import Buffered
from facemix.web.problems import internal_error
from facemix.web.rates import client_network
from facemix.web.routes import CLIENT_LEFT, loggable_path

log = logging.getLogger("facemix.web")

_HEAD = "head"  # in a scope's state
_WELL_FORMED_ID = re.compile(r"^[A-Za-z0-9._-]{1,128}\Z")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Without a referrer a browser says nothing of where a form comes from, either, which is looked at where somebody is
# signed in.
CONSOLE_HEADERS = SECURITY_HEADERS | {"Referrer-Policy": "same-origin"}
# The one page that can take a photo. The browser asks the person before it gives the camera.
STUDIO_HEADERS = CONSOLE_HEADERS | {
    "Permissions-Policy": SECURITY_HEADERS["Permissions-Policy"].replace("camera=()", "camera=(self)")
}


class RequestIdMiddleware:
    """Takes over a well-formed ``X-Request-Id`` or makes one; it stands in the answer, and in every record that is
    logged while the request is worked on. One of them is the line of the access log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if _WELL_FORMED_ID.match(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = identity
        token = logs.request_id.set(identity)
        started, status = time.perf_counter(), CLIENT_LEFT

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = identity
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            status = 500  # whatever was begun, the connection is cut
            raise
        finally:
            logs.log_answer(scope, status, time.perf_counter() - started)
            logs.request_id.reset(token)


class SecurityHeadersMiddleware:
    """Puts the security headers on every answer, and keeps answers out of caches by default."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Files of the page may be kept but are asked for again; anything else may show somebody's face.
        fallback = "no-cache" if scope["path"].startswith("/static/") else "no-store"
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        chosen = STUDIO_HEADERS if path == "/" else CONSOLE_HEADERS if _of_console(path) else SECURITY_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in chosen.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", fallback)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _of_console(path: str) -> bool:
    return path == "/console" or path.startswith("/console/")


def is_head(scope: Scope) -> bool:
    """Whether a request came as HEAD, and its answer's body goes nowhere."""
    return scope["method"] == "HEAD" or _HEAD in scope.get("state", {})


class HeadMiddleware:
    """Answers HEAD as GET without the body, for every address that has a GET. Where it matters whether anybody gets
    the body, `is_head` tells the one from the other."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            scope["method"] = "HEAD"  # a server that reads it here expects the bytes that the length announces of a GET
            try:
                await send(message)
            finally:
                scope["method"] = "GET"

        scope.setdefault("state", {})[_HEAD] = True
        scope["method"] = "GET"  # in place: the route that is found is for those outside to see
        try:
            await self.app(scope, receive, send_without_body)
        finally:
            scope["method"] = "HEAD"


class CatchMiddleware:
    """Turns whatever nobody expected into an answer that says nothing of it, and a log line that does.

    Starlette's own place for this lies outside all other middleware, where the request id and the security
    headers are out of reach.
    """

    def __init__(self, app: ASGIApp, respond: Callable[[Request, FacemixError], Response]) -> None:
        self.app = app
        self.respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except FacemixError as error:  # raised before the application, by what stands between
            if started:
                raise
            await self.respond(Request(scope, receive), error)(scope, receive, send)
        except ClientDisconnect:
            log.info("request %s: the client went away", scope["state"]["request_id"])
        except Exception:
            identity, path = scope["state"]["request_id"], loggable_path(scope)
            log.exception("request %s: %s %s failed", identity, scope["method"], path)
            if started:
                raise  # half an answer is out; only closing the connection tells the client
            response = self.respond(Request(scope, receive), internal_error())
            await response(scope, receive, send)


class BodyLimitMiddleware:
    """Refuses bodies beyond a cap: by their declared length before a byte is read, and while they arrive. What is in
    memory of all bodies together, and of those of one address, is bounded, too, until they are answered.

    The refusal is raised inside the application, where the endpoint is read, so that it is rendered as
    every other error of that address.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, buffered: Buffered) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.buffered = buffered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        announced = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 19 else None
        if declared and announced is None:
            announced = self.max_bytes + 1  # not a length at all, or one beyond any limit
        arrived, who = 0, client_network(scope)

        def too_large(size: str) -> BodyTooLarge:
            return BodyTooLarge(
                f"the request body is {size}; at most {self.max_bytes} bytes are taken",
                hint="send smaller files, or fewer of them; photos need not be larger than a few megapixels",
                max_bytes=self.max_bytes,
            )

        async def limited_receive() -> Message:
            nonlocal arrived
            if announced is not None and announced > self.max_bytes:
                raise too_large(f"{declared[:20]} bytes long")
            message = await receive()
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                if arrived + size > self.max_bytes:
                    raise too_large(f"longer than {self.max_bytes} bytes")
                self.buffered.take(size, who, least_share=self.max_bytes)
                arrived += size
            return message

        try:
            await self.app(scope, limited_receive, send)
        finally:
            self.buffered.give_back(arrived, who)
