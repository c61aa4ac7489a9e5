"""The tables, as the newest migration leaves them; a test compares the two on both databases.

No column holds an address, a file name or a photograph. Latents stand in recipes that somebody chose to save, and on
the shelf where the operator keeps it here; `docs/storage.md` says more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An instant. Takes aware datetimes only and gives them back in UTC, from SQLite too, which knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class RecipeColumns(TypedColumns):
    """`recipe` is the recipe's JSON text; `expires_at` null means never; `picture` is the name of a blob."""

    id = Column(String(16), primary_key=True)
    recipe: Named[str] = Column(Text)
    model_weights: Named[str] = Column(String(64))
    delete_token_hash: Named[str] = Column(String(64))
    created_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime | None] = Column(UtcTime, index=True)
    picture: Named[str | None] = Column(Text)


class LedgerColumns(TypedColumns):
    """One row per request. `id` makes a repeated write harmless; `request_id` may have been chosen by the client.

    `outcome` is kept, held, refused or failed; `stage_ms` and `record` are JSON; `price_version` 0 means no prices.
    """

    id = Column(String(32), primary_key=True)
    request_id: Named[str] = Column(Text, index=True)
    at: Named[datetime] = Column(UtcTime, index=True)
    route: Named[str] = Column(Text)
    status: Named[int] = Column(Integer)
    error_code: Named[str | None] = Column(Text)
    model_id: Named[str | None] = Column(Text)
    key_name: Named[str | None] = Column(Text)
    frames_encoded: Named[int] = Column(Integer)
    frames_decoded: Named[int] = Column(Integer)
    device_seconds: Named[float] = Column(Double)
    milliseconds: Named[float] = Column(Double)
    bytes_in: Named[int] = Column(BigInteger)
    bytes_out: Named[int] = Column(BigInteger)
    idempotency_key: Named[str | None] = Column(Text)
    weights: Named[str | None] = Column(String(64))
    recipe_hash: Named[str | None] = Column(String(64), index=True)
    stage_ms: Named[str | None] = Column(Text)
    cpu_seconds: Named[float] = Column(Double, server_default="0")
    outcome: Named[str] = Column(String(16), server_default="kept")
    reason: Named[str | None] = Column(Text)
    consent: Named[str | None] = Column(Text)
    price_version: Named[int] = Column(Integer, server_default="0")
    cost: Named[float] = Column(Double, server_default="0")
    record: Named[str | None] = Column(Text)


class KeyColumns(TypedColumns):
    """`requests_per_minute` null means the rate of any key; `revoked_at` null means valid, `expires_at` null for ever.

    `scopes` are words with spaces between; null means every scope. Budgets are in the currency of the price table.
    """

    name = Column(String(64), primary_key=True)
    secret_hash: Named[str] = Column(String(64), unique=True)
    requests_per_minute: Named[int | None] = Column(Integer)
    created_at: Named[datetime] = Column(UtcTime)
    revoked_at: Named[datetime | None] = Column(UtcTime)
    expires_at: Named[datetime | None] = Column(UtcTime)
    scopes: Named[str | None] = Column(Text)
    budget_day: Named[float | None] = Column(Double)
    budget_month: Named[float | None] = Column(Double)


class ShelfColumns(TypedColumns):
    """`owner` is the name of an API key; null means that whoever has the id may have the thing."""

    id = Column(String(64), primary_key=True)
    kind: Named[str] = Column(String(32))
    owner: Named[str | None] = Column(String(64))
    data: Named[bytes] = Column(LargeBinary)
    note: Named[str] = Column(Text)
    created_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime] = Column(UtcTime, index=True)


recipes = Table("recipes", metadata, RecipeColumns)
ledger = Table("ledger", metadata, LedgerColumns)
keys = Table("keys", metadata, KeyColumns, CheckConstraint("requests_per_minute > 0", name="rate_positive"))
shelf = Table("shelf", metadata, ShelfColumns)
Index("ix_shelf_owner", shelf.c.owner, shelf.c.kind, shelf.c.created_at, shelf.c.id)
