"""What waits for a person: a result that is held, asked for again later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facemix.client.answers import moment, picked
from facemix.client.transport import ResultHeld

# The last member of the addresses under which it is asked for, alone or at the end of a sentence.
_TOKEN = re.compile(r"(?:\A|/held/|/api/v1/reviews/)([A-Za-z0-9_-]{43})\Z", re.ASCII)


@dataclass(frozen=True)
class Review:
    """How something stands that a person decides.

    Attributes:
        state: pending, claimed, escalated, appealed, approved, rejected or expired.
        kind: ``result``, or ``report`` of a face that somebody reported.
        request_id: of the request whose result it is.
        due_at: until when somebody should have decided.
        expires_at: when what nobody has decided on is deleted, and the result of what was approved.
        next: what happens next, in a sentence.
        reason: of a rejection.
        picture_url: where the result is, None as long as there is none and once it is gone.
        may_appeal: whether `Client.appeal` may ask for a second look.
        page_url: the same for people.
    """

    state: str
    kind: str
    request_id: str
    since: datetime
    due_at: datetime
    expires_at: datetime
    next: str
    reason: str | None
    picture_url: str | None
    may_appeal: bool
    page_url: str

    @property
    def ready(self) -> bool:
        """Whether `Client.collect` gives the result."""
        return self.picture_url is not None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Review:
        """From what the endpoint answers."""
        return picked(cls, answer, **{name: moment(answer[name]) for name in ("since", "due_at", "expires_at")})


def token_in(text: str) -> str | None:
    """The token that a text is or ends with, as an address does and the hint of a job that is held."""
    found = _TOKEN.search(text)
    return None if found is None else found[1]


def path_of(told: ResultHeld | str) -> str:
    """Where a review is asked about, below the server.

    Args:
        told: the exception, its token, or an address or hint that ends with that.

    Raises:
        ValueError: it holds no token.
    """
    token = token_in(told) if isinstance(told, str) else told.token
    if token is None:
        raise ValueError("that names no review; give what was raised, its status_url or its token")
    return f"/api/v1/reviews/{token}"
