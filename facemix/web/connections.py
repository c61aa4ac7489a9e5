"""What the connections of one server may take, and what they share."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from facemix.errors import ConfigError, FacemixError, TooManyConnections
from facemix.web.problems import PROBLEM_MEDIA_TYPE
from facemix.web.rates import network
from facemix.web.schemas_parts import Problem

RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True)
class ConnectionLimits:
    """What one connection may take. Seconds, bytes; `connections` and `per_address`: 0 sets no cap.

    header_seconds: from the opening, or from the first byte of a later request, to the header's end.
    header_bytes, header_fields: size and number of fields of a request's header.
    write_seconds: in this time a client that is behind in reading must take `least_rate` bytes a second.
    linger_seconds, linger_bytes: how much of a refused body is thrown away before the connection is cut.
    pipelined: requests that may wait behind the one that is being answered.
    connections, per_address: open connections, in all and of one address (of one /64 with IPv6).
    """

    header_seconds: float = 10.0
    header_bytes: int = 32 * 1024
    header_fields: int = 100
    write_seconds: float = 30.0
    least_rate: int = 4096
    linger_seconds: float = 15.0
    linger_bytes: int = 64 * 1024 * 1024
    pipelined: int = 8
    connections: int = 512
    per_address: int = 64


class Connections:
    """What the connections of one server share."""

    def __init__(
        self,
        limits: ConnectionLimits,
        *,
        proxies: Sequence[str] = (),
        counted: Callable[[str], None] = lambda code: None,
    ) -> None:
        """Counts from zero.

        Args:
            proxies: addresses and networks that many clients share, so that the cap of one address is not theirs.
            counted: hears the code of every refusal that the application does not see.

        Raises:
            ConfigError: one of `proxies` is no address.
        """
        self.limits, self.counted = limits, counted
        self.proxies = [_parse(proxy) for proxy in proxies]
        self.stopping = False
        self.turned_away = 0
        self.of_address: dict[str, int] = {}
        self.full = raw_answer(
            TooManyConnections(
                "the server has as many open connections as it takes, in all or from this address",
                hint=f"close some, or try again in {RETRY_AFTER_SECONDS} seconds",
            ),
            headers=[(b"retry-after", str(RETRY_AFTER_SECONDS).encode())],
        )

    def enter(self, address: str) -> None:
        self.of_address[address] = self.of_address.get(address, 0) + 1

    def leave(self, address: str) -> None:
        self.of_address[address] -= 1
        if not self.of_address[address]:
            del self.of_address[address]

    def full_for(self, host: str, open_now: int) -> bool:
        """Whether a further connection from the address `host` is one too many."""
        limits = self.limits
        if limits.connections and open_now >= limits.connections:
            return True
        if not limits.per_address or self.of_address.get(network(host), 0) < limits.per_address:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return True
        return not any(address in proxy for proxy in self.proxies)


def _parse(proxy: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        raise ConfigError(
            f"{proxy!r} is no address of a proxy", hint="write an IP address, or a network as 10.0.0.0/8"
        ) from None


def raw_answer(error: FacemixError, headers: list[tuple[bytes, bytes]] | None = None) -> bytes:
    """A problem document as bytes on the wire, for clients that the application never meets."""
    document = Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        instance="urn:facemix:request:unknown",
        code=error.code,
        hint=error.hint,
        request_id="unknown",
        where=None,
        details=error.details,
    )
    body = json.dumps(document.model_dump(mode="json")).encode()
    start = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n".encode()
    fields = [
        *(headers or []),
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    return b"".join([start, *(b"%b: %b\r\n" % field for field in fields), b"\r\n", body])
