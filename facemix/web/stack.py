"""What surrounds every request, of the application and of the front before its replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from facemix.errors import FacemixError
from facemix.settings import Settings
from facemix.web.accounts import Accounts, LedgerMiddleware
from facemix.web.deadlines import BodyDeadlineMiddleware
from facemix.web.limits import Buffered
from facemix.web.middleware import (
    BodyLimitMiddleware,
    CatchMiddleware,
    HeadMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
)
from facemix.web.rates import RateLimitMiddleware, RateLimits, Rates


def surround(
    app: Starlette,
    settings: Settings,
    respond: Callable[[Request, FacemixError], Response],
    *,
    accounts: Accounts | None,
    buffered: Buffered,
    observing: Sequence[Middleware] = (),
) -> None:
    """Adds the middleware.

    Args:
        respond: renders a refusal.
        accounts: the ledger and the keys.
        buffered: counts the bodies in memory.
        observing: stands between the request id and the ledger, the outermost first.
    """
    # The one added last is the outermost.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, buffered=buffered)
    app.add_middleware(BodyDeadlineMiddleware)
    app.add_middleware(
        RateLimitMiddleware,
        limits=RateLimits(Rates(settings.rate_per_address, settings.rate_per_key, settings.rate_samples)),
        respond=respond,
        resolve=None if accounts is None else accounts.sender_of,
    )
    app.add_middleware(CatchMiddleware, respond=respond)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    if accounts is not None:
        app.add_middleware(LedgerMiddleware, add=accounts.add)
    for one in reversed(observing):
        app.add_middleware(one.cls, *one.args, **one.kwargs)
    app.add_middleware(RequestIdMiddleware)
