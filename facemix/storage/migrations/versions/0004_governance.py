"""Governance: models, controls, operators, reviews, audit, protected people, prices; what the ledger and keys gain."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _ledger_and_keys()
    _models_and_controls()
    _people()
    _reviews()
    _audit_and_prices()


def _ledger_and_keys() -> None:
    for column in (
        sa.Column("idempotency_key", sa.Text),
        sa.Column("weights", sa.String(64)),
        sa.Column("recipe_hash", sa.String(64)),
        sa.Column("stage_ms", sa.Text),
        sa.Column("cpu_seconds", sa.Double, nullable=False, server_default="0"),
        sa.Column("outcome", sa.String(16), nullable=False, server_default="kept"),
        sa.Column("reason", sa.Text),
        sa.Column("consent", sa.Text),
        sa.Column("price_version", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cost", sa.Double, nullable=False, server_default="0"),
        sa.Column("record", sa.Text),
    ):
        op.add_column("ledger", column)
    op.create_index("ix_ledger_recipe_hash", "ledger", ["recipe_hash"])
    op.create_index("ix_ledger_request_id", "ledger", ["request_id"])
    # Rows of before tell by their status and code what became of them; 499 is a client that left.
    op.execute("UPDATE ledger SET outcome = 'failed' WHERE status >= 499")
    op.execute("UPDATE ledger SET outcome = 'refused' WHERE status >= 400 AND status < 499")
    for column in (
        sa.Column("expires_at", INSTANT),
        sa.Column("scopes", sa.Text),
        sa.Column("budget_day", sa.Double),
        sa.Column("budget_month", sa.Double),
    ):
        op.add_column("keys", column)


def _models_and_controls() -> None:
    op.create_table(
        "models",
        sa.Column("weights", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("latent_schema", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("is_default", sa.Integer, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("results", sa.Text),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("former", sa.String(64)),
        sa.PrimaryKeyConstraint("weights", name="pk_models"),
    )
    op.create_index("ix_models_name", "models", ["name"])
    op.create_table(
        "controls",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_controls"),
    )


def _people() -> None:
    op.create_table(
        "operators",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT),
        sa.PrimaryKeyConstraint("name", name="pk_operators"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_operator", "sessions", ["operator"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "protected",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("consent", sa.Text, nullable=False),
        sa.Column("embedder", sa.String(64), nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_protected"),
    )


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("status_token_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("trigger", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("model_id", sa.Text),
        sa.Column("recipe_hash", sa.String(64)),
        sa.Column("subject", sa.Text),
        sa.Column("released", sa.Integer, nullable=False),
        sa.Column("media_type", sa.String(32)),
        sa.Column("picture", sa.LargeBinary),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", INSTANT),
        sa.Column("reason", sa.String(32)),
        sa.Column("text", sa.Text),
        sa.Column("appeal", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.UniqueConstraint("status_token_hash", name="uq_reviews_status_token_hash"),
    )
    for column in ("request_id", "state", "recipe_hash", "expires_at"):
        op.create_index(f"ix_reviews_{column}", "reviews", [column])


def _audit_and_prices() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "prices",
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("cpu_second", sa.Double, nullable=False),
        sa.Column("device_second", sa.Double, nullable=False),
        sa.Column("gigabyte", sa.Double, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_prices"),
    )
