"""What surrounds every request, of the application and of the front before its replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from facemix.errors import FacemixError
from facemix.settings import Settings
from facemix.web.access import AccessMiddleware
from facemix.web.accounts import Accounts, LedgerMiddleware
from facemix.web.budget import BudgetMiddleware
from facemix.web.deadlines import BODY_SECONDS, BodyDeadlineMiddleware
from facemix.web.governed import Governed
from facemix.web.idempotency import DAY, FACES, PATHS, IdempotencyMiddleware
from facemix.web.limits import Buffered
from facemix.web.middleware import (
    BodyLimitMiddleware,
    CatchMiddleware,
    HeadMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
)
from facemix.web.rates import RateLimitMiddleware, RateLimits, Rates
from facemix.web.shelf import AsyncShelf

# A request is read for at most so long, then waits for the model, then is written and kept.
LEASE_SPARE_SECONDS = 60.0


def surround(
    app: Starlette,
    settings: Settings,
    respond: Callable[[Request, FacemixError], Response],
    *,
    accounts: Accounts | None,
    buffered: Buffered,
    shelf: AsyncShelf,
    observing: Sequence[Middleware] = (),
    governed: Governed | None = None,
) -> None:
    """Adds the middleware.

    Args:
        respond: renders a refusal.
        accounts: the ledger and the keys.
        buffered: counts the bodies in memory.
        shelf: where answers are kept that may be asked for again.
        observing: stands between the request id and the ledger, the outermost first.
        governed: knows who is signed in.
    """
    # The one added last is the outermost. Idempotency stands inside of rates, because a repeated request counts as any
    # other, and it has to know whose key it is; and inside of what bounds a body, which it reads.
    app.add_middleware(
        IdempotencyMiddleware,
        shelf=shelf,
        paths=_repeatable(settings),
        lease=BODY_SECONDS + settings.deadline_seconds + LEASE_SPARE_SECONDS,
    )
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, buffered=buffered)
    app.add_middleware(BodyDeadlineMiddleware)
    if accounts is not None:
        app.add_middleware(BudgetMiddleware, check=accounts.check_budget)
    app.add_middleware(
        AccessMiddleware, settings=settings, respond=respond, find=None if governed is None else governed.session
    )
    app.add_middleware(
        RateLimitMiddleware,
        limits=RateLimits(
            Rates(settings.rate_per_address, settings.rate_per_key, settings.rate_samples, settings.rate_saves)
        ),
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


def _repeatable(settings: Settings) -> dict[str, float]:
    """For how many seconds an answer may be asked for again: a day, but that about faces for no longer than they are
    kept, because it shows them."""
    return {**dict.fromkeys(PATHS, DAY), FACES: min(DAY, settings.face_seconds)}
