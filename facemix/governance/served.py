"""What each model did lately, read from the ledger: how much, how fast, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from facemix.storage.database import Database
from facemix.storage.governance_tables import prices
from facemix.storage.tables import ledger


@dataclass(frozen=True)
class Served:
    """Requests and jobs that were kept and decoded frames.

    Attributes:
        milliseconds: mean of a request, as the ledger has it; of requests alone, since jobs wait for their turn. None
            where there was none.
        device_milliseconds: mean of the device per decoded frame; what was encoded is in it.
        cost_per_thousand: by currency; without requests that had no price.
    """

    requests: int
    milliseconds: float | None
    device_milliseconds: float
    cost_per_thousand: Mapping[str, float]


def served_by_model(database: Database, *, since: datetime) -> dict[str, Served]:
    """By the model's id.

    Raises:
        StorageUnavailable: the database refused.
    """
    columns = ledger.c
    is_job = columns.route.like("JOB %")
    wanted = (
        select(
            columns.model_id,
            prices.c.currency,
            is_job.label("is_job"),
            func.count().label("requests"),
            func.sum(columns.milliseconds).label("milliseconds"),
            func.sum(columns.device_seconds).label("device_seconds"),
            func.sum(columns.frames_decoded).label("frames"),
            func.sum(columns.cost).label("cost"),
        )
        .select_from(ledger.outerjoin(prices, columns.price_version == prices.c.version))
        .where(
            columns.at >= since, columns.outcome == "kept", columns.frames_decoded > 0, columns.model_id.is_not(None)
        )
        .group_by(columns.model_id, prices.c.currency, is_job)
    )
    with database.reading() as connection:
        rows = connection.execute(wanted).mappings().all()
    found: dict[str, list] = {}
    for row in rows:
        found.setdefault(row["model_id"], []).append(row)
    return {model: _served(of) for model, of in found.items()}


def _served(rows: list) -> Served:
    asked = [row for row in rows if not row["is_job"]]
    number = sum(row["requests"] for row in asked)
    counts: dict[str, int] = {}
    costs: dict[str, float] = {}
    for row in rows:
        if (currency := row["currency"]) is not None:
            counts[currency] = counts.get(currency, 0) + row["requests"]
            costs[currency] = costs.get(currency, 0.0) + row["cost"]
    return Served(
        requests=sum(row["requests"] for row in rows),
        milliseconds=sum(row["milliseconds"] for row in asked) / number if number else None,
        device_milliseconds=1000 * sum(row["device_seconds"] for row in rows) / int(sum(row["frames"] for row in rows)),
        cost_per_thousand={currency: 1000 * cost / counts[currency] for currency, cost in costs.items()},
    )
