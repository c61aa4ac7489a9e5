"""What `benchmarks.drill_api` tells Schemathesis: what counts as a server error, and ids that are really there."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

# By path: an id of each that was there when the drill began. Cases take it every other time.
IDENTITIES: dict[str, str] = json.loads(os.environ.get("FACEMIX_DRILL_IDENTITIES", "{}"))
_turns = dict.fromkeys(IDENTITIES, 0)
_NAMES = {"identity", "token", "request_id"}  # of parameters that name such a thing


@schemathesis.check
def no_server_error(ctx: Any, response: Any, case: Any) -> None:
    """No answer of 500 or above, but to a client whose own deadline was too short to be met."""
    if response.status_code < 500:
        return
    told = "json" in response.headers.get("content-type", [""])[0]
    code = response.json().get("code") if told else "no problem document"
    if code == "deadline_exceeded" and "X-Facemix-Deadline" in (case.headers or {}):
        return
    raise AssertionError(f"{response.status_code} {code}")


@schemathesis.hook
def map_path_parameters(ctx: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Puts an id that is there into every other case, but for those that would delete it."""
    path, method = getattr(ctx.operation, "path", ""), getattr(ctx.operation, "method", "")
    for prefix, identity in IDENTITIES.items():
        named = _NAMES & set(path_parameters or ())
        if path.startswith(prefix) and named and method.lower() != "delete":
            _turns[prefix] += 1
            if _turns[prefix] % 2:
                return {**(path_parameters or {}), **dict.fromkeys(named, identity)}
    return path_parameters
