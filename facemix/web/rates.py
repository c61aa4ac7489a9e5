"""How many requests one client may send. Counted per API key, and without one per address.

The counting and the notation (``600/minute``, ``10/second;600/minute``) are the library `limits`'; its fixed
windows need one number per client. Its own memory storage starts a thread for every hundredth of a second in which
it is used and grows without a bound, so the numbers are kept in a storage of this module.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from cachetools import LRUCache
from limits import RateLimitItem, RateLimitItemPerMinute, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from facemix.errors import ConfigError, FacemixError, KeyUnknown, RateLimited
from facemix.web import scopes

MOST_TRACKED = 16_384
_LONGEST_SECRET = 512
_PROVEN = 1024  # secrets remembered as a key's
_IPV6_NETWORK = 64  # bits: what one customer of a provider is given

Group = Literal["work", "samples", "saves", "unknown keys"]


@dataclass(frozen=True)
class Sender:
    """Whose key it is, and what it may do.

    Attributes:
        name: of the key.
        per_minute: requests for work in a minute; None means as many as any key.
        scopes: what it is good for (`web/scopes.py`); None means everything.
        budget_day, budget_month: what its requests may cost, in the currency of the price table; None means no limit.
    """

    name: str
    per_minute: int | None = None
    scopes: frozenset[str] | None = None
    budget_day: float | None = None
    budget_month: float | None = None


Resolve = Callable[[str], Awaitable[Sender | None]]


def network(address: str) -> str:
    """What stands for one client: an IPv4 address, the /64 of an IPv6 address; ``unknown`` for anything else."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))


def client_network(scope: Scope) -> str:
    """`network` of whoever sent a request."""
    client = scope.get("client")
    return network(client[0]) if client else "unknown"


@dataclass(frozen=True)
class Rates:
    """What a client may send, in the notation of `limits`; ``none`` sets no limit.

    address: requests for work (a mix, a strip, a look at a photo) of one address; also secrets that no key has.
    key: the same of one API key.
    samples: sample faces and whatever else costs little, of either; the page asks for a dozen at once.
    saves: recipes to be saved, of either: they stay on the disk.
    """

    address: str = "600/minute"
    key: str = "3000/minute"
    samples: str = "1800/minute"
    saves: str = "120/hour"


class BoundedStorage(Storage):
    """Counters in memory, at most `most` of them. Not for several threads; needs none."""

    STORAGE_SCHEME = None  # not reachable by a URL

    def __init__(self, most: int = MOST_TRACKED, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.most, self.clock = most, clock
        self.counters: dict[str, tuple[int, float]] = {}  # count, when the window ends
        self._swept = -math.inf

    def has_room_for(self, key: str) -> bool:
        """Whether `key` is counted already, or can be. Looks for counters that have run out, once a second."""
        if key in self.counters or len(self.counters) < self.most:
            return True
        now = self.clock()
        if abs(now - self._swept) >= 1:
            self._swept = now
            self.counters = {name: kept for name, kept in self.counters.items() if kept[1] > now}
        return len(self.counters) < self.most

    @property
    def base_exceptions(self) -> type[Exception]:
        return KeyError

    def _living(self, key: str) -> tuple[int, float] | None:
        kept = self.counters.get(key)
        return kept if kept is not None and kept[1] > self.clock() else None

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        count, ends = self._living(key) or (0, self.clock() + expiry)
        self.counters[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        return (self._living(key) or (0, 0.0))[0]

    def get_expiry(self, key: str) -> float:
        return (self._living(key) or (0, self.clock()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self.counters)
        self.counters.clear()
        return count

    def clear(self, key: str) -> None:
        self.counters.pop(key, None)


class RateLimits:
    """Counts requests and says who has to wait."""

    def __init__(self, rates: Rates, *, most: int = MOST_TRACKED, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `ConfigError` for a rate that cannot be read."""
        self.items = {name: parse_rate(name, getattr(rates, name)) for name in ("address", "key", "samples", "saves")}
        self.storage = BoundedStorage(most, clock)
        self.limiter = FixedWindowRateLimiter(self.storage)

    def hit(
        self, group: Group, client: str, *, keyed: bool, own: int | None = None, count: bool = True
    ) -> RateLimited | None:
        """Counts one request.

        Args:
            group: what is asked for, or that the secret which came along is no key's.
            client: name of the API key, or the network of the address.
            keyed: whether `client` is a key. When too many addresses are counted already, further ones share one
                counter; a key never does.
            own: requests for work per minute of this key, in the place of those of any key.
            count: False only looks whether one more would be refused.

        Returns:
            The refusal, or None. Its `details` hold `retry_after`, the seconds until the window ends.
        """
        kind = "key" if keyed else "address"
        wait, exceeded = 0, ""
        items = self.items[group if group in ("samples", "saves") else kind]
        if own is not None and group == "work":
            items = [RateLimitItemPerMinute(own)]
        for item in items:
            who = (group, kind, client)
            if not keyed and not self.storage.has_room_for(item.key_for(*who)):
                who = (group, kind, "others")
            if not (self.limiter.hit if count else self.limiter.test)(item, *who):
                ends = self.limiter.get_window_stats(item, *who).reset_time
                seconds = max(1, math.ceil(ends - self.storage.clock()))
                if seconds > wait:
                    wait, exceeded = seconds, str(item)
        if not wait:
            return None
        return RateLimited(
            f"this {kind} sent more {'unknown keys' if group == 'unknown keys' else 'requests'} than {exceeded}",
            hint=f"try again in {wait} seconds",
            retry_after=wait,
        )


def parse_rate(name: str, rate: str) -> list[RateLimitItem]:
    """A rate in the notation of `limits`; none of them for ``none``. Raises `ConfigError`, which calls it `name`."""
    if rate.strip().lower() in ("", "none"):
        return []
    try:
        return parse_many(rate)
    except ValueError:
        raise ConfigError(
            f"the rate for {name} is {rate!r}",
            hint="write it as 600/minute or 10/second;600/minute, or none for no limit",
        ) from None


class RateLimitMiddleware:
    """Refuses clients that ask too often, and keys that are not good for what they ask, before their body is read.

    Every POST to a page counts, every request to the interface and every look behind a link; health checks, metrics
    and static files never do. The name of a valid key is left in ``scope["state"]["api_key"]``, all that is known of it
    in ``scope["state"]["sender"]``.

    Args:
        limits: the counters.
        respond: renders a refusal.
        resolve: says whose key has the secret after ``Authorization: Bearer``, None for one that is not known.
            Without it the header is not looked at. A secret that is not known counts for the address, and from an
            address that has sent too many of them it is asked only about secrets that were a key's before.
        counted: hears the code of every refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: RateLimits,
        respond: Callable[[Request, FacemixError], Response],
        resolve: Resolve | None = None,
        counted: Callable[[str], None] = lambda code: None,
    ) -> None:
        self.app = app
        self.limits, self.respond, self.resolve, self.counted = limits, respond, resolve, counted
        self._proven: LRUCache[str, None] = LRUCache(_PROVEN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        group = group_of(scope) if scope["type"] == "http" else None
        if group is None:
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope, group)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        self.counted(refusal.code)
        response = self.respond(Request(scope, receive), refusal)
        await response(scope, receive, send)

    def _counted(self, group: Group, client: str, *, keyed: bool, own: int | None = None) -> RateLimited | None:
        """Saving is work, and counts as such first."""
        groups: tuple[Group, ...] = ("work", "saves") if group == "saves" else (group,)
        for one in groups:
            if (refusal := self.limits.hit(one, client, keyed=keyed, own=own)) is not None:
                return refusal
        return None

    async def _refusal(self, scope: Scope, group: Group) -> FacemixError | None:
        who = client_network(scope)
        secret = _secret(scope) if self.resolve is not None else None
        if self.resolve is not None and secret:
            if secret not in self._proven and (guessing := self._guessing(who)) is not None:
                return guessing
            sender = await self.resolve(secret)
            if sender is not None:
                self._proven[secret] = None
                scope.setdefault("state", {}).update(api_key=sender.name, sender=sender)
                refused = self._counted(group, sender.name, keyed=True, own=sender.per_minute)
                return refused or scopes.refusal(sender.name, sender.scopes, _path(scope))
            self.limits.hit("unknown keys", who, keyed=False)
        refusal = self._counted(group, who, keyed=False)
        return _unknown_key() if refusal is None and secret is not None else refusal

    def _guessing(self, who: str) -> RateLimited | None:
        return self.limits.hit("unknown keys", who, keyed=False, count=False)


def group_of(scope: Scope) -> Group | None:
    """What a request counts as; None for what is not counted."""
    path, method = _path(scope), scope["method"]
    if method == "POST" and path in ("/api/v1/recipes", "/api/v1/reports", "/report"):
        return "saves"
    if method == "POST" and (path in ("/", "/verify") or path.startswith(("/api/v1/", "/r/", "/held/"))):
        return "work"
    if path.startswith(("/api/v1/", "/r/", "/held/")):
        return "samples"
    return None


def _path(scope: Scope) -> str:
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _secret(scope: Scope) -> str | None:
    """What follows ``Bearer``; None where there is no such header. Other schemes may be a proxy's own."""
    scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    secret = secret.strip()
    return secret if len(secret) <= _LONGEST_SECRET else ""  # which is no key


def _unknown_key() -> KeyUnknown:
    refusal = KeyUnknown(
        "the key in the Authorization header is not known",
        hint="check the key, ask the operator for one, or leave the header out",
    )
    refusal.http_headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # type: ignore[attr-defined]
    return refusal
