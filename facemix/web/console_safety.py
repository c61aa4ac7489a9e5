"""What the first page of the console says about the checks of results and the likeness guard."""

from __future__ import annotations

import asyncio
import importlib.util

from facemix.errors import FacemixError
from facemix.safety.guard import GuardState
from facemix.web.governed import Governed
from facemix.web.state import ServerState

GUARD_SECONDS = 1.0  # for which the page waits for the guard, which may have to load its network

Row = tuple[str, str, str]  # name, value, and "live", "warn" or "bad" for one that is to be seen from afar
Looked = GuardState | FacemixError | None


def has_embedder() -> bool:
    """Whether the optional extra is there by which faces are compared."""
    return all(importlib.util.find_spec(name) is not None for name in ("dlib", "face_recognition_models"))


async def guard_state(governed: Governed, people: int) -> Looked:
    """What the likeness guard can do; None where nobody is protected, or it is not known yet. Where it has not been
    needed before, the embedder is loaded for this, and the page does not wait for the end of that. However often it is
    asked, only one thread looks.

    Args:
        people: in the gallery.
    """
    if governed.guard is None or not people:
        return None
    look = governed.guard_look
    if look is None or look.done():

        async def ask() -> Looked:
            try:
                return await governed.run(governed.guard.state)
            except FacemixError as error:
                return error

        look = governed.guard_look = asyncio.ensure_future(ask())
    await asyncio.wait({look}, timeout=GUARD_SECONDS)
    return look.result() if look.done() else None


def guard_rows(people: int, guard: Looked) -> list[Row]:
    rows: list[Row] = [("protected people", str(people), "")]
    if not people:
        said, seen = ("embedder installed", "") if has_embedder() else ("embedder not installed", "warn")
    elif guard is None:
        said, seen = "not looked yet; load this page again in a while", "warn"
    elif isinstance(guard, FacemixError):
        said, seen = guard.message, "bad"
    else:
        if guard.unread:
            rows.append(("of them not compared with", str(guard.unread), "bad"))
        said, seen = ("compares results with them", "live") if guard.available else (guard.reason, "bad")
    return [*rows, ("likeness guard", said, seen)]


def results_row(state: ServerState) -> Row:
    """What looks at results after the mix."""
    name = "checks of results"
    if not state.settings.check_results:
        return name, "switched off", "warn"
    if state.loaded is None:
        return name, "the model is not loaded", ""
    if _is_unchecked(state):
        return name, f"{state.loaded.model.name} has no result_checks.json: results are not looked at", "warn"
    return name, f"{state.loaded.model.name} withholds what is no face, or a document's portrait", ""


def safety_warnings(state: ServerState, guard: Looked) -> list[str]:
    found = []
    if isinstance(guard, FacemixError):
        found.append(f"the likeness guard cannot say whom it compares results with: {guard.message}")
    elif guard is not None and not guard.available:
        found.append(f"not everybody who is protected is compared with: {guard.reason}")
    if not has_embedder():
        found.append("results are not compared with protected people: pip install 'facemix[identity]' and restart")
    if not state.settings.check_results:
        found.append("nothing looks at results after the mix: FACEMIX_CHECK_RESULTS is off")
    elif _is_unchecked(state):
        found.append("nothing looks at results after the mix: fit the model's checks with `facemix fit-checks`")
    return found


def _is_unchecked(state: ServerState) -> bool:
    """Whether nothing was fitted by which the results of the default model could be checked."""
    return state.loaded is not None and getattr(state.loaded, "results", None) is None
