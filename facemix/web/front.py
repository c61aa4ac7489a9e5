"""The front before replicas of the application: reads a request whole, has it answered, and repeats it once when the
replica that held it is lost.

It decodes nothing and knows nothing of models; what carries a request to a replica is given to it (`ray_engine.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from facemix.errors import DeadlineExceeded, EngineFailed, FacemixError, InstallationError
from facemix.settings import Settings
from facemix.web import pages
from facemix.web.accounts import Accounts
from facemix.web.app import respond
from facemix.web.governed import Governed
from facemix.web.limits import Buffered
from facemix.web.middleware import is_head
from facemix.web.problems import request_id
from facemix.web.schemas_health import Health
from facemix.web.stack import surround
from facemix.web.state import MixerLike, ServerState
from facemix.web.stores import Stores
from facemix.web.sweeping import sweeping, sweeps_of
from facemix.web.work import unless_gone

log = logging.getLogger("facemix.web")

# The replica's own refusal of what waited too long comes first.
GRACE_SECONDS = 5.0
RETRY_AFTER_SECONDS = 2
# What a replica may have done already and may be done again: these leave nothing behind but their answer.
_REPEATABLE_POSTS = frozenset(
    ("/", "/api/v1/mix", "/api/v1/strip", "/api/v1/grids", "/api/v1/explain", "/api/v1/prompts", "/api/v1/faces")
)
_REPEATABLE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_OURS = frozenset((b"x-request-id", b"idempotency-key"))  # headers that the front sees to
_CARRIED = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path")


class Answer(NamedTuple):
    """A whole answer, header names in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class ReplicaLost(Exception):
    """The replica that held a request is gone, or what connects to it; it may or may not have done the work."""


Ask = Callable[[dict[str, Any], bytes], Awaitable[Answer]]


class Front:
    """An ASGI application that hands every request to `ask` with an ASGI scope that can be pickled, and its body.

    `ask` raises `ReplicaLost`, or a `FacemixError`, which is answered as it is.
    """

    def __init__(self, ask: Ask, *, patience: float) -> None:
        """patience: seconds in which `ask` has to answer, a repetition included."""
        self.ask, self.patience = ask, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        answer = await unless_gone(Request(scope, receive), self._answer(request, body))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, request: Request, body: bytes) -> Answer:
        scope = _carried(request.scope, request_id(request))
        try:
            async with asyncio.timeout(self.patience):
                try:
                    return await self._asked(request, scope, body)
                except ReplicaLost as error:
                    log.warning("a replica was lost with a request (%s)", error)
                    if not _repeatable(scope):
                        raise
                return await self._asked(request, scope, body)
        except ReplicaLost as error:
            raise EngineFailed(
                "the replica stopped while working on this",
                hint=f"try again in {RETRY_AFTER_SECONDS} seconds",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"no replica answered within {self.patience:g} seconds",
                hint="try again later",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error

    async def _asked(self, request: Request, scope: dict[str, Any], body: bytes) -> Answer:
        request.state.accounted = True  # in the ledger, by the replica, even when nobody waits for it any more
        try:
            return await self.ask(scope, body)
        except Exception:  # it reached no replica, or one that is gone
            request.state.accounted = False
            raise


def create_front(
    settings: Settings,
    ask: Ask,
    accounts: Accounts | None = None,
    stores: Stores | None = None,
    governed: Governed | None = None,
) -> Starlette:
    """`Front` behind the same middleware as the application: what is refused here looks as if that had refused it.

    ``/healthz`` is this process's own and says that it lives; ``/readyz`` is a replica's.

    Args:
        accounts: the keys, for their rates, and the ledger, for what is refused here; closed when the front ends.
        stores: its shelf holds the answers that may be asked for again; by default one in memory. They are looked up
            here, so that a request whose replica died is repeated under the claim of its key.
        governed: knows who is signed in.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with sweeping(sweeps_of(state.stores, None, 0)):
            yield
        if accounts is not None:
            await to_thread.run_sync(accounts.close)

    front = Front(ask, patience=settings.deadline_seconds + GRACE_SECONDS)
    app = Starlette(
        routes=[Route("/healthz", _healthz), Mount("", app=front)],
        exception_handlers={FacemixError: _refused},
        lifespan=lifespan,
    )
    state = app.state.facemix = ServerState(settings, _no_mixer, stores=stores)
    app.state.templates = pages.environment()
    surround(
        app,
        settings,
        respond,
        accounts=accounts,
        buffered=Buffered(settings.max_buffered_bytes),
        shelf=state.stores.shelf,
        governed=governed,
    )
    return app


async def answer_of(app: ASGIApp, scope: dict[str, Any], body: bytes) -> Answer:
    """What `app` answers to a request that is there as a whole. For the other end, in the replica."""
    given = False
    status, headers, parts = 500, [], []

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:  # the client's departure arrives as a cancellation
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.append(message.get("body", b""))

    await app({**scope, "asgi": {"version": "3.0", "spec_version": "2.3"}}, receive, send)
    return Answer(status, headers, b"".join(parts))


def _carried(scope: Scope, identity: str) -> dict[str, Any]:
    headers = [(name, value) for name, value in scope["headers"] if name not in _OURS]
    carried: dict[str, Any] = {name: scope[name] for name in _CARRIED if name in scope}
    if is_head(scope):
        carried["method"] = "HEAD"  # some answers are changed by being fetched
    carried["headers"] = [*headers, (b"x-request-id", identity.encode())]
    for name in ("client", "server"):
        carried[name] = None if scope.get(name) is None else tuple(scope[name])
    return carried


def _repeatable(scope: dict[str, Any]) -> bool:
    if scope["method"] in _REPEATABLE_METHODS:
        return True
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] == "POST" and path in _REPEATABLE_POSTS


async def _healthz(request: Request) -> Response:
    return Response(Health(status="ok").model_dump_json().encode(), media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, FacemixError)
    return respond(request, error)


def _no_mixer(*_: object) -> MixerLike:
    raise InstallationError("the front has no model of its own", hint="ask a replica")
