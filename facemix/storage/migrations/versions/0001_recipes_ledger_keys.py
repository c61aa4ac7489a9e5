"""Recipes, ledger and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "recipes",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("model_weights", sa.String(64), nullable=False),
        sa.Column("delete_token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("expires_at", instant),
        sa.PrimaryKeyConstraint("id", name="pk_recipes"),
    )
    op.create_index("ix_recipes_expires_at", "recipes", ["expires_at"])
    op.create_table(
        "ledger",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("model_id", sa.Text),
        sa.Column("key_name", sa.Text),
        sa.Column("frames_encoded", sa.Integer, nullable=False),
        sa.Column("frames_decoded", sa.Integer, nullable=False),
        sa.Column("device_seconds", sa.Double, nullable=False),
        sa.Column("milliseconds", sa.Double, nullable=False),
        sa.Column("bytes_in", sa.BigInteger, nullable=False),
        sa.Column("bytes_out", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_at", "ledger", ["at"])
    op.create_table(
        "keys",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("revoked_at", instant),
        sa.PrimaryKeyConstraint("name", name="pk_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_keys_secret_hash"),
        sa.CheckConstraint("requests_per_minute > 0", name="ck_keys_rate_positive"),
    )
