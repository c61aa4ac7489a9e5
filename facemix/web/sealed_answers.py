"""Answers as they are kept to be given again: sealed, so that only the request that they answered opens them.

An answer may show faces, and it may hold a token that is otherwise stored only as a hash.
"""

from __future__ import annotations

import hashlib
import json
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.types import Message, Scope, Send

REPLAY_HEADER = "Idempotent-Replay"
SALT_BYTES = 16
NONCE_BYTES = 12
_KEPT_HEADERS = frozenset((b"content-type", b"content-disposition", b"link", b"location", b"vary"))
_OUR_HEADERS = b"x-facemix-"
_BODILESS = (204, 304)


class Seal:
    """What opens one answer.

    Args:
        secret: 32 bytes made of the key that the client chose; stored nowhere.
        body: hash of the request's body; stored nowhere.
        salt: stored beside the answer, and never used for two.
    """

    def __init__(self, secret: bytes, body: bytes, salt: bytes | None = None) -> None:
        self.salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
        self._material = secret + body + self.salt
        # The key is this answer's alone, so that any nonce would do.
        self._cipher = AESGCM(hashlib.sha256(b"key" + self._material).digest())
        self._nonce = self.salt[:NONCE_BYTES]

    def proof(self) -> str:
        """What tells whether a body is the first one's, and nothing else of it."""
        return hashlib.sha256(b"proof" + self._material).hexdigest()

    def close(self, data: bytes) -> bytes:
        """`data` under AES-256-GCM."""
        return self._cipher.encrypt(self._nonce, data, None)

    def open(self, closed: bytes) -> bytes:
        """What `close` was given.

        Raises:
            InvalidTag: it was closed with another secret, body or salt, or changed since.
        """
        return self._cipher.decrypt(self._nonce, closed, None)


def packed(scope: Scope, start: Message, content: bytes) -> bytes:
    """An answer as bytes: a line of JSON with its status, the headers that belong to it and the code of a refusal, then
    its content."""
    head = {
        "status": start["status"],
        "headers": [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in start.get("headers", ())
            if name.lower() in _KEPT_HEADERS or name.lower().startswith(_OUR_HEADERS)
        ],
        "refusal": scope.get("state", {}).get("refusal"),
    }
    return json.dumps(head).encode() + b"\n" + content


async def send_again(data: bytes, scope: Scope, send: Send) -> None:
    """Sends what `packed` made, and marks it. A refusal is noted as such for log, metrics and ledger."""
    line, _, content = data.partition(b"\n")
    head = json.loads(line)
    if head["refusal"] is not None:
        scope.setdefault("state", {})["refusal"] = head["refusal"]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]]
    if head["status"] not in _BODILESS:
        headers.append((b"content-length", str(len(content)).encode()))
    headers.append((REPLAY_HEADER.lower().encode(), b"true"))
    await send({"type": "http.response.start", "status": head["status"], "headers": headers})
    await send({"type": "http.response.body", "body": content})
