"""The archive for a post-mortem: it has what it says, and none of the marks that were planted where faces and secrets
are."""

import base64
import io
import json
import zipfile
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from facemix.governance.audit import AuditLog
from facemix.governance.controls import KILL, Controls
from facemix.governance.incident import LEFT_OUT, gather, masked, scrubbed
from facemix.governance.review import Reviews
from facemix.settings import Settings
from facemix.storage.governance_tables import operators, protected, sessions
from facemix.storage.keys import KeyStore
from facemix.storage.tables import ledger, recipes, shelf

MARK = "planted-mark"
HOUR = timedelta(hours=1)


def opened(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def lines(content):
    return [json.loads(line) for line in content.splitlines()]


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data_dir=tmp_path / "data",
        secret=SecretStr(f"{MARK}-of-the-installation-secret"),
        s3_access_key_id=f"{MARK}-s3-id",
        s3_secret_access_key=SecretStr(f"{MARK}-s3-secret"),
        database_url=f"postgresql://user:{MARK}-password@host/facemix?password={MARK}-again",
        blob_url=f"s3://{MARK}-user@bucket/prefix",
        otlp_endpoint=f"http://{MARK}-name:word@collector:4318/v1?token={MARK}",
        public_url="https://faces.example",
    )


@pytest.fixture
def planted(database, secrets, noon):
    """A database with a mark in every place that may hold a face, a secret or somebody's words."""
    mark = MARK.encode()
    latent = base64.b64encode(mark * 100).decode()
    queue = Reviews(database, secrets, 72, 24)
    held, token = queue.hold("r-1", "guard", "near", picture=mark * 9, media_type="image/png", now=noon)
    queue.hold("r-2", "report", f"It looks like me. {MARK}", subject=f"{MARK}-abc", released=True, now=noon)
    other, other_token = queue.hold("r-3", "margin", "thin", picture=mark, media_type="image/png", now=noon)
    queue.reject(other.id, 1, actor="ann", reason="other", text=f"{MARK} wrote", now=noon)
    queue.appeal(other_token, f"{MARK} pleads", now=noon)
    secret = KeyStore(database).create("partner")
    record = {"z": MARK, "gates": {"sharpness": 0.4, "note": latent}, "latents": [MARK], "numbers": [0.5] * 512}
    row = {
        "id": "1",
        "request_id": "r-1",
        "at": noon,
        "route": "POST /api/v1/mix",
        "status": 202,
        "outcome": "held",
        "frames_encoded": 1,
        "frames_decoded": 2,
        "device_seconds": 0.5,
        "milliseconds": 3.0,
        "bytes_in": 10,
        "bytes_out": 20,
        "idempotency_key": f"{MARK}-key",
        "stage_ms": '{"look": 1.5}',
        "key_name": "partner",
        "record": json.dumps(record),
    }
    kept = {"data": mark, "note": MARK, "created_at": noon, "expires_at": noon + HOUR}
    saved = {"recipe": latent, "model_weights": "0" * 64, "delete_token_hash": f"{MARK}-hash", "created_at": noon}
    who = {"password_hash": f"{MARK}-argon", "role": "operator", "created_at": noon, "disabled_at": None}
    browser = {"csrf": f"{MARK}-csrf", "created_at": noon, "seen_at": noon, "expires_at": noon + HOUR}
    person = {"label": f"{MARK}-label", "consent": MARK, "embedder": "e", "points": mark, "created_at": noon}
    with database.writing() as connection:
        connection.execute(insert(ledger), row)
        connection.execute(insert(ledger), {**row, "id": "2", "at": noon - 48 * HOUR, "record": None})
        connection.execute(insert(shelf), {"id": f"{MARK}-face", "kind": "face", "owner": None, **kept})
        connection.execute(insert(recipes), {"id": f"{MARK}-abc", **saved})
        connection.execute(insert(operators), {"name": "ann", **who})
        connection.execute(insert(sessions), {"token_hash": f"{MARK}-cookie", "operator": "ann", **browser})
        connection.execute(insert(protected), {"id": "p", **person})
    stopped = {"on": True, "reason": "the disk smoked", "by": "ann"}
    Controls(database).set(KILL, stopped, actor="ann", action="kill.on", now=noon)
    return database, (secret, token, other_token, held.id)


def test_nothing_of_a_face_or_a_secret_is_in_it(planted, settings, noon):
    database, (secret, token, other_token, _) = planted
    findings = [{"check": "model", "verdict": "ok", "message": "fine", "hint": ""}]
    found = opened(gather(settings, database, since=noon - HOUR, now=noon, findings=findings))
    for name, content in found.items():
        for planted_bytes in (MARK, secret, token, other_token, base64.b64encode(MARK.encode() * 100).decode()[:40]):
            assert planted_bytes.encode() not in content, name
    assert not [name for name in found if name.endswith(".failed.txt")]


def test_everything_else_is(planted, settings, noon):
    database, (*_, held) = planted
    found = opened(gather(settings, database, since=noon - HOUR, now=noon, findings=[{"check": "model"}]))
    (row,) = lines(found["ledger.jsonl"])
    assert (row["request_id"], row["outcome"], row["key_name"], row["stage_ms"]) == (
        "r-1",
        "held",
        "partner",
        {"look": 1.5},
    )
    assert row["record"]["gates"]["sharpness"] == 0.4
    assert row["record"]["numbers"] == "left out: 512 numbers"
    (total,) = json.loads(found["ledger-sums.json"])
    assert (total["requests"], total["device_seconds"], total["bytes_in"]) == (1, 0.5, 10)
    by_id = {review["id"]: review for review in lines(found["reviews.jsonl"])}
    assert (by_id[held]["detail"], by_id[held]["has_picture"], by_id[held]["state"]) == ("near", True, "pending")
    assert sorted(review["state"] for review in by_id.values()) == ["appealed", "pending", "pending"]
    log = AuditLog(database)
    assert json.loads(found["audit-check.json"]) == {
        "rows": log.verify().rows,
        "newest": log.list(1)[0].hash,
        "broken": None,
    }
    assert "kill.on" in [line["action"] for line in lines(found["audit.jsonl"])]
    assert json.loads(found["controls.json"])["kill_switch"]["reason"] == "the disk smoked"
    stored = json.loads(found["stored.json"])
    assert stored["shelf"] == {"face": {"things": 1, "bytes": len(MARK)}}
    assert (stored["recipes"], stored["pictures_held"], stored["keys"], stored["sessions"]) == (1, 1, 1, 1)
    assert json.loads(found["doctor.json"]) == [{"check": "model"}]
    schema = json.loads(found["schema.json"])
    assert schema["revision"] == schema["newest"]
    assert json.loads(found["version.json"])["facemix"]
    assert json.loads(found["settings.json"])["public_url"] == "https://faces.example"


def test_what_is_older_is_left_out(planted, settings, noon):
    database, _ = planted
    found = opened(gather(settings, database, since=noon + HOUR, now=noon + HOUR))
    assert found["ledger.jsonl"] == found["reviews.jsonl"] == b""
    found = opened(gather(settings, database, since=noon - 72 * HOUR, now=noon))
    assert len(lines(found["ledger.jsonl"])) == 2


def test_settings_keep_their_values_but_for_secrets(settings):
    found = masked(settings)
    assert MARK not in json.dumps(found, default=str)
    assert found["secret"] == found["s3_access_key_id"] == LEFT_OUT
    assert found["database_url"] == "postgresql://***@host/facemix"
    assert found["otlp_endpoint"] == "http://***@collector:4318/v1"
    assert found["review_hours"] == 72
    assert set(found) == set(Settings.model_fields)
    assert masked(Settings())["secret"] is None


@pytest.mark.parametrize(
    "password",
    [
        "p/planted",
        "p planted",
        "p#planted",
        "p@planted",
        "p?planted",
        "p/@planted",
        "p@x/planted",
        "p?@/planted",
        "p:/@?planted",
    ],
)
@pytest.mark.parametrize("tail", ["", "?sslmode=require", "?password=planted@x"])
def test_no_password_survives_whatever_it_holds(password, tail):
    address = f"postgresql+psycopg://user:{password}@host:5432/facemix{tail}"
    found = masked(
        Settings(database_url=address, otlp_endpoint=f"http://user:{password.replace(' ', '')}@collector:4318/v1{tail}")
    )
    for name in ("database_url", "otlp_endpoint"):
        assert "planted" not in found[name]
        assert "user" not in found[name]
        assert found[name].partition("://")[0] in ("postgresql+psycopg", "http")


def test_what_tells_nothing_of_a_password_stays():
    found = masked(
        Settings(database_url="postgresql://u:a%2F%40b@host:5432/facemix?x=y", otlp_endpoint="http://c:1/v1")
    )
    assert found["database_url"] == "postgresql://***@host:5432/facemix"
    assert found["otlp_endpoint"] == "http://c:1/v1"
    assert masked(Settings(database_url="sqlite:////srv/facemix.db"))["database_url"] == "sqlite:////srv/facemix.db"
    assert masked(Settings(database_url="planted"))["database_url"] == LEFT_OUT


def test_a_part_that_fails_costs_no_other(tmp_path, settings, noon):
    from facemix.storage.database import Database

    with Database.open(f"sqlite:///{tmp_path}/empty.sqlite3") as empty:
        found = opened(gather(settings, empty, since=noon, now=noon))
    assert b"no tables" in found["ledger-sums.json.failed.txt"]
    assert json.loads(found["settings.json"])["port"] == 8000
    assert json.loads(found["schema.json"])["revision"] is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"a": {"z": [1, 2]}}, {"a": {"z": LEFT_OUT}}),
        ([1] * 16, [1] * 16),
        ([1.5] * 17, "left out: 17 numbers"),
        ([["x" * 201]], [["left out: 201 characters"]]),
        ("x" * 200, "x" * 200),
        (None, None),
    ],
)
def test_whatever_could_be_a_face_is_scrubbed(given, kept):
    assert scrubbed(given) == kept
