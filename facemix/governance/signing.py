"""Short documents signed by this installation: receipts of deletions, latents that leave it.

Ed25519 (RFC 8032) with a key that is derived from the installation's secret, so that everybody can check what only this
installation can sign.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from facemix.errors import SignatureInvalid
from facemix.governance.secrets import Secrets

MOST_CHARACTERS = 262_144  # a latent of 4,096 numbers, with 64 KiB of credentials


class Signatures:
    """Signs and checks documents of one kind: what was signed as one kind is not taken for another.

    Attributes:
        public_key: 64 hexadecimal characters, by which others know this installation.
    """

    def __init__(self, secrets: Secrets, kind: str) -> None:
        """
        Args:
            kind: what is signed, a word of whoever uses it.
        """
        self._kind = kind
        self._key = Ed25519PrivateKey.from_private_bytes(secrets.derive("signatures"))
        self.public_key: str = self._key.public_key().public_bytes_raw().hex()

    def sign(self, document: dict[str, Any]) -> str:
        """The document, JSON-serialisable, with its signature, as URL-safe text: ``document.key.signature``."""
        body = _encode(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
        signature = self._key.sign(self._covered(body))
        return f"{body}.{self.public_key}.{_encode(signature)}"

    def read(self, signed: str, trusted: Iterable[str] = ()) -> dict[str, Any]:
        """The document.

        Args:
            trusted: public keys of other installations whose signature is taken, too.

        Raises:
            SignatureInvalid: it is no signed document of this kind, was changed, or is signed by somebody else.
        """
        parts = signed.strip().split(".") if len(signed) <= MOST_CHARACTERS else []
        if len(parts) != 3:
            raise _unreadable()
        body, key, signature = parts
        if key != self.public_key and key not in set(trusted):
            raise SignatureInvalid(
                f"it is signed with the key {key[:16]!r}..., which this installation does not trust",
                hint="only what this installation signed is taken, or one whose key the operator trusts",
            )
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
            public.verify(_decode(signature), self._covered(body))
            document = json.loads(_decode(body))
        except InvalidSignature as error:
            raise SignatureInvalid(
                "it was changed after it was signed, or is something else than it is taken for",
                hint="send it exactly as it was given out",
            ) from error
        except (ValueError, binascii.Error) as error:
            raise _unreadable() from error
        if not isinstance(document, dict):
            raise _unreadable()
        return document

    def _covered(self, body: str) -> bytes:
        return f"facemix {self._kind}\n{body}".encode()


def _unreadable() -> SignatureInvalid:
    return SignatureInvalid("it is no signed document", hint="send it exactly as it was given out")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
