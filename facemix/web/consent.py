"""Consent, stated by whoever sends photographs. Recorded is the version of the text, and nothing of who stated it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from starlette.requests import Request

from facemix.errors import ConsentMissing
from facemix.safety.terms import VERSION
from facemix.web.state import ServerState

HEADER = "X-Facemix-Consent"
FIELD = "consent"


def take_consent(request: Request, fields: MutableMapping[str, str]) -> None:
    """Takes the field out of a form, so that no reader of it needs to know it, and leaves it for `note_consent`."""
    stated = fields.pop(FIELD, None)
    if stated is not None:
        request.state.consent_field = stated


def note_consent(request: Request, has_photos: bool) -> None:
    """Notes in ``request.state.consent`` to which version of the terms whoever sends photographs agrees, by the header
    or by the form's field; nothing where none was stated, or another version than that in force.

    Args:
        has_photos: whether there are photographs in the request; without any there is nothing to agree to.

    Raises:
        ConsentMissing: the operator requires it, and it was not stated.
    """
    wanted = ServerState.of(request).settings.consent
    if not has_photos or wanted == "off":
        return
    stated = _stated(request.headers, getattr(request.state, "consent_field", None))
    if stated == VERSION:
        request.state.consent = VERSION
    elif wanted == "require":
        raise ConsentMissing(
            f"consent was stated to version {stated[:40]!r} of the terms; {VERSION!r} is in force"
            if stated
            else "it has not been stated that everybody in the photos agrees",
            hint=f"read /terms; then send the header {HEADER}: {VERSION}, or the form's field {FIELD}",
            version=VERSION,
        )


def _stated(headers: Mapping[str, str], field: str | None) -> str:
    return (headers.get(HEADER) or field or "").strip()
