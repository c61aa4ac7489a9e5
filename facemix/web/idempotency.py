"""Requests that may be sent again: with an ``Idempotency-Key`` the work is done once, and its answer given again.

After draft-ietf-httpapi-idempotency-key-header. The key is claimed on the shelf before the work begins; the answer
takes the claim's place. Nothing of the request is kept, and of the answer nothing that can be read without the request.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from anyio import CancelScope, move_on_after
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    RecordMissing,
    RequestInvalid,
    StorageUnavailable,
)
from facemix.web.choosing import HEADER as USE_MODEL
from facemix.web.fingerprint import BodyHash
from facemix.web.rates import client_network
from facemix.web.sealed_answers import Seal, packed, send_again
from facemix.web.shelf import AsyncShelf

log = logging.getLogger("facemix.web")

HEADER = "Idempotency-Key"
DAY = 24 * 3600.0
FACES = "/api/v1/faces"
PATHS = (FACES, "/api/v1/recipes", "/api/v1/animations", "/api/v1/batches")  # what makes or keeps something
MOST_ANSWER_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 1
KIND = "answer"
_KEY = re.compile(r"[\x20-\x7e]{1,200}\Z")
_TRIES = 3
_LAST_SECONDS = 5.0


@dataclass(frozen=True)
class _Claim:
    """A request's hold of its key. `note` is what stands on the shelf while it is worked on.

    Attributes:
        identity: the key's id on the shelf: who asks, what for, and the key, hashed together.
        secret: the same, for what is sealed; stored nowhere, and not to be had from `identity`.
    """

    identity: str
    secret: bytes
    owner: str | None
    note: str


class IdempotencyMiddleware:
    """Answers a repeated POST with the first one's answer.

    A key belongs to an API key, or to the network of an address, and to one path. The first answer below 500 is kept
    if it has at most a mebibyte and the whole body had arrived by then. A request that fails, whose client leaves
    before there is an answer, or whose result waits for a reviewer, frees its key.

    The same key with another body is refused, and so is one whose first request is still worked on. A key whose claim
    has run out, because the process that held it died, is free again.

    What is kept can be read by nobody who has only the shelf, see `sealed_answers.py`.

    Args:
        shelf: where claims and answers are kept.
        paths: where the header counts, and for how many seconds an answer is kept.
        lease: seconds after which a claim without an answer counts as abandoned; longer than any request takes.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        shelf: AsyncShelf,
        paths: Mapping[str, float],
        lease: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._shelf, self._paths, self._lease, self._clock = shelf, paths, lease, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if path not in self._paths or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist(HEADER)
        if not given:
            await self.app(scope, receive, send)
            return
        scope["endpoint"] = self  # what is answered here is named by its path in log, metrics and ledger
        claim = self._claim_of(scope, path, _checked(given))
        if await self._take(claim, self._paths[path]):
            await self._first(claim, scope, receive, send)
        else:
            await self._again(claim, scope, receive, send)

    def _claim_of(self, scope: Scope, path: str, key: str) -> _Claim:
        owner = scope.get("state", {}).get("api_key")
        who = ["key", owner] if owner is not None else ["network", client_network(scope)]
        whole = json.dumps([*who, scope["method"], path, key]).encode()
        until = self._clock() + self._lease
        return _Claim(
            identity=hashlib.sha256(b"identity" + whole).hexdigest(),
            secret=hashlib.sha256(b"secret" + whole).digest(),
            owner=owner,
            note=json.dumps({"claim": secrets.token_hex(8), "until": until}),
        )

    async def _take(self, claim: _Claim, seconds: float) -> bool:
        """Whether the key is this request's; False where there is an answer.

        Raises:
            IdempotencyInFlight: it is another's that is still worked on.
            StorageFull, StorageUnavailable: the shelf refuses.
        """
        for _ in range(_TRIES):
            taken = await self._shelf.put_new(
                KIND, claim.identity, b"", owner=claim.owner, seconds=max(seconds, self._lease), note=claim.note
            )
            if taken is not None:
                return True
            try:
                note = (await self._shelf.get(KIND, claim.identity, owner=claim.owner)).note
                known = json.loads(note)
                if "until" not in known:
                    return False
                if known["until"] > self._clock():
                    break
                if await self._shelf.update(KIND, claim.identity, owner=claim.owner, note=claim.note, was=note):
                    return True
            except RecordMissing:
                pass  # it was freed a moment ago
        raise _in_flight()

    async def _first(self, claim: _Claim, scope: Scope, receive: Receive, send: Send) -> None:
        """Has the request worked on, and keeps the answer before the client has all of it."""
        body = _hash_of(scope)
        arrived = not _has_body(scope)
        settled = False
        start: Message = {}
        content = bytearray()

        async def hashed_receive() -> Message:
            nonlocal arrived
            message = await receive()
            if message["type"] == "http.request":
                body.update(message.get("body", b""))
                arrived = arrived or not message.get("more_body", False)
            return message

        async def recorded_send(message: Message) -> None:
            nonlocal start, settled
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body" and not settled:
                content.extend(message.get("body", b""))
                keep = arrived and start["status"] < 500 and len(content) <= MOST_ANSWER_BYTES and not _is_held(scope)
                if not keep or not message.get("more_body", False):
                    settled = True
                    await self._settle(claim, scope, start, bytes(content) if keep else None, body)
                    content.clear()
            await send(message)

        try:
            await self.app(scope, hashed_receive, recorded_send)
        finally:
            if not settled:
                with CancelScope(shield=True), move_on_after(_LAST_SECONDS):
                    await self._free(claim)

    async def _settle(self, claim: _Claim, scope: Scope, start: Message, content: bytes | None, body: BodyHash) -> None:
        """Puts the answer in the claim's place, or frees the key where there is none to keep."""
        if content is not None:
            seal = Seal(claim.secret, body.digest())
            data = seal.close(packed(scope, start, content))
            note = json.dumps({"salt": seal.salt.hex(), "body": seal.proof()})
            try:
                if await self._shelf.update(
                    KIND, claim.identity, owner=claim.owner, data=data, note=note, was=claim.note
                ):
                    return
            except RecordMissing:
                return  # it was pushed out, or ran out: a further request does the work again
            except StorageUnavailable as error:
                log.warning("an answer is not kept for its idempotency key: %s", error)
        await self._free(claim)

    async def _free(self, claim: _Claim) -> None:
        try:
            await self._shelf.delete(KIND, claim.identity, owner=claim.owner, was=claim.note)
        except RecordMissing:
            pass
        except StorageUnavailable as error:
            log.warning("an idempotency key stays taken for up to %.0f seconds: %s", self._lease, error)

    async def _again(self, claim: _Claim, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body only to compare it, and gives the answer again.

        Raises:
            IdempotencyMismatch: it is another body than the first one's.
            IdempotencyInFlight: the answer has gone meanwhile; the body cannot be read twice.
        """
        body = _hash_of(scope)
        arrived = not _has_body(scope)
        while not arrived:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body.update(message.get("body", b""))
            arrived = not message.get("more_body", False)
        try:
            kept = await self._shelf.get(KIND, claim.identity, owner=claim.owner)
        except RecordMissing:
            raise _in_flight() from None
        known = json.loads(kept.note)
        if "until" in known:
            raise _in_flight()
        seal = Seal(claim.secret, body.digest(), bytes.fromhex(known["salt"]))
        if known["body"] != seal.proof():
            raise IdempotencyMismatch(
                f"this {HEADER} came with another body before",
                hint="make a new key for every new request; send the same key only with the same body",
                where=HEADER,
            )
        await send_again(seal.open(kept.data), scope, send)


def _checked(given: list[str]) -> str:
    """Raises `RequestInvalid`."""
    if len(given) > 1 or not _KEY.match(given[0]):
        raise RequestInvalid(
            f"{HEADER} is there {len(given)} times" if len(given) > 1 else f"{HEADER} is {given[0][:40]!r}",
            hint="send it once, with 1 to 200 printable ASCII characters that nobody guesses, as a UUID has",
            where=HEADER,
        )
    return given[0]


def _in_flight() -> IdempotencyInFlight:
    refusal = IdempotencyInFlight(
        f"the first request with this {HEADER} is still being worked on",
        hint=f"send the same again in {RETRY_AFTER_SECONDS} second",
        where=HEADER,
        retry_after=RETRY_AFTER_SECONDS,
    )
    refusal.http_headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}  # type: ignore[attr-defined]
    return refusal


def _hash_of(scope: Scope) -> BodyHash:
    headers = Headers(scope=scope)
    # Which model is asked for may stand in either place, and makes another request of it.
    asked = scope.get("query_string", b"") + b"".join(b"\n" + one.encode() for one in headers.getlist(USE_MODEL))
    return BodyHash(headers.get("content-type", ""), asked)


def _is_held(scope: Scope) -> bool:
    """Whether nothing was made yet: a person looks at the result first, and asking again may then be answered."""
    return scope.get("state", {}).get("outcome") == "held"


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
