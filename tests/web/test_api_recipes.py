"""Recipes behind links: saved, opened, drawn again, used as parents, deleted."""

import asyncio
import base64
import json
import sqlite3
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from fake_mixer import FakeMixer
from web_client import CAT, OTHER, PHOTO, files, opened, running

from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web import inputs_json
from facemix.web.stores import Stores

TOKEN = "X-Facemix-Delete-Token"


@contextmanager
def storing(folder, factory=FakeMixer, **settings):
    """The application with somewhere to save recipes."""
    settings["data_dir"] = folder
    database = Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}")
    database.upgrade()
    with running(factory, stores=Stores.open(Settings(**settings), database), **settings) as client:
        yield client
    database.close()


@pytest.fixture
def store(tmp_path):
    with storing(tmp_path) as client:
        yield client


def face_id(client, photo=PHOTO):
    return client.post("/api/v1/faces", files=files(image=photo)).json()["faces"][0]["id"]


def save(client, *parents, **body):
    answer = client.post("/api/v1/recipes", json={"parents": list(parents), **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def mixed(client, *parents, **body):
    answer = client.post("/api/v1/mix", json={"parents": list(parents), **body})
    assert answer.status_code == 200, answer.text
    return opened(base64.b64decode(answer.json()["image"]["base64"]))


def pair(client):
    return {"face_id": face_id(client), "weight": 0.3}, {"face_id": face_id(client, OTHER), "weight": 0.7}


def test_a_saved_recipe_gives_the_same_pixels_and_holds_no_photo(store):
    parents = pair(store)
    saved = save(store, *parents, regions={"eyes": [0, 1]}, vividness=0.25)
    recipe = store.get(f"/api/v1/recipes/{saved['id']}").json()
    assert recipe["available"] is True
    assert [parent["kind"] for parent in recipe["recipe"]["parents"]] == ["latent", "latent"]
    expected = mixed(store, *parents, regions={"eyes": [0, 1]}, vividness=0.25)
    np.testing.assert_array_equal(opened(store.get(f"/api/v1/recipes/{saved['id']}/picture").content), expected)
    for body in ({"recipe": saved["id"]}, {"recipe": recipe["recipe"]}):
        again = store.post("/api/v1/mix", json=body)
        np.testing.assert_array_equal(opened(base64.b64decode(again.json()["image"]["base64"])), expected)


SHARP = {"detail": 1, "keep": {"hair": 0}, "size": 256}


@pytest.mark.parametrize("placement", [None, {"onto": "photo"}, {"onto": "blurred"}, {"onto": "plain"}])
def test_a_saved_picture_holds_nothing_of_a_photograph_and_is_drawn_again_from_the_link(store, placement):
    photo = {"image": base64.b64encode(PHOTO).decode()}
    own, sharp = mixed(store, photo), mixed(store, photo, **SHARP, placement=placement)
    assert own.shape != sharp.shape
    saved = save(store, photo, **SHARP, placement=placement)
    recipe = store.get(f"/api/v1/recipes/{saved['id']}").json()["recipe"]
    assert [recipe[name] for name in ("detail", "keep", "size", "placement")] == [0, {}, None, None]
    np.testing.assert_array_equal(opened(store.get(f"/api/v1/recipes/{saved['id']}/picture").content), own)
    again = store.post("/api/v1/mix", json={"recipe": saved["id"]}).json()
    np.testing.assert_array_equal(opened(base64.b64decode(again["image"]["base64"])), own)


def test_so_is_that_of_a_recipe_that_says_more(store):
    first = {"face_id": face_id(store)}
    made = store.post("/api/v1/mix", json={"parents": [first], **SHARP, "portable": True}).json()["recipe"]
    for placement in (None, {"onto": "photo", "parent": 0}, {"onto": "plain", "colour": "#e8e4da"}):
        saved = store.post("/api/v1/recipes", json={"recipe": {**made, "placement": placement}})
        assert saved.status_code == 201, saved.text
        path = f"/api/v1/recipes/{saved.json()['id']}"
        recipe = store.get(path).json()["recipe"]
        assert recipe == {**made, "detail": 0, "keep": {}, "size": None, "placement": None}
        np.testing.assert_array_equal(opened(store.get(path + "/picture").content), mixed(store, first))


def test_a_saved_recipe_is_a_parent_and_remembered_as_one(store):
    first = save(store, *pair(store))
    second = save(store, {"recipe": first["id"], "weight": 0.6}, {"sample": 3, "weight": 0.4})
    parents = store.get(f"/api/v1/recipes/{second['id']}").json()["parents"]
    assert parents == [
        {"kind": "latent", "weight": 0.6, "sample": None, "origin": first["id"]},
        {"kind": "sample", "weight": 0.4, "sample": 3, "origin": None},
    ]


def test_a_recipe_can_be_saved_as_it_stands_without_photos(store):
    answer = store.post("/api/v1/mix", json={"parents": list(pair(store)), "portable": True}).json()
    saved = store.post("/api/v1/recipes", json={"recipe": answer["recipe"]})
    assert saved.status_code == 201
    assert store.get(f"/api/v1/recipes/{saved.json()['id']}").json()["recipe"] == answer["recipe"]
    with_photo = store.post("/api/v1/mix", json={"parents": list(pair(store))}).json()["recipe"]
    refused = store.post("/api/v1/recipes", json={"recipe": with_photo})
    assert (refused.status_code, refused.json()["where"]) == (422, "recipe.parents.0")


def test_the_token_deletes_recipe_and_picture_and_nothing_else_does(store):
    saved = save(store, {"sample": 1})
    path = f"/api/v1/recipes/{saved['id']}"
    for headers in ({}, {TOKEN: "x"}, {TOKEN: "x" * 43}, {TOKEN: ""}):
        assert store.request("DELETE", path, headers=headers).status_code == 404
    assert store.get(path).status_code == 200
    assert store.request("DELETE", path, headers={TOKEN: saved["delete_token"]}).status_code == 204
    assert store.get(path).status_code == store.get(path + "/picture").status_code == 404
    assert store.post("/api/v1/mix", json={"recipe": saved["id"]}).status_code == 404


def test_addresses_are_those_that_the_client_has_used(store):
    saved = save(store, {"sample": 1})
    assert saved["url"] == f"http://facemix.test/r/{saved['id']}"
    assert saved["delete_url"] == f"{saved['url']}/delete?token={saved['delete_token']}"
    assert saved["picture_url"] == f"http://facemix.test/api/v1/recipes/{saved['id']}/picture"


def test_a_link_lives_as_long_as_was_asked_for_and_allowed(tmp_path):
    with storing(tmp_path, link_days=2) as client:
        assert save(client, {"sample": 1})["expires_at"] is not None
        assert save(client, {"sample": 1}, expires_in=60)["expires_at"] is not None
        answer = client.post("/api/v1/recipes", json={"parents": [{"sample": 1}], "expires_in": 3 * 86400})
        assert (answer.status_code, answer.json()["where"]) == (422, "expires_in")
        for seconds in (0, -1, 59.9, "60", 1e30):
            body = {"parents": [{"sample": 1}], "expires_in": seconds}
            assert client.post("/api/v1/recipes", json=body).status_code == 422
    with storing(tmp_path, link_days=0) as client:
        assert save(client, {"sample": 1})["expires_at"] is None


def test_a_recipe_of_a_model_that_is_gone_is_shown_and_not_drawn(tmp_path):
    with storing(tmp_path) as client:
        saved = save(client, {"sample": 1})

    def newer():
        mixer = FakeMixer()
        mixer.model = mixer.model.model_copy(update={"weights": "cd" * 32})
        return mixer

    with storing(tmp_path, newer) as client:
        path = f"/api/v1/recipes/{saved['id']}"
        found = client.get(path).json()
        assert found["available"] is False
        assert found["live"]["weights"] == "cd" * 32
        assert client.get(path + "/picture").status_code == 200
        refused = client.post("/api/v1/mix", json={"recipe": saved["id"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "model_mismatch")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parents": []},
        {"parents": [{"sample": 1}], "recipe": "kV0tW3qfX8mZ1aBc"},
        {"recipe": {"version": 1}},
        {"parents": [{"sample": 1}], "title": "me"},
        {"parents": [{"sample": 1}], "regions": {"eyes": [1, 0]}},
    ],
)
def test_what_cannot_be_saved_is_refused(store, body):
    answer = store.post("/api/v1/recipes", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("request_invalid", "recipe_invalid")


def test_a_photo_without_a_face_saves_nothing(store, tmp_path):
    body = {"parents": [{"image": base64.b64encode(CAT).decode()}]}
    assert store.post("/api/v1/recipes", json=body).status_code == 422
    with sqlite3.connect(tmp_path / "facemix.sqlite3") as database:
        assert database.execute("select count(*) from recipes").fetchone() == (0,)


@pytest.mark.parametrize("identity", ["x", "a" * 16, "%2e%2e%2f", "' or 1=1 --"])
def test_an_id_that_nobody_has_given_out_is_not_found(store, identity):
    assert store.get(f"/api/v1/recipes/{identity}").status_code == 404
    assert store.get(f"/api/v1/recipes/{identity}/picture").status_code == 404


def test_without_storage_saving_is_refused_and_mixing_goes_on(client):
    answer = client.post("/api/v1/recipes", json={"parents": [{"sample": 1}]})
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert client.post("/api/v1/mix", json={"parents": [{"sample": 1}]}).status_code == 200


def test_no_photograph_comes_to_lie_in_the_data_folder(tmp_path):
    marker = b"a-marker-that-nothing-else-holds"
    photo = PHOTO + marker  # after the end of a PNG, where decoders do not look
    with storing(tmp_path) as client:
        identity = client.post("/api/v1/faces", files={"image": ("secret-name.png", photo)}).json()["faces"][0]["id"]
        saved = save(client, {"face_id": identity}, {"image": base64.b64encode(photo).decode()})
        text = json.dumps(client.get(f"/api/v1/recipes/{saved['id']}").json())
    assert "secret-name" not in text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert marker not in content, path
            assert b"secret-name" not in content, path
            assert PHOTO[8:] not in content, path


def test_addresses_are_those_that_the_operator_says(tmp_path):
    with storing(tmp_path, public_url="https://faces.example/mix/") as client:
        saved = save(client, {"sample": 1})
        assert saved["url"] == f"https://faces.example/mix/r/{saved['id']}"
        assert saved["delete_url"].startswith(saved["url"])
        page = client.get(f"/r/{saved['id']}", headers={"Host": "evil.example"}).text
        assert "evil.example" not in page
        assert f"https://faces.example/mix/r/{saved['id']}/preview.png" in page


def test_photographs_are_not_decoded_on_the_event_loop(store, monkeypatch):
    seen = []
    decode = inputs_json.decode_base64

    def noted(text, **options):
        seen.append(threading.current_thread())
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return decode(text, **options)

    monkeypatch.setattr(inputs_json, "decode_base64", noted)
    save(store, {"image": base64.b64encode(PHOTO).decode()})
    assert len(seen) == 1
