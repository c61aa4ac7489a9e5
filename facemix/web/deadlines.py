"""How long a request's body may take to arrive.

Only the time that the application spends waiting for the client counts, so a client is never blamed for an
application that is slow to read. Plain ASGI: it holds under every server.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.errors import BodyTimeout

# A photo of 10 MB over a slow mobile line takes about a minute and a half.
BODY_SECONDS = 120.0
GRACE_SECONDS = 10.0
LEAST_BYTES_PER_SECOND = 4096


class BodyDeadlineMiddleware:
    """Gives up bodies that trickle, and bodies that never end.

    A client begins with `grace` seconds; waiting for it uses them up, and every byte earns ``1 / least_rate`` of a
    second, never beyond `grace`. So no stall may be longer than `grace`, and none is forgiven for earlier haste.

    The refusal, `BodyTimeout`, is raised inside the application, where the body is read, so that it is rendered as
    every other error of that address. The answer then closes the connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        total: float = BODY_SECONDS,
        grace: float = GRACE_SECONDS,
        least_rate: int = LEAST_BYTES_PER_SECOND,
    ) -> None:
        self.app = app
        self.total, self.grace, self.least_rate = total, grace, least_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        now = asyncio.get_running_loop().time
        left, credit = self.total, self.grace
        ended = late = False

        async def timed_receive() -> Message:
            nonlocal left, credit, ended, late
            if late:
                return {"type": "http.disconnect"}
            if ended:  # what comes now is the client's departure, and that may take its time
                return await receive()
            began = now()
            try:
                async with asyncio.timeout(min(left, credit)):
                    message = await receive()
            except TimeoutError:
                late = True
                raise self._too_slow(whole=left <= credit) from None
            waited = now() - began
            left -= waited
            ended = not message.get("more_body", False)
            earned = len(message.get("body", b"")) / self.least_rate
            credit = min(self.grace, credit - waited + earned)
            return message

        async def closing_send(message: Message) -> None:
            if late and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, timed_receive, closing_send)

    def _too_slow(self, whole: bool) -> BodyTimeout:
        return BodyTimeout(
            f"the request did not arrive within {self.total:g} seconds"
            if whole
            else f"the request arrives slower than {self.least_rate} bytes per second",
            hint="send smaller files, or use a faster connection",
        )


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
