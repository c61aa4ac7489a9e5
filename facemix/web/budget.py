"""Refuses work that nobody may pay for any more, before its body is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from facemix.web.rates import Sender

# Addresses of the interface whose POST is no work: to read words, to say what is wrong, to ask what a file is.
_FREE = ("/api/v1/prompts", "/api/v1/verify", "/api/v1/reports", "/api/v1/reviews")
_SAMPLES = "/api/v1/samples/"


class BudgetMiddleware:
    """Stands inside of what finds out whose key a request bears, and outside of what reads its body.

    Args:
        check: takes whose key it is, None without one, and raises the refusal.
    """

    def __init__(self, app: ASGIApp, check: Callable[[Sender | None], Awaitable[None]]) -> None:
        self.app = app
        self.check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and costs(scope):
            await self.check(scope.get("state", {}).get("sender"))
        await self.app(scope, receive, send)


def costs(scope: Scope) -> bool:
    """Whether a request asks for work: every POST of the interface and of the page's form but a few, and sample faces.
    What was made before can be fetched, listed and deleted, whatever is spent."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if scope["method"] == "POST":
        return path == "/" or (path.startswith("/api/") and not path.startswith(_FREE))
    return scope["method"] in ("GET", "HEAD") and path.startswith(_SAMPLES)
