"""The ledger: what every request cost, whether it was answered or refused, and whose key it bore. Never from which
address it came or what was in it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import ColumnElement, and_, case, func, select

from facemix.storage.database import Database
from facemix.storage.tables import ledger

Outcome = Literal["kept", "held", "refused", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# Beginning of the route of what a job gives out besides its own result: no request, and paid for with the job.
ITEM = "ITEM "
ASKED = ledger.c.route.not_like(f"{ITEM}%")
_FAILED = 499  # from here on: the client left before there was an answer, or the fault is the server's

# Most characters of what may come from outside, or grow with what was asked for.
MOST_RECORD = 32 * 1024
_MOST = {
    "request_id": 128,
    "route": 200,
    "error_code": 64,
    "model_id": 200,
    "key_name": 64,
    "idempotency_key": 255,
    "weights": 64,
    "recipe_hash": 64,
    "reason": 300,
    "consent": 100,
}
_MOST_STAGES = 2 * 1024


def _row_id() -> str:
    """Unique, and rising with time, so that rows are added at the end of the index."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """One request.

    Attributes:
        request_id: as in the response's header; a client may have chosen it, so it need not be unique.
        route: the route's template (``POST /api/v1/mix``), not the path that was asked for.
        status: HTTP status of the answer.
        error_code: code of the refusal, None where there was none.
        model_id: which model worked on it, None where none did.
        key_name: name of the API key, None where none was given.
        frames_encoded, frames_decoded: pictures that went through the encoder and the decoder.
        device_seconds: share of the device's time.
        milliseconds: from the end of the request's header until the last part of the answer is ready to be sent.
        bytes_in, bytes_out: sizes of the bodies.
        idempotency_key: the request's header, None without one.
        weights, recipe_hash: SHA-256 of the model's weights and of the recipe, hexadecimal.
        stage_ms: milliseconds by stage, as JSON.
        cpu_seconds: processor time; an estimate, see `facemix.serving.meter`.
        outcome: kept (answered), held (a person looks first), refused (the request's fault) or failed (not its fault).
        reason: the refusal's code, or why it is held.
        consent: version of the consent's text that was stated, None where none was.
        price_version, cost: which price table, and what it says; 0 without one.
        record: the conditioning record, as JSON.
        at: when it was answered; aware.
        id: makes writing the same row twice harmless.
    """

    request_id: str
    route: str
    status: int
    error_code: str | None = None
    model_id: str | None = None
    key_name: str | None = None
    frames_encoded: int = 0
    frames_decoded: int = 0
    device_seconds: float = 0.0
    milliseconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    idempotency_key: str | None = None
    weights: str | None = None
    recipe_hash: str | None = None
    stage_ms: str | None = None
    cpu_seconds: float = 0.0
    outcome: Outcome = "kept"
    reason: str | None = None
    consent: str | None = None
    price_version: int = 0
    cost: float = 0.0
    record: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=_row_id)


def outcome_of(status: int, said: str | None = None) -> Outcome:
    """What became of a request.

    Args:
        status: of the answer; 499 where the client left before it.
        said: ``held`` for an answer that promises a later one.
    """
    if status >= _FAILED:
        return "failed"
    if status >= 400:
        return "refused"
    return "held" if said == "held" else "kept"


def bounded(row: LedgerRow) -> LedgerRow:
    """The row as any database takes it: texts of bounded length without NUL and lone surrogates."""
    changes: dict[str, str | None] = {}
    for name, most in _MOST.items():
        text = getattr(row, name)
        if text is not None and (len(text) > most or not text.isascii() or "\0" in text):
            changes[name] = text[:most].replace("\0", "").encode("utf-8", "replace").decode()
    if row.record is not None and len(row.record) > MOST_RECORD:
        changes["record"] = f'{{"left_out": "the record had {len(row.record)} characters"}}'
    if row.stage_ms is not None and len(row.stage_ms) > _MOST_STAGES:
        changes["stage_ms"] = None
    return replace(row, **changes) if changes else row  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class LedgerTotal:
    """Sums over the requests and jobs of one model and one key; `refused` counts those with an error code that are not
    held."""

    model_id: str | None
    key_name: str | None
    requests: int
    refused: int
    frames_encoded: int
    frames_decoded: int
    device_seconds: float
    milliseconds: float
    bytes_in: int
    bytes_out: int
    cpu_seconds: float
    cost: float


COLUMNS = tuple(one.name for one in fields(LedgerRow))
_SUMS = tuple(one.name for one in fields(LedgerTotal))[4:]


class Ledger:
    """The table of requests. Intervals are half open: `since` belongs to them, `until` does not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append_many(self, rows: Iterable[LedgerRow]) -> None:
        """Writes all rows in one transaction; those that are there already are left as they are.

        Raises:
            StorageFull, StorageUnavailable: the database refused; no row was written, or, if the connection was
                lost at the end, all were. Writing them again is right in either case.
        """
        self._database.insert_missing(ledger, [{name: getattr(row, name) for name in COLUMNS} for row in rows])

    def totals(self, since: datetime | None = None, until: datetime | None = None) -> list[LedgerTotal]:
        """Sums by model and key, the costliest in device seconds first.

        Raises:
            StorageUnavailable: the database refused.
        """
        columns = ledger.c
        wanted = (
            select(
                columns.model_id,
                columns.key_name,
                func.count().label("requests"),
                func.sum(case((and_(columns.error_code.is_not(None), columns.outcome != "held"), 1), else_=0)).label(
                    "refused"
                ),
                *(func.sum(columns[name]).label(name) for name in _SUMS),
            )
            .where(ASKED, *_between(since, until))
            .group_by(columns.model_id, columns.key_name)
            .order_by(func.sum(columns.device_seconds).desc(), columns.model_id, columns.key_name)
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        # PostgreSQL sums big integers to decimals.
        return [
            LedgerTotal(
                **{name: value if isinstance(value, str | float | None) else int(value) for name, value in row.items()}
            )
            for row in rows
        ]

    def spent(self, since: datetime, until: datetime | None = None) -> dict[str | None, float]:
        """What the requests of each key cost; under None those without a key.

        Raises:
            StorageUnavailable: the database refused.
        """
        wanted = select(ledger.c.key_name, func.sum(ledger.c.cost)).where(*_between(since, until))
        with self._database.reading() as connection:
            rows = connection.execute(wanted.group_by(ledger.c.key_name)).all()
        return {name: float(cost) for name, cost in rows}

    def count(self, since: datetime | None = None, until: datetime | None = None) -> int:
        """How many requests and jobs.

        Raises:
            StorageUnavailable: the database refused.
        """
        with self._database.reading() as connection:
            wanted = select(func.count()).select_from(ledger).where(ASKED, *_between(since, until))
            return connection.execute(wanted).scalar_one()

    def prune(self, older_than: datetime) -> int:
        """Deletes the rows from before that time; how many they were.

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        return self._database.delete_where(ledger, ledger.c.at < older_than)


def _between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(ledger.c.at >= since)
    if until is not None:
        conditions.append(ledger.c.at < until)
    return conditions
