"""The shape of what a key has used."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class UsagePeriod(BaseModel):
    """A day or a month in UTC."""

    since: datetime
    until: datetime = Field(description="when it begins anew")
    requests: int
    outcomes: dict[str, int] = Field(description="requests by what became of them: kept, held, refused, failed")
    cost: float = Field(description="in `currency`")
    budget: float | None = Field(description="most that it may cost; null means no limit")
    left: float | None = Field(description="of the budget, never below 0; null without one")


class UsageResponse(BaseModel):
    """What the calling key has used, and what it may. Requests of the last seconds may be missing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "integrator",
                    "currency": "USD",
                    "price_version": 1,
                    "day": {
                        "since": "2026-11-21T00:00:00Z",
                        "until": "2026-11-22T00:00:00Z",
                        "requests": 120,
                        "outcomes": {"kept": 118, "refused": 2},
                        "cost": 0.0031,
                        "budget": 0.5,
                        "left": 0.4969,
                    },
                    "month": {
                        "since": "2026-11-01T00:00:00Z",
                        "until": "2026-12-01T00:00:00Z",
                        "requests": 2410,
                        "outcomes": {"kept": 2390, "refused": 19, "failed": 1},
                        "cost": 0.0622,
                        "budget": None,
                        "left": None,
                    },
                }
            ]
        }
    )

    key: str = Field(description="its name")
    currency: str = Field(description="three letters (ISO 4217), of the price table that is valid now")
    price_version: int
    day: UsagePeriod
    month: UsagePeriod
