"""Explanations over HTTP, and the records that are kept of requests."""

import base64
import hashlib
import json
import threading

import numpy as np
import pytest
import torch
from fake_mixer import Fake, FakeMixer, fake_directions, latent_of
from prepared import prepared_set
from web_client import CAT, OTHER, PHOTO, files, opened, problem, running

from facemix.explaining.index import build_index
from facemix.serving.types import PhotoInput
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.storage.records import Records
from facemix.training.dataset import load_split
from facemix.vae.prior import LatentPrior
from facemix.web.accounts import Accounts
from facemix.web.explanations import frames_of_explanation
from facemix.web.governed import Governed
from facemix.web.inputs_json import mix_from_json

EXPLAIN, MIX = "/api/v1/explain", "/api/v1/mix"
SAMPLES = [{"sample": 3}, {"sample": 7}]
KNOWN = 150


def fake_index():
    """Training faces of the fake: its samples by number, and a photograph."""
    fake = FakeMixer()
    drawn = [latent_of(fake.draw(number, 0)) for number in range(KNOWN)]
    photographed = Fake.find_faces(fake, PhotoInput(PHOTO, "photo")).faces[0].crop
    latents = np.stack([*drawn, latent_of(photographed)])
    size = latents.shape[1]
    mean, scale = latents.mean(0), np.full(size, latents.std())
    prior = LatentPrior(torch.from_numpy(mean), torch.diag(torch.from_numpy(scale.astype(np.float32))))
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(KNOWN)]
    hashes.append(hashlib.sha256(PHOTO).hexdigest())
    return build_index(latents, hashes, [False] * len(hashes), prior, coarse_size=0, facts={})


@pytest.fixture(scope="module")
def index():
    return fake_index()


@pytest.fixture(scope="module")
def asked(index):
    """The application with a mixer that has directions and an index."""
    with running(lambda: FakeMixer(attributes=fake_directions(), neighbours=index)) as client:
        yield client


def explained(client, parents=SAMPLES, **body):
    answer = client.post(EXPLAIN, json={"parents": parents, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- what is answered --------------------------------------------------------------------------------------


def test_it_tells_who_drew_what_with_a_map_for_each(asked):
    found = explained(asked, [{"sample": 3, "weight": 0.8}, {"sample": 7, "weight": 0.2}])
    first, second = found["parents"]
    assert (first["name"], second["name"]) == ("A", "B")
    assert first["influence"] + second["influence"] == pytest.approx(1)
    assert first["influence"] > 0.7
    for one in found["parents"]:
        pixels = opened(base64.b64decode(one["picture"]["base64"]))
        assert pixels.shape == (one["picture"]["height"], one["picture"]["width"], 3)
    assert found["edits"] == []
    assert len(found["faces"]) == 2


def test_the_recipe_is_the_one_that_a_mix_has(asked):
    body = {"attributes": {"smile": 1.0}, "regions": {"eyes": [1, 0]}, "seed": 4}
    mixed = asked.post(MIX, json={"parents": SAMPLES, **body}).json()
    assert explained(asked, **body)["recipe"] == mixed["recipe"]


def test_edits_are_told_apart_with_the_words_of_prompts(asked):
    found = explained(asked, attributes={"smile": 2.0}, prompt="older", variation={"number": 1, "radius": 0.3})
    assert {one["name"] for one in found["edits"]} == {"smile", "age", "variation"}
    assert found["edits"][0]["name"] == "smile"
    assert all(one["mean"] > 0 for one in found["edits"])


def test_a_form_with_two_photos_is_explained(asked):
    answer = asked.post(EXPLAIN, data={"weight": "0.25"}, files=files(face_a=PHOTO, face_b=OTHER))
    assert answer.status_code == 200, answer.text
    assert [one["weight"] for one in answer.json()["parents"]] == [0.75, 0.25]
    assert [one["source"] for one in answer.json()["record"]["gates"]] == ["photo", "photo"]


def test_a_face_that_was_uploaded_before_has_the_gates_of_its_upload(asked):
    (face,) = asked.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"]
    (gates,) = explained(asked, [{"face_id": face["id"]}])["record"]["gates"]
    readings = {one["name"]: one["value"] for one in gates["readings"]}
    assert gates["source"] == "photo"
    assert readings["face_pixels"] == pytest.approx(face["quality"]["face_pixels"], abs=0.01)
    assert readings["yaw"] == pytest.approx(face["quality"]["yaw"], abs=0.001)


def test_a_recipe_is_explained_again(asked):
    recipe = asked.post(MIX, json={"parents": SAMPLES, "attributes": {"smile": 1.0}}).json()["recipe"]
    answer = asked.post(EXPLAIN, json={"recipe": recipe})
    assert answer.status_code == 200, answer.text
    assert answer.json()["recipe"] == recipe
    assert [one["name"] for one in answer.json()["edits"]] == ["smile"]


def test_one_parent_tells_of_its_neighbours(asked):
    found = explained(asked, [{"sample": 12}])
    near = found["closeness"]
    assert near["neighbours"][0]["hash"] == hashlib.sha256(b"12").hexdigest()[:16]
    assert (near["near"], near["alarm"], near["because"]) == (True, True, None)
    assert near["faces"] == KNOWN + 1
    assert all(one["picture"] is None for one in near["neighbours"])


def test_a_latent_that_was_brought_is_the_reason(asked):
    portable = asked.post(MIX, json={"parents": [{"sample": 12}, {"sample": 3}]}).json()["recipe"]["model"]
    z = base64.b64encode(latent_of(FakeMixer().draw(12, 0)).astype("<f4").tobytes()).decode()
    near = explained(asked, [{"latent": {"model": portable, "z": z}}])["closeness"]
    assert (near["near"], near["alarm"], near["because"]) == (True, False, "A")


@pytest.mark.parametrize("where", ["face", "upload"])
def test_a_training_photograph_at_weight_1_is_said_to_be_one(asked, where):
    parent = {"image": base64.b64encode(PHOTO).decode()}
    if where == "face":
        (face,) = asked.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"]
        parent = {"face_id": face["id"]}
    near = explained(asked, [{**parent, "weight": 1}, {"sample": 3, "weight": 0}])["closeness"]
    assert (near["near"], near["alarm"], near["because"]) == (True, False, "A")
    assert near["words"].endswith("The reason is face A, which makes 100 % of it: it is a training photograph itself.")


def test_without_an_index_the_rest_is_told(client):
    assert explained(client)["closeness"] is None


def test_the_record_holds_no_latent(asked):
    model = asked.get("/api/v1/model").json()["model"]
    z = base64.b64encode(np.zeros(32 * 32 * 3, "<f4").tobytes()).decode()
    latent = {"latent": {"model": {key: model[key] for key in ("name", "weights", "latent_schema")}, "z": z}}
    found = explained(asked, [latent, {"sample": 1}])
    assert found["record"]["recipe"]["parents"][0] == {"kind": "latent", "weight": 0.5}  # there is no secret to name it
    assert z not in json.dumps(found["record"])
    assert found["record"]["recipe_sha256"]


def test_a_portable_recipe_names_no_photograph(asked):
    found = asked.post(
        EXPLAIN,
        json={"parents": [{"image": base64.b64encode(PHOTO).decode()}, {"sample": 1}], "portable": True},
    ).json()
    assert [one["kind"] for one in found["recipe"]["parents"]] == ["latent", "sample"]


# --- what is refused ---------------------------------------------------------------------------------------


def test_what_a_mix_refuses_is_refused_alike(asked):
    for body in ({"parents": []}, {"parents": SAMPLES, "attributes": {"horns": 1}}, {"parents": SAMPLES, "x": 1}):
        mixed, told = asked.post(MIX, json=body), asked.post(EXPLAIN, json=body)
        assert (told.status_code, told.json()["code"]) == (mixed.status_code, mixed.json()["code"])
        assert told.json()["where"] == mixed.json()["where"]
    problem(asked.post(EXPLAIN, files=files(face_a=PHOTO, face_b=CAT)), 422, "face_not_found", "face_b")


def test_only_json_is_answered(asked):
    problem(asked.post(EXPLAIN, json={"parents": SAMPLES}, headers={"Accept": "image/png"}), 406, "not_acceptable")


@pytest.mark.parametrize(
    ("body", "frames"),
    [
        ({"parents": SAMPLES}, 1 + 2 + 2),
        ({"parents": [{"sample": 1}]}, 1 + 2),
        ({"parents": SAMPLES, "attributes": {"smile": 1}}, 1 + 2 + 1 + 2),
        ({"parents": SAMPLES, "regions": {"eyes": [1, 0]}}, 2 * (1 + 2) + 2),
        ({"parents": SAMPLES, "prompt": "older"}, 1 + 2 + 12 + 2),
        ({"recipe": "kV0tW3qfX8mZ1aBc"}, 8 * (1 + 8 + 12) + 2),
    ],
)
def test_the_queue_is_told_how_much_it_is(body, frames):
    wanted = mix_from_json(json.dumps(body).encode(), Settings())
    assert frames_of_explanation(Settings())(wanted) == frames


def test_a_full_queue_refuses_it():
    entered, leave = threading.Event(), threading.Event()

    def hook():
        entered.set()
        leave.wait(60)

    with running(lambda: FakeMixer(hook=hook), max_queue=6) as client:
        thread = threading.Thread(target=lambda: client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)))
        thread.start()
        assert entered.wait(60)
        problem(client.post(EXPLAIN, json={"parents": SAMPLES}), 503, "busy")
        leave.set()
        thread.join(60)


# --- pictures of training faces ----------------------------------------------------------------------------


def test_pictures_come_only_where_the_operator_has_the_data(tmp_path, index):
    folder = prepared_set(tmp_path / "set", train=20, validation=2, test=2)
    rows = load_split(folder, "train").rows
    assert rows[12]["sha256"] == hashlib.sha256(b"12").hexdigest()
    with running(lambda: FakeMixer(neighbours=index), training_data=str(folder)) as client:
        near = explained(client, [{"sample": 12}])["closeness"]["neighbours"]
    with_pictures = [one["hash"] for one in near if one["picture"] is not None]
    known = {row["sha256"][:16] for row in rows}
    assert with_pictures == [one["hash"] for one in near if one["hash"] in known]
    assert near[0]["hash"] in with_pictures


def test_a_data_set_that_is_not_there_costs_the_pictures_alone(tmp_path, index, caplog):
    with running(lambda: FakeMixer(neighbours=index), training_data=str(tmp_path / "nothing")) as client:
        near = explained(client)["closeness"]["neighbours"]
    assert [one["picture"] for one in near] == [None] * 5
    assert "FACEMIX_TRAINING_DATA" in caplog.text


def test_a_shard_that_is_gone_costs_its_pictures_alone(tmp_path, index, caplog):
    folder = prepared_set(tmp_path / "set", train=20, validation=2, test=2)
    (folder / "shard-00000.tar").unlink()
    with running(lambda: FakeMixer(neighbours=index), training_data=str(folder)) as client:
        near = explained(client, [{"sample": 12}])["closeness"]["neighbours"]
    assert near[0]["hash"] == hashlib.sha256(b"12").hexdigest()[:16]
    assert near[0]["picture"] is None
    assert "shard-00000" in caplog.text


# --- records -----------------------------------------------------------------------------------------------

MADE_HERE = "6f1d0f2c9b7e4a55a1f0c3d2e4b59687"
RECORD = {"schema": 1, "recipe_sha256": "ab" * 32}


@pytest.fixture
def database(tmp_path):
    made = Database.open(f"sqlite:///{tmp_path}/facemix.db")
    made.upgrade()
    text = json.dumps(RECORD)
    Ledger(made).append_many(
        [
            LedgerRow(request_id=MADE_HERE, route="POST /api/v1/mix", status=200, record=text),
            LedgerRow(request_id="order-1", route="POST /api/v1/mix", status=200, record=text),
            LedgerRow(request_id="order-2", route="POST /api/v1/mix", status=200, record=text, key_name="anna"),
            LedgerRow(request_id="f" * 12 + "4fff8" + "f" * 15, route="POST /api/v1/mix", status=200),
        ]
    )
    yield made
    made.close()


def kept(database, tmp_path, **settings):
    governed = Governed.open(Settings(data_dir=tmp_path), database)
    return running(accounts=Accounts(database), governed=governed, data_dir=tmp_path, **settings)


def key_of(database, name):
    return {"Authorization": f"Bearer {KeyStore(database).create(name)}"}


def test_the_record_of_a_request_is_told_to_whoever_knows_its_unguessable_id(database, tmp_path):
    with kept(database, tmp_path) as client:
        answer = client.get(f"/api/v1/records/{MADE_HERE}")
        assert answer.json() == {"request_id": MADE_HERE, "record": RECORD}
        assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize("identity", ["order-1", "order-2", "f" * 12 + "4fff8" + "f" * 15, "%00", "nothing"])
def test_without_a_key_nothing_else_is_told(database, tmp_path, identity):
    with kept(database, tmp_path) as client:
        answer = client.get(f"/api/v1/records/{identity}")
        assert (answer.status_code, answer.json()["code"]) == (404, "record_missing")


def test_a_key_reads_its_own_records_whatever_their_id(database, tmp_path):
    anna, mika = key_of(database, "anna"), key_of(database, "mika")
    with kept(database, tmp_path) as client:
        assert client.get("/api/v1/records/order-2", headers=anna).json()["record"] == RECORD
        for identity, key in (("order-2", mika), ("order-1", anna), (MADE_HERE, anna)):
            assert client.get(f"/api/v1/records/{identity}", headers=key).status_code == 404


def test_where_keys_are_needed_nothing_is_told_without_one(database, tmp_path):
    with kept(database, tmp_path, access="keys") as client:
        assert client.get(f"/api/v1/records/{MADE_HERE}").status_code in (401, 404)


def test_the_record_of_an_explanation_is_kept_with_its_row(database, tmp_path):
    with running(accounts=Accounts(database), data_dir=tmp_path) as client:
        told = client.post(EXPLAIN, json={"parents": SAMPLES})
        identity = told.headers["x-request-id"]
        assert told.status_code == 200
    again = Database.open(f"sqlite:///{tmp_path}/facemix.db")  # the ledger is written when the application ends
    assert json.loads(Records(again).find(identity, None)) == told.json()["record"]
    again.close()


def test_a_server_without_accounts_has_no_records(client):
    problem(client.get(f"/api/v1/records/{MADE_HERE}"), 404, "record_missing")
