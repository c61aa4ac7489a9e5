"""Faces that leave as signed files and come back; receipts of what is deleted."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from web_client import PHOTO, running

from facemix.errors import LatentRefused, RecipeInvalid, SignatureInvalid
from facemix.faces.types import Quality
from facemix.governance.receipts import Receipts
from facemix.governance.secrets import Secrets
from facemix.governance.signing import Signatures
from facemix.mixing.recipe import ModelIdentity, PhotoParent
from facemix.safety.credentials import UploadCredentials
from facemix.safety.uploads import MOST_CARRIED
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web.accounts import Accounts
from facemix.web.governed import Governed
from facemix.web.kept_faces import KeptFace
from facemix.web.latent_files import VALID_DAYS, LatentFiles

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
MODEL = ModelIdentity(name="fake-32", weights="ab" * 32)
FIGURES = {
    "score": None,
    "face_pixels": 62.5,
    "sharpness": 0.04,
    "yaw": 0.25,
    "roll": -3.5,
    "brightness": 0.5,
    "photograph": None,
}


@pytest.fixture
def governed(tmp_path):
    settings = Settings(data_dir=tmp_path)
    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as database:
        database.upgrade()
        yield Governed.open(settings, database)


@pytest.fixture
def client(governed):
    accounts = Accounts(governed.database, ledger=False)
    with running(governed=governed, accounts=accounts, data_dir=governed.settings.data_dir) as client:
        yield client


def upload(client, **options):
    found = client.post("/api/v1/faces", files={"image": ("a.png", PHOTO, "image/png")}, **options).json()
    return found["faces"][0]["id"]


def pixels(mix):
    return np.asarray(Image.open(BytesIO(base64.b64decode(mix["image"]["base64"]))))


def key(governed, name):
    return {"Authorization": f"Bearer {governed.keys.create(name)}"}


def mixed(client, identity, **options):
    body = {"parents": [{"face_id": identity}, {"sample": 3}]}
    return client.post("/api/v1/mix", json=body, **options)


def test_a_face_comes_back_after_it_was_deleted_and_mixes_as_before(client):
    first = upload(client)
    before = mixed(client, first).json()
    file = client.get(f"/api/v1/faces/{first}/latent")
    assert file.headers["cache-control"] == "no-store"
    assert client.request("DELETE", f"/api/v1/faces/{first}").status_code == 204
    assert mixed(client, first).status_code == 404
    back = client.post("/api/v1/latents", json=file.json())
    assert back.status_code == 201
    assert back.json()["id"] != first
    assert back.json()["purpose"] == "mixing"
    after = mixed(client, back.json()["id"]).json()
    assert after["recipe"] == before["recipe"]
    assert np.array_equal(pixels(after), pixels(before))


def test_a_file_of_one_key_is_not_taken_from_another(client, governed):
    mine, other = key(governed, "mine"), key(governed, "other")
    file = client.get(f"/api/v1/faces/{upload(client, headers=mine)}/latent", headers=mine).json()
    for headers in (other, {}):
        answer = client.post("/api/v1/latents", json={"latent": file["latent"]}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "latent_refused")
    assert client.post("/api/v1/latents", json={"latent": file["latent"]}, headers=mine).status_code == 201


def test_another_s_face_cannot_be_taken_away(client, governed):
    identity = upload(client, headers=key(governed, "mine"))
    assert client.get(f"/api/v1/faces/{identity}/latent").status_code == 404


def gates_of(client, identity):
    """What the record of a mix says that the gates measured of a face."""
    explained = client.post("/api/v1/explain", json={"parents": [{"face_id": identity}, {"sample": 3}]}).json()
    return explained["record"]["gates"][0]["readings"]


@pytest.mark.parametrize("latent", ["", "x", "a.b.c", "é.é.é", "x" * 70_000])
def test_what_is_no_file_is_refused(client, latent):
    answer = client.post("/api/v1/latents", json={"latent": latent})
    assert answer.status_code == 422
    assert answer.json()["where"] == "latent"


def file_of(secrets, **changes):
    """A file of a face of the fake model, with other words in it."""
    z = np.zeros(32 * 32 * 3, np.float32)
    face = KeptFace("id", MODEL, z, PhotoParent(sha256="0" * 64, face=0, weight=1), NOON, NOON)
    signatures = Signatures(secrets, "latent")
    return signatures.sign({**signatures.read(LatentFiles(secrets).write(face, None)), **changes})


def test_a_latent_of_another_model_is_refused_by_name(client, governed):
    other = {"name": "other", "weights": "cd" * 32, "latent_schema": 1}
    answer = client.post("/api/v1/latents", json={"latent": file_of(governed.secrets, model=other)})
    assert (answer.status_code, answer.json()["code"]) == (409, "model_mismatch")


def test_a_latent_that_is_no_face_is_refused(client, governed):
    from facemix.mixing.latents import pack_latent

    z = pack_latent(np.full(32 * 32 * 3, 950, np.float32))
    answer = client.post("/api/v1/latents", json={"latent": file_of(governed.secrets, z=z)})
    assert (answer.status_code, answer.json()["code"]) == (422, "latent_refused")
    assert client.post("/api/v1/latents", json={"latent": file_of(governed.secrets)}).status_code == 201


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"facemix_latent": 3}, LatentRefused, "format 3"),
        ({"purpose": "training"}, LatentRefused, "'training'"),
        ({"owner": "somebody"}, LatentRefused, "another API key"),
        ({"expires_at": "2001-01-01T00:00:00+00:00"}, LatentRefused, "valid until 2001"),
        ({"expires_at": "tomorrow"}, SignatureInvalid, "no latent"),
        ({"expires_at": "2099-01-01T00:00:00"}, SignatureInvalid, "no latent"),
        ({"credentials": "{}"}, SignatureInvalid, "no latent"),
        ({"credentials": "[]"}, SignatureInvalid, "no latent"),
        ({"numbers": 7}, RecipeInvalid, "numbers"),
        ({"z": "%"}, SignatureInvalid, "no latent"),
        ({"surprise": 1}, SignatureInvalid, "no latent"),
        ({"quality": {**FIGURES, "score": "high"}}, SignatureInvalid, "no latent"),
        ({"quality": {**FIGURES, "sharpness": float("inf")}}, SignatureInvalid, "no latent"),
        ({"quality": {**FIGURES, "surprise": 1}}, SignatureInvalid, "no latent"),
        ({"quality": {"score": 1.0}}, SignatureInvalid, "no latent"),
        ({"quality": "good"}, SignatureInvalid, "no latent"),
    ],
)
def test_what_a_file_says_is_checked_though_it_is_signed(changes, error, said):
    secrets = Secrets(b"s" * 32)
    with pytest.raises(error, match=said):
        LatentFiles(secrets).read(file_of(secrets, **changes), None)


def test_a_file_has_everything_that_governs_a_latent():
    secrets = Secrets(b"s" * 32)
    parent = PhotoParent(sha256="0" * 64, face=1, weight=1)
    brought = UploadCredentials("image/jpeg", b"archive", intact=True, generator="a camera")
    measured = Quality(**{name: math.nan if value is None else value for name, value in FIGURES.items()})
    face = KeptFace("id", MODEL, np.arange(4, dtype=np.float32), parent, NOON, NOON, brought, quality=measured)
    files = LatentFiles(secrets)
    written = files.write(face, "mine", now=NOON)
    document = Signatures(secrets, "latent").read(written)
    assert document["model"] == MODEL.model_dump()
    assert (document["owner"], document["purpose"]) == ("mine", "mixing")
    assert (document["facemix_latent"], document["quality"]) == (2, FIGURES)
    assert datetime.fromisoformat(document["created_at"]) == NOON
    assert datetime.fromisoformat(document["expires_at"]) == NOON + timedelta(days=VALID_DAYS)
    read = files.read(written, "mine", now=NOON)
    assert (read.model, read.parent, read.credentials) == (MODEL, parent, brought)
    assert np.array_equal(read.z, face.z)
    assert repr(read.quality) == repr(measured), "of what was not measured, too"
    with pytest.raises(LatentRefused, match="valid until"):
        files.read(written, "mine", now=NOON + timedelta(days=VALID_DAYS))


def test_a_file_of_the_first_format_comes_back_without_figures(client, governed):
    signatures = Signatures(governed.secrets, "latent")
    first = signatures.read(file_of(governed.secrets, facemix_latent=1))
    del first["quality"]
    assert LatentFiles(governed.secrets).read(signatures.sign(first), None).quality is None
    back = client.post("/api/v1/latents", json={"latent": signatures.sign(first)})
    assert back.status_code == 201
    assert gates_of(client, back.json()["id"]) == []


def test_what_the_gates_measured_comes_back_with_the_face_and_leaves_again_with_it(client):
    identity = upload(client)
    measured = gates_of(client, identity)
    assert measured
    for _ in range(2):
        file = client.get(f"/api/v1/faces/{identity}/latent").json()
        client.request("DELETE", f"/api/v1/faces/{identity}")
        identity = client.post("/api/v1/latents", json=file).json()["id"]
        assert gates_of(client, identity) == measured


def test_whoever_changes_a_figure_breaks_the_signature(client):
    file = client.get(f"/api/v1/faces/{upload(client)}/latent").json()
    body, key_, signature = file["latent"].split(".")
    document = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    document["quality"]["sharpness"] += 1
    forged = base64.urlsafe_b64encode(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    answer = client.post("/api/v1/latents", json={"latent": f"{forged.decode().rstrip('=')}.{key_}.{signature}"})
    assert (answer.status_code, answer.json()["code"]) == (422, "signature_invalid")


def test_a_latent_of_another_size_is_refused(client, governed):
    from facemix.mixing.latents import pack_latent

    z = pack_latent(np.zeros(8, np.float32))
    for changes in ({"z": z}, {"z": z, "numbers": 8}):
        answer = client.post("/api/v1/latents", json={"latent": file_of(governed.secrets, **changes)})
        assert (answer.status_code, answer.json()["where"]) == (422, "latent")


def test_the_largest_credentials_fit_into_a_file():
    secrets, files = Secrets(b"s" * 32), LatentFiles(Secrets(b"s" * 32))
    parent = PhotoParent(sha256="0" * 64, face=0, weight=1)
    brought = UploadCredentials("image/jpeg", bytes(MOST_CARRIED), ("self#jumbf=/c2pa/x",) * 20, intact=True)
    measured = Quality(*[1 / 3] * 6, photograph=1 / 3)
    face = KeptFace("id", MODEL, np.zeros(4096, np.float32), parent, NOON, NOON, brought, quality=measured)
    assert files.read(LatentFiles(secrets).write(face, None), None).credentials == brought


def test_a_trusted_installation_s_file_is_taken():
    theirs = LatentFiles(Secrets(b"t" * 32))
    file = file_of(Secrets(b"t" * 32))
    with pytest.raises(SignatureInvalid, match="does not trust"):
        LatentFiles(Secrets(b"s" * 32)).read(file, None)
    assert LatentFiles(Secrets(b"s" * 32), (theirs.public_key,)).read(file, None).model == MODEL


def test_a_deletion_leaves_a_receipt(client, governed):
    identity = upload(client)
    answer = client.request("DELETE", f"/api/v1/faces/{identity}")
    receipt = Receipts(governed.secrets).read(answer.headers["x-facemix-receipt"])
    assert receipt.kind == "face"
    assert receipt.is_of(identity)
    again = client.request("DELETE", f"/api/v1/faces/{identity}")
    assert again.status_code == 404
    assert "x-facemix-receipt" not in again.headers


def test_without_an_installation_there_are_neither_files_nor_receipts():
    with running() as client:
        identity = upload(client)
        assert client.get(f"/api/v1/faces/{identity}/latent").status_code == 404
        answer = client.request("DELETE", f"/api/v1/faces/{identity}")
        assert answer.status_code == 204
        assert "x-facemix-receipt" not in answer.headers
