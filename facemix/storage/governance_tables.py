"""The tables of governance: models, controls, operators, reviews, the audit log, protected people, prices.

They belong to the same metadata as those of `tables.py`, and are named by the same migrations.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, Named, String, Table, Text, TypedColumns

from facemix.storage.tables import UtcTime, metadata


class ModelColumns(TypedColumns):
    """One version of a model, known by the SHA-256 of its weights. `status`: candidate, live or retired.

    `share` is what part of the clients a candidate answers, from 0 to 1; `is_default` marks the one live model that
    answers whoever names none; `card` and `results` are JSON; `folder` is where the checkpoint lies.
    """

    weights = Column(String(64), primary_key=True)
    name: Named[str] = Column(String(64), index=True)
    folder: Named[str] = Column(Text)
    latent_schema: Named[int] = Column(Integer)
    status: Named[str] = Column(String(16))
    is_default: Named[int] = Column(Integer)
    share: Named[float] = Column(Double)
    card: Named[str] = Column(Text)
    results: Named[str | None] = Column(Text)
    added_at: Named[datetime] = Column(UtcTime)
    changed_at: Named[datetime] = Column(UtcTime)
    former: Named[str | None] = Column(String(64))


class ControlColumns(TypedColumns):
    """What every worker looks at once a second: `value` is JSON, `version` rises with every change."""

    name = Column(String(32), primary_key=True)
    value: Named[str] = Column(Text)
    version: Named[int] = Column(Integer)
    changed_at: Named[datetime] = Column(UtcTime)


class OperatorColumns(TypedColumns):
    """A person who signs in. `role`: member (mixes), reviewer (and reviews) or operator (everything)."""

    name = Column(String(64), primary_key=True)
    password_hash: Named[str] = Column(Text)
    role: Named[str] = Column(String(16))
    created_at: Named[datetime] = Column(UtcTime)
    disabled_at: Named[datetime | None] = Column(UtcTime)


class SessionColumns(TypedColumns):
    """A browser that is signed in, known by the SHA-256 of its cookie."""

    token_hash = Column(String(64), primary_key=True)
    operator: Named[str] = Column(String(64), index=True)
    csrf: Named[str] = Column(String(64))
    created_at: Named[datetime] = Column(UtcTime)
    seen_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime] = Column(UtcTime, index=True)


class ReviewColumns(TypedColumns):
    """Something that a person decides. `picture` is sealed; null where there is none (any more).

    `state`: pending, claimed, approved, rejected, escalated, appealed, expired. `version` rises with every change.
    `released` is 1 where the result was given out already and is only looked at afterwards. `subject` names a saved
    recipe that was reported, or a protected person whom the guard has found. `status_token_hash` guards the page of
    the person who waits.
    """

    id = Column(String(32), primary_key=True)
    request_id: Named[str] = Column(Text, index=True)
    status_token_hash: Named[str] = Column(String(64), unique=True)
    state: Named[str] = Column(String(16), index=True)
    version: Named[int] = Column(Integer)
    trigger: Named[str] = Column(String(32))
    detail: Named[str] = Column(Text)
    owner: Named[str | None] = Column(String(64))
    model_id: Named[str | None] = Column(Text)
    recipe_hash: Named[str | None] = Column(String(64), index=True)
    subject: Named[str | None] = Column(Text)
    released: Named[int] = Column(Integer)
    media_type: Named[str | None] = Column(String(32))
    picture: Named[bytes | None] = Column(LargeBinary)
    created_at: Named[datetime] = Column(UtcTime)
    due_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime] = Column(UtcTime, index=True)
    claimed_by: Named[str | None] = Column(String(64))
    decided_by: Named[str | None] = Column(String(64))
    decided_at: Named[datetime | None] = Column(UtcTime)
    reason: Named[str | None] = Column(String(32))
    text: Named[str | None] = Column(Text)
    appeal: Named[str | None] = Column(Text)


class AuditColumns(TypedColumns):
    """One row per action of an operator or of the program itself; `hash` covers the row and the `previous` hash."""

    number = Column(BigInteger, primary_key=True, autoincrement=False)
    at: Named[datetime] = Column(UtcTime, index=True)
    actor: Named[str] = Column(Text)
    action: Named[str] = Column(String(64))
    subject: Named[str | None] = Column(Text)
    details: Named[str] = Column(Text)
    previous: Named[str] = Column(String(64))
    hash: Named[str] = Column(String(64))


class ProtectedColumns(TypedColumns):
    """A person whose likeness is guarded. `points` are the embeddings, sealed; no photograph and no name is kept."""

    id = Column(String(16), primary_key=True)
    label: Named[str] = Column(Text)
    consent: Named[str] = Column(Text)
    embedder: Named[str] = Column(String(64))
    points: Named[bytes] = Column(LargeBinary)
    created_at: Named[datetime] = Column(UtcTime)


class PriceColumns(TypedColumns):
    """A version of the price table; never changed, only followed by the next."""

    version = Column(Integer, primary_key=True, autoincrement=False)
    currency: Named[str] = Column(String(3))
    cpu_second: Named[float] = Column(Double)
    device_second: Named[float] = Column(Double)
    gigabyte: Named[float] = Column(Double)
    created_at: Named[datetime] = Column(UtcTime)


models = Table("models", metadata, ModelColumns)
controls = Table("controls", metadata, ControlColumns)
operators = Table("operators", metadata, OperatorColumns)
sessions = Table("sessions", metadata, SessionColumns)
reviews = Table("reviews", metadata, ReviewColumns)
audit = Table("audit", metadata, AuditColumns)
protected = Table("protected", metadata, ProtectedColumns)
prices = Table("prices", metadata, PriceColumns)
