"""Which model a request asks for, and whom it comes from as far as shares of the clients go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from facemix.errors import RequestInvalid
from facemix.web.rates import client_network

HEADER, PARAMETER = "x-facemix-use-model", "model"
PATTERN = "^[a-z0-9][a-z0-9._-]{0,63}(@[0-9a-f]{4,64})?$"
_NAME = re.compile(PATTERN.removesuffix("$") + r"\Z")  # the end of a line is not the end

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """What a request says of the model that is to answer it.

    Attributes:
        name: a live model's name, or name and hash of one version; None leaves it to the server.
        client: the API key's name or the address's network: the same client stays with the same model.
    """

    name: str | None = None
    client: str = ""


ANY = Choice()


def choice_of(request: Request) -> Choice:
    """Raises `RequestInvalid` for what can name no model, or two different ones."""
    named = {
        where: found
        for where, found in (
            (HEADER, request.headers.getlist(HEADER)),
            (PARAMETER, request.query_params.getlist(PARAMETER)),
        )
        if found
    }
    names = {name for found in named.values() for name in found}
    if len(names) > 1:
        raise RequestInvalid(f"{len(names)} different models are asked for", hint="name one", where=next(iter(named)))
    name = next(iter(names), None)
    if name is not None and not _NAME.match(name):
        raise RequestInvalid(
            f"{name[:80]!r} can be no model",
            hint="write its name, or name and hash as in facemix-128@3f0c1b7a9d2e",
            where=next(iter(named)),
        )
    key = request.scope.get("state", {}).get("api_key")
    return Choice(name, f"key {key}" if key is not None else client_network(request.scope))


def shared_out(client: str, candidates: Sequence[tuple[str, float, T]]) -> T | None:
    """The candidate that answers a client; None leaves it to the default.

    Args:
        candidates: of each a key, its share of all clients, and itself. Together their shares are at most 1.
    """
    left = 1.0
    for key, share, candidate in candidates:
        if left > 0 and _place(client, key) < share / left:
            return candidate
        left -= share
    return None


def _place(client: str, key: str) -> float:
    """Where a client stands between 0 and 1, evenly spread and the same each time; for every key another place, so that
    it is not always the same clients who meet what is new."""
    digest = hashlib.sha256(f"{key}\n{client}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
