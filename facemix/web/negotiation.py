"""Content negotiation and conditional requests (RFC 9110, sections 12.5.1 and 13.1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from facemix.errors import NotAcceptable

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"^(\*|{_TOKEN})/(\*|{_TOKEN})$")
_QUALITY = re.compile(r"^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$")


def _parse(header: str) -> list[tuple[str, str, float]]:
    """Media ranges with their q-values; a range that breaks the grammar is left out."""
    ranges = []
    for item in header.split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        match = _RANGE.match(name.lower())
        if match is None or (match[1] == "*" and match[2] != "*"):
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                if not _QUALITY.match(value.strip()):
                    break
                quality = float(value)
        else:
            ranges.append((match[1], match[2], quality))
    return ranges


def negotiate(accept: str | None, offers: Sequence[str]) -> str:
    """Chooses the media type to answer with.

    The range that matches an offer most closely gives the offer its q-value; the highest wins, then the one
    that was named most closely, then the order of `offers`. No header, or an empty one, takes the first.

    Raises:
        NotAcceptable: every offer is excluded.
    """
    if accept is None or not accept.strip():
        return offers[0]
    ranges = _parse(accept)
    best: tuple[float, int, int] | None = None
    for order, offer in enumerate(offers):
        kind, _, sub = offer.partition("/")
        matches = [
            (2 if s == sub else 1 if k == kind else 0, quality)
            for k, s, quality in ranges
            if k in ("*", kind) and s in ("*", sub)
        ]
        if not matches:
            continue
        closeness, quality = max(matches)
        if quality > 0:
            rank = (quality, closeness, -order)
            best = rank if best is None else max(best, rank)
    if best is None:
        raise NotAcceptable(
            f"the request accepts only {accept[:200]!r}",
            hint=f"accept one of {', '.join(offers)}",
            offers=list(offers),
        )
    return offers[-best[2]]


def prefers_html(accept: str | None) -> bool:
    """Whether a browser is asking: the header names HTML and nothing of JSON outranks it."""
    if accept is None:
        return False
    ranges = _parse(accept)
    html = max((q for k, s, q in ranges if (k, s) == ("text", "html")), default=0.0)
    programs = max((q for k, s, q in ranges if k == "application" and s.endswith("json")), default=0.0)
    return html > 0 and html >= programs


def known_copy(if_none_match: str | None, tag: str) -> bool:
    """Whether the client has the answer of this ETag already, as its ``If-None-Match`` says."""
    known = [item.strip().removeprefix("W/") for item in (if_none_match or "").split(",")]
    return tag in known or "*" in known
