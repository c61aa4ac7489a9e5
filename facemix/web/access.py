"""Who may ask for work: everybody, or only those who have an API key or are signed in.

By default everybody on the machine itself, and nobody unknown from elsewhere.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from facemix.errors import ConfigError, FacemixError, KeyRequired, SiteForeign
from facemix.settings import Settings
from facemix.web.origins import SESSION_COOKIE, is_foreign, same_origin
from facemix.web.rates import group_of

if TYPE_CHECKING:
    from facemix.governance.sessions import Session
    from facemix.storage.database import Database

log = logging.getLogger("facemix.web")

Find = Callable[[str], Awaitable["Session | None"]]
_BY_LINK = ("/r/", "/held/", "/api/v1/reviews/")
_REPORTS = ("/report", "/api/v1/reports")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False  # a name may stand for anything; empty stands for every address
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def closed(settings: Settings) -> bool:
    """Whether only those with a key or a sign-in may ask for work."""
    return settings.access == "keys" or (settings.access == "auto" and not is_loopback(settings.host))


def behind_ray(settings: Settings) -> Settings:
    """The settings where Ray's own proxies listen, on whatever address its configuration names: not on loopback, for
    all that is known here."""
    return settings.model_copy(update={"access": "keys"}) if settings.access == "auto" else settings


def check_access(settings: Settings, database: Database, *, reachable: bool | None = None) -> None:
    """Before a server listens: nobody is let in unknown, or locked out, by oversight.

    Args:
        database: upgraded.
        reachable: whether other machines reach it; None looks at the address.

    Raises:
        ConfigError: only those with a key or a password may mix, other machines reach it, and there is neither.
        StorageUnavailable: the database refused.
    """
    from facemix.governance.operators import Operators
    from facemix.storage.keys import KeyStore

    reached = not is_loopback(settings.host) if reachable is None else reachable
    if not closed(settings):
        if reached:
            log.warning("FACEMIX_ACCESS=open: whoever reaches %s may mix", settings.host)
        elif settings.public_url or settings.trusted_proxies:
            log.warning("whoever reaches the proxy before %s may mix; FACEMIX_ACCESS=keys asks for keys", settings.host)
        return
    if KeyStore(database).count() or Operators(database).count():
        return
    if reached:
        raise ConfigError(
            f"{settings.host} can be reached by others, and there is neither an API key nor anybody who may sign in",
            hint="make one first: `facemix keys add NAME` or `facemix operators add NAME --role operator`; "
            "or let everybody mix with FACEMIX_ACCESS=open",
        )
    log.warning("nobody can mix yet: make a key with `facemix keys add NAME`")


class AccessMiddleware:
    """Lets requests for work through that have a valid key or come from a browser that is signed in. Stands inside of
    what counts requests, which knows the keys. Pages stay readable.

    Whoever may come in, a page of another site may not start anything through somebody's browser. A valid key makes up
    for that: no browser sends one by itself.

    A cookie counts only in requests that a page of this server has made. The name of who is signed in is left in
    ``scope["state"]["signed_in"]``, for the studio's page too.

    Args:
        find: the session of a cookie. None where there are none.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        respond: Callable[[Request, FacemixError], Response],
        find: Find | None = None,
    ) -> None:
        self.app = app
        self.settings, self.respond, self.find = settings, respond, find
        self.closed = closed(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal: FacemixError | None = await self._shut_out(scope) if self.closed else None
        if refusal is None and "api_key" not in scope.get("state", {}):
            refusal = _foreign() if is_foreign(HTTPConnection(scope), self.settings) else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await self.respond(Request(scope, receive), refusal)(scope, receive, send)

    async def _shut_out(self, scope: Scope) -> KeyRequired | None:
        """The refusal of whoever has neither a key nor a sign-in, where either is needed."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        wanted = is_guarded(scope)
        if (wanted or path == "/") and "api_key" not in scope.setdefault("state", {}):
            name = await self._signed_in(scope)
            if name is not None:
                scope["state"]["signed_in"] = name
            elif wanted:
                return _key_required()
        return None

    async def _signed_in(self, scope: Scope) -> str | None:
        connection = HTTPConnection(scope)
        token = connection.cookies.get(SESSION_COOKIE)
        if self.find is None or not token or not same_origin(connection, self.settings):
            return None
        session = await self.find(token)
        return None if session is None else session.operator


def shut_out(request: Request, settings: Settings) -> bool:
    """Whether whoever looks at the studio would have to sign in to mix."""
    state = request.scope.get("state", {})
    return closed(settings) and "signed_in" not in state and "api_key" not in state


def is_guarded(scope: Scope) -> bool:
    """Whether a request needs a key or a sign-in where access is closed: whatever counts as work, and everything of
    the interface. What a link to a saved face opens does not: whoever was given the link may look, and report it; nor
    does what waits for a reviewer, which has a link of its own."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if path.startswith(_BY_LINK) or path in _REPORTS or _is_picture(path, scope["method"]):
        return False
    return group_of(scope) is not None


def _is_picture(path: str, method: str) -> bool:
    """The picture that the page behind a link shows."""
    parts = path.split("/")
    return method in ("GET", "HEAD") and parts[:4] == ["", "api", "v1", "recipes"] and parts[5:] == ["picture"]


def _foreign() -> SiteForeign:
    return SiteForeign(
        "a page of another site has sent this",
        hint="use the pages of this server; behind a proxy set FACEMIX_PUBLIC_URL to the address that browsers see",
    )


def _key_required() -> KeyRequired:
    return KeyRequired(
        "this server answers only those who have an API key or are signed in",
        hint="send a key as `Authorization: Bearer`, or sign in at /console/sign-in",
    )
