"""What a key must be good for to ask for an address.

A key without scopes is good for everything. One with scopes is refused wherever no scope of it fits, and where this
table says nothing.
"""

from __future__ import annotations

from facemix.errors import ScopeMissing

# As `facemix.storage.keys.SCOPES`, which is not imported here: a front without a database has no use for SQL. A test
# compares the two.
SCOPES = ("mix", "faces", "recipes", "jobs", "verify", "usage")
_ANY = SCOPES  # what tells about the server and about nobody

# The beginning of a path, by whole parts, and the scopes any one of which will do. The longest beginning counts.
TABLE: dict[str, tuple[str, ...]] = {
    "/api/v1/mix": ("mix",),
    "/api/v1/strip": ("mix",),
    "/api/v1/grids": ("mix",),
    "/api/v1/explain": ("mix",),
    "/api/v1/records": _ANY,
    "/api/v1/samples": ("mix",),
    "/api/v1/prompts": ("mix",),
    "/api/v1/faces": ("faces",),
    "/api/v1/latents": ("faces",),
    "/api/v1/recipes": ("recipes",),
    "/api/v1/animations": ("jobs",),
    "/api/v1/batches": ("jobs",),
    "/api/v1/jobs": ("jobs",),
    "/api/v1/verify": ("verify",),
    "/api/v1/usage": ("usage",),
    "/api/v1/model": _ANY,
    "/api/v1/models": _ANY,
    "/api/v1/attributes": _ANY,
    "/api/v1/regions": _ANY,
    "/api/v1/schemas": _ANY,
    "/api/v1/reviews": _ANY,
    "/api/v1/reports": _ANY,
    "/held": _ANY,
    "/report": _ANY,
    "/r": ("recipes",),
    "/verify": ("verify",),
}
_FORM = ("mix",)


def wanted_for(path: str) -> tuple[str, ...]:
    """The scopes any one of which opens `path`; empty where none does."""
    if path == "/":
        return _FORM
    while path:
        if path in TABLE:
            return TABLE[path]
        path = path.rpartition("/")[0]
    return ()


def refusal(name: str, scopes: frozenset[str] | None, path: str) -> ScopeMissing | None:
    """What a key with these scopes is told about `path`; None if it may go on.

    Args:
        name: of the key.
        scopes: None means everything.
    """
    wanted = wanted_for(path)
    if scopes is None or not scopes.isdisjoint(wanted):
        return None
    return ScopeMissing(
        f"the key {name} is good for {', '.join(word for word in SCOPES if word in scopes)}"
        + (f", and this wants {' or '.join(wanted)}" if wanted else ", and not for this"),
        hint="use another key, or ask the operator for one with that scope",
        scopes=sorted(scopes),
        wanted=list(wanted),
    )
