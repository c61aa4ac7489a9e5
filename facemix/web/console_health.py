"""The first page of the console: how the server is."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

import facemix
from facemix.errors import FacemixError
from facemix.governance.controls import KillSwitch
from facemix.settings import MEBIBYTE, Settings
from facemix.web.access import closed, is_loopback
from facemix.web.console import console_page, redirected, signed_in
from facemix.web.console_safety import (
    Looked,
    Row,
    guard_rows,
    guard_state,
    results_row,
    safety_warnings,
)
from facemix.web.governed import Governed
from facemix.web.state import ServerState

router = APIRouter(prefix="/console", include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def health(request: Request) -> Response:
    """The model, the queue, the caches, the stores, who may come in, and what an operator has to know."""
    session, governed, state = await signed_in(request, "reviewer"), Governed.of(request), ServerState.of(request)
    if session.role == "reviewer":
        return redirected(request, "/console/review")
    figures = _figures(request)
    stored, kill, counts = await governed.run(partial(_look, governed))
    guard = await guard_state(governed, counts["protected"])
    sections = [
        ("Generation", [*_model(state), *_queue(figures)]),
        ("Results", [results_row(state), *_marks(governed.settings), *guard_rows(counts["protected"], guard)]),
        ("Stores", [*stored, *_ledger(figures), *_caches(figures)]),
        ("Access", _access(governed, counts)),
    ]
    return console_page(
        request,
        session,
        "health",
        kill=kill,
        warnings=_warnings(governed, state, counts, guard),
        sections=sections,
        metrics=governed.settings.metrics,
        at=datetime.now(UTC),
    )


def _look(governed: Governed) -> tuple[list[Row], KillSwitch, dict[str, int]]:
    """What the database is asked for: how it is, the kill switch, and how many keys and people there are."""
    try:
        report = governed.database.check()
        stored: list[Row] = [("database", f"{report.kind}, schema {report.schema}", "live")]
    except FacemixError as error:
        stored = [("database", error.message, "bad")]
    people, keys = governed.operators, governed.keys
    counts = {"keys": keys.count(), "people": people.count(), "reviewers": people.count("reviewer")}
    counts["protected"] = 0 if governed.gallery is None else len(governed.gallery.ids())
    return stored, governed.controls.kill_switch(), counts


def _figures(request: Request) -> dict[str, Any]:
    """What the metrics look at, by name; of the caches a value for each."""
    found: dict[str, Any] = {}
    for family in request.app.state.metrics.figures.look():
        for sample in family.samples:
            name = sample.labels.get("cache")
            if name is not None:
                found.setdefault("caches", {})[name] = sample.value
            else:
                found[family.name] = sample.value
    return found


def _model(state: ServerState) -> list[Row]:
    version: Row = ("facemix", facemix.__version__, "")
    mixer = state.loaded
    if mixer is None:
        failure = state.failure
        said: Row = ("model", "still being loaded", "warn") if failure is None else ("model", failure.message, "bad")
        return [version, said]
    vitals, ill = mixer.vitals(), state.ill()
    return [
        version,
        ("model", str(mixer.model), ""),
        ("ready", "yes" if ill is None else ill, "live" if ill is None else "bad"),
        ("computed by", f"{vitals.backend}, {vitals.device}", ""),
        ("photograph gate", *_gate(state, getattr(mixer, "gate", None) is not None)),
    ]


def _gate(state: ServerState, fitted: bool) -> tuple[str, str]:
    if not state.settings.gate:
        return "switched off", "warn"
    return ("refuses what is no photograph of a face", "") if fitted else ("the model has none", "warn")


def _marks(settings: Settings) -> list[Row]:
    chosen = (
        ("label", settings.label, "written into results"),
        ("mark", settings.mark, "put into results, invisibly"),
        ("content credentials", settings.credentials, "results are signed"),
    )
    return [(name, said if on else "switched off", "" if on else "warn") for name, on, said in chosen]


def _queue(figures: dict[str, Any]) -> list[Row]:
    inside, limit = figures.get("facemix_admitted_frames"), figures.get("facemix_admitted_limit_frames")
    waiting, connections = figures.get("facemix_queue_frames"), figures.get("facemix_connections")
    rows: list[Row] = []
    if inside is not None and limit is not None:
        rows.append(("frames let in", f"{inside:.0f} of {limit:.0f}", "warn" if inside >= limit else ""))
    if waiting is not None:
        rows.append(("frames that wait", f"{waiting:.0f}", ""))
    if connections is not None:
        rows.append(("open connections", f"{connections:.0f}", ""))
    return rows


def _ledger(figures: dict[str, Any]) -> list[Row]:
    waiting, lost = figures.get("facemix_ledger_waiting_rows"), figures.get("facemix_ledger_lost_rows") or 0
    unspooled = figures.get("facemix_ledger_unspooled_rows") or 0
    if waiting is None:
        return [("ledger", "switched off", "warn")]
    return [
        ("ledger", "written" if not waiting else f"{waiting:.0f} rows wait to be written", "live"),
        ("ledger rows lost", f"{lost:.0f}", "bad" if lost else ""),
        ("ledger rows that were in memory alone", f"{unspooled:.0f}", "warn" if unspooled else ""),
    ]


def _caches(figures: dict[str, Any]) -> list[Row]:
    held = figures.get("caches", {})
    return [(f"memory: {name}", f"{size / MEBIBYTE:.1f} MiB", "") for name, size in sorted(held.items())]


def _access(governed: Governed, counts: dict[str, int]) -> list[Row]:
    shut = closed(governed.settings)
    return [
        (
            "who may mix",
            "those with a key or a sign-in" if shut else "everybody who reaches it",
            "" if shut else "warn",
        ),
        ("valid keys", str(counts["keys"]), ""),
        ("people who may sign in", f"{counts['people']}, of them {counts['reviewers']} may review", ""),
    ]


def _warnings(governed: Governed, state: ServerState, counts: dict[str, int], guard: Looked) -> list[str]:
    settings, found = governed.settings, []
    if not counts["reviewers"]:
        found.append(
            "nobody may review: results of low margin are given out unseen; what resembles a protected person still "
            "waits, and expires"
        )
    if not closed(settings) and (not is_loopback(settings.host) or settings.public_url or settings.trusted_proxies):
        found.append("whoever reaches this server may mix; FACEMIX_ACCESS=keys asks for a key or a sign-in")
    found += safety_warnings(state, guard)
    if not settings.ledger:
        found.append("no ledger is kept: budgets cannot be enforced, and nothing says what was done")
    return found
