"""A database as an earlier facemix left it, with what it had stored, brought to the newest schema."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from sqlalchemy import text

from facemix.mixing.latents import pack_latent
from facemix.storage.blobs import BlobStore
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.keys import KeyStore
from facemix.storage.migrate import FOLDER, upgrade
from facemix.storage.recipes import RecipeStore
from facemix.storage.tokens import token_hash

LATER = "2999-01-01 00:00:00"
LATENT = pack_latent(np.arange(4, dtype=np.float32))
STATUSES = {"a": 200, "b": 422, "c": 499, "d": 503, "e": 202}


@pytest.fixture
def old(empty, tmp_path):
    """At revision 0003, with a row of everything."""
    folder = tmp_path / "earlier"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for step in (folder / "versions").glob("*.py"):
        if step.name > "0004":
            step.unlink()
    assert upgrade(empty.engine, folder)
    at = {"at": "2026-01-01 00:00:00", "later": LATER}
    with empty.writing() as connection:
        for identity, status in STATUSES.items():
            connection.execute(
                text(
                    "INSERT INTO ledger (id, request_id, at, route, status, frames_encoded, frames_decoded, "
                    "device_seconds, milliseconds, bytes_in, bytes_out) VALUES (:id, 'r', :at, 'POST /', :status, "
                    "1, 1, 0.5, 2, 3, 4)"
                ),
                {**at, "id": identity, "status": status},
            )
        connection.execute(
            text("INSERT INTO keys (name, secret_hash, created_at) VALUES ('mine', :hash, :at)"),
            {**at, "hash": token_hash("fmx_secret")},
        )
        connection.execute(
            text(
                "INSERT INTO recipes (id, recipe, model_weights, delete_token_hash, created_at) VALUES "
                "('abcdefghijklmnop', :recipe, :weights, :hash, :at)"
            ),
            {**at, "recipe": json.dumps({"z": LATENT}), "weights": "0" * 64, "hash": token_hash("delete")},
        )
        connection.execute(
            text(
                "INSERT INTO shelf (id, kind, owner, data, note, created_at, expires_at) VALUES "
                "('face-1', 'face', 'mine', :data, '', :at, :later)"
            ),
            {**at, "data": LATENT.encode()},
        )
    return empty


def test_what_was_stored_is_as_it_was(old):
    assert old.upgrade()
    assert old.check()
    key = KeyStore(old).find("fmx_secret")
    assert (key.name, key.scopes, key.expires_at, key.budget_day) == ("mine", None, None, None)
    saved = RecipeStore(old, BlobStore.open("memory:///"))
    assert json.loads(saved.get("abcdefghijklmnop").recipe) == {"z": LATENT}
    assert DatabaseShelf(old, 2**24).get("face", "face-1", owner="mine").data == LATENT.encode()
    saved.delete("abcdefghijklmnop", "delete")


def test_rows_of_the_ledger_learn_what_became_of_their_requests(old):
    old.upgrade()
    with old.reading() as connection:
        rows = connection.execute(text("SELECT id, outcome, cost, price_version, device_seconds FROM ledger")).all()
    assert {row.id: row.outcome for row in rows} == {
        "a": "kept",
        "b": "refused",
        "c": "failed",
        "d": "failed",
        "e": "kept",
    }
    assert {(row.cost, row.price_version, row.device_seconds) for row in rows} == {(0, 0, 0.5)}
