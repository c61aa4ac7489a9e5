from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from facemix.storage import governance_tables  # noqa: F401  # its tables belong to the metadata
from facemix.storage.tables import ledger, metadata, recipes, shelf


def recipe_row(**given):
    return {"id": "a", "recipe": "{}", "model_weights": "0" * 64, "delete_token_hash": "0" * 64, **given}


def test_the_migrations_lead_to_these_tables(database):
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_missing_column_would_be_noticed(fresh):
    with fresh.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE ledger DROP COLUMN bytes_in")
        assert compare_metadata(MigrationContext.configure(connection), metadata) != []


def test_the_ledger_has_no_column_for_who_or_what():
    assert {column.name for column in ledger.c} == {
        *("id", "request_id", "at", "route", "status", "error_code", "model_id", "key_name"),
        *("frames_encoded", "frames_decoded", "device_seconds", "milliseconds", "bytes_in", "bytes_out"),
        *("idempotency_key", "weights", "recipe_hash", "stage_ms", "cpu_seconds", "outcome", "reason", "consent"),
        *("price_version", "cost", "record"),
    }


def test_the_shelf_has_no_column_for_who_or_what_but_the_key():
    assert {column.name for column in shelf.c} == {"id", "kind", "owner", "data", "note", "created_at", "expires_at"}


def test_an_instant_comes_back_in_utc_to_the_microsecond(database, noon):
    elsewhere = noon.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    with database.writing() as connection:
        connection.execute(insert(recipes), recipe_row(created_at=elsewhere))
        found = connection.execute(select(recipes.c.created_at, recipes.c.expires_at)).one()
    assert found == (noon, None)
    assert found.created_at.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="has no time zone"), database.writing() as connection:
        connection.execute(insert(recipes), recipe_row(created_at=datetime(2030, 1, 1)))
