"""Receipts: signed words that something was deleted, which say what it was by its hash alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from facemix.errors import SignatureInvalid
from facemix.governance.secrets import Secrets
from facemix.governance.signing import Signatures


@dataclass(frozen=True)
class Receipt:
    """What was deleted: `kind` (face, recipe, job, review, protected), the SHA-256 of its id, and when, in UTC."""

    kind: str
    id_sha256: str
    deleted_at: datetime

    def is_of(self, identity: str) -> bool:
        """Whether it is about the thing of that id."""
        return self.id_sha256 == _hash(identity)


class Receipts:
    """Gives out receipts and reads them. Thread-safe."""

    def __init__(self, secrets: Secrets) -> None:
        self._signatures = Signatures(secrets, "receipt")

    def issue(self, kind: str, identity: str, *, now: datetime | None = None) -> str:
        """A receipt as text for a header or a file. To be called once the thing is gone."""
        at = (now or datetime.now(UTC)).astimezone(UTC)
        return self._signatures.sign(
            {"kind": kind, "id_sha256": _hash(identity), "deleted_at": at.isoformat(timespec="seconds")}
        )

    def read(self, receipt: str) -> Receipt:
        """Raises `SignatureInvalid` for what this installation has not given out."""
        document = self._signatures.read(receipt)
        try:
            return Receipt(
                document["kind"], document["id_sha256"], datetime.fromisoformat(document["deleted_at"]).astimezone(UTC)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SignatureInvalid("it is no receipt", hint="send it exactly as it was given out") from error


def _hash(identity: str) -> str:
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
