"""Rows of the ledger from what is known of a request or a job at its end."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from facemix.errors import Held
from facemix.serving.meter import Meter
from facemix.serving.types import Cost
from facemix.web.job_work import Ended, GivenItem
from facemix.web.routes import known_method, route_template

if TYPE_CHECKING:
    from facemix.storage.ledger import LedgerRow

IDEMPOTENCY_KEY = b"idempotency-key"


def request_row(scope: Scope, status: int, milliseconds: float, arrived: int, sent: int, meter: Meter) -> LedgerRow:
    """The row of a request. Of ``scope["state"]`` it takes what endpoints leave there: ``request_id``, ``api_key``,
    ``refusal``, ``model``, ``weights``, ``cost``, ``stage_ms``, ``recipe_hash``, ``outcome``, ``reason``, ``consent``
    and ``record``; whatever of it is of another type is left out.

    Args:
        arrived, sent: bytes of the bodies.
        meter: what was noted while it was worked on; for the device only where no ``cost`` was left.
    """
    from facemix.storage.ledger import LedgerRow, outcome_of

    state = scope.get("state", {})
    cost: Cost = state.get("cost") or meter.cost
    refusal = _text(state.get("refusal"))
    held = refusal == Held.code or state.get("outcome") == "held"
    return LedgerRow(
        request_id=state.get("request_id", "unknown"),
        route=f"{known_method(scope)} {route_template(scope)}",
        status=status,
        error_code=refusal,
        model_id=_text(state.get("model")),
        key_name=_text(state.get("api_key")),
        frames_encoded=cost.frames_encoded,
        frames_decoded=cost.frames_decoded,
        device_seconds=cost.device_seconds,
        milliseconds=milliseconds,
        bytes_in=arrived,
        bytes_out=sent,
        idempotency_key=_idempotency_key(scope),
        weights=_text(state.get("weights")),
        recipe_hash=_text(state.get("recipe_hash")),
        stage_ms=_stages(state.get("stage_ms")),
        cpu_seconds=meter.cpu_seconds,
        outcome=outcome_of(status, "held" if held else None),
        reason=_text(state.get("reason")) or refusal,
        consent=_text(state.get("consent")),
        record=_json(state.get("record")),
    )


def job_row(ended: Ended) -> LedgerRow:
    """The row of a job that has ended; the request that started it has one of its own."""
    from facemix.storage.ledger import LedgerRow, outcome_of

    return LedgerRow(
        # Without a key the id is all that guards a job; the ledger lies on a disk, and in its backups.
        request_id=hashlib.sha256(ended.id.encode()).hexdigest()[:32],
        route=f"JOB {ended.kind}",
        status=ended.status,
        error_code=ended.error_code,
        model_id=ended.model,
        key_name=ended.owner,
        frames_encoded=ended.cost.frames_encoded,
        frames_decoded=ended.cost.frames_decoded,
        device_seconds=ended.cost.device_seconds,
        milliseconds=ended.milliseconds,
        bytes_in=0,
        bytes_out=ended.bytes_out,
        cpu_seconds=ended.cpu_seconds,
        weights=ended.weights,
        recipe_hash=ended.recipe_hash,
        outcome=outcome_of(ended.status, "held" if ended.error_code == Held.code else None),
        reason=ended.error_code,
    )


def item_row(item: GivenItem) -> LedgerRow:
    """The row of one result of several that a job gives out, by which its mark leads to the ledger. What it took is in
    the row of the job."""
    from facemix.storage.ledger import ITEM, LedgerRow

    return LedgerRow(
        request_id=item.request_id,
        route=f"{ITEM}{item.kind}",
        status=200,
        model_id=str(item.model),
        key_name=item.owner,
        weights=item.model.weights,
        recipe_hash=item.recipe_hash,
        consent=item.consent,
        record=_json(item.record),
    )


def _idempotency_key(scope: Scope) -> str | None:
    """A name for the key that tells whether two requests bore the same one. The key itself helps to open the answer
    that is kept under it, and the ledger lies on a disk, and in its backups."""
    given = next((value for name, value in scope.get("headers", ()) if name == IDEMPOTENCY_KEY), b"").strip()
    return f"sha256:{hashlib.sha256(given).hexdigest()[:32]}" if given else None


def _stages(given: Any) -> str | None:
    """Milliseconds by stage, to a thousandth."""
    if not isinstance(given, dict):
        return None
    figures = {
        str(name): round(ms, 3) for name, ms in given.items() if isinstance(ms, int | float) and math.isfinite(ms)
    }
    return _json(figures) if figures else None


def _json(given: Any) -> str | None:
    """As JSON; None for nothing, or for what is no JSON: a row is worth more than what hangs on it."""
    if given is None:
        return None
    try:
        return json.dumps(given, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _text(given: Any) -> str | None:
    return given if isinstance(given, str) and given else None
