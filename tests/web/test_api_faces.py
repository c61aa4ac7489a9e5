"""Faces by id, and mixing by them."""

import base64
import json
from contextlib import contextmanager

import numpy as np
import pytest
from anyio import sleep
from fake_mixer import FakeMixer, latent_of
from web_client import CAT, CROWD, OTHER, PHOTO, files, opened, problem, running

from facemix.errors import Busy, DeadlineExceeded, EngineFailed
from facemix.mixing.latents import pack_latent
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.web import api_faces
from facemix.web.accounts import Accounts


def upload(client, photo=PHOTO, **options):
    answer = client.post("/api/v1/faces", files=files(image=photo), **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def face_id(client, photo=PHOTO, **options):
    return upload(client, photo, **options)["faces"][0]["id"]


def mixed(client, *parents, **body):
    return client.post("/api/v1/mix", json={"parents": list(parents), **body})


def pixels(answer):
    assert answer.status_code == 200, answer.text
    return opened(base64.b64decode(answer.json()["image"]["base64"]))


@contextmanager
def with_keys(tmp_path, *names):
    """The application with API keys, and a header for each name."""
    database = Database.open(f"sqlite:///{tmp_path / 'keys.sqlite3'}")
    database.upgrade()
    headers = [{"Authorization": f"Bearer {KeyStore(database).create(name)}"} for name in names]
    with running(accounts=Accounts(database, ledger=False)) as client:
        yield client, headers


def test_a_face_is_mixed_by_its_id_as_by_its_photo(client):
    first, second = face_id(client), face_id(client, OTHER)
    by_id = mixed(client, {"face_id": first, "weight": 0.3}, {"face_id": second, "weight": 0.7})
    photos = [base64.b64encode(photo).decode() for photo in (PHOTO, OTHER)]
    by_photo = mixed(client, {"image": photos[0], "weight": 0.3}, {"image": photos[1], "weight": 0.7})
    np.testing.assert_array_equal(pixels(by_id), pixels(by_photo))
    assert by_id.json()["recipe"] == by_photo.json()["recipe"]
    assert [face["source"] for face in by_id.json()["faces"]] == ["photo", "photo"]
    assert by_id.json()["faces"][0]["box"] is None  # the photo is not there to say


def test_a_face_is_mixed_with_its_detail_by_its_id_as_by_its_photo(client):
    first, second = face_id(client), face_id(client, OTHER)
    by_id = mixed(client, {"face_id": first, "weight": 0.3}, {"face_id": second, "weight": 0.7}, detail=1)
    photos = [base64.b64encode(photo).decode() for photo in (PHOTO, OTHER)]
    by_photo = mixed(client, {"image": photos[0], "weight": 0.3}, {"image": photos[1], "weight": 0.7}, detail=1)
    np.testing.assert_array_equal(pixels(by_id), pixels(by_photo))
    plain = mixed(client, {"face_id": first, "weight": 0.3}, {"face_id": second, "weight": 0.7})
    assert pixels(by_id).shape != pixels(plain).shape


def test_every_face_of_a_crowd_has_its_detail(client):
    usable = [face["id"] for face in upload(client, CROWD)["faces"] if face["id"] is not None]
    assert len(usable) == 2
    drawn = [pixels(mixed(client, {"face_id": one}, detail=1)) for one in usable]
    assert drawn[0].shape == drawn[1].shape
    assert not np.array_equal(*drawn)


def test_of_a_crowd_the_largest_faces_have_their_detail_and_the_others_a_latent(monkeypatch):
    monkeypatch.setattr(api_faces, "MOST_CUTS", 1)
    with running() as client:
        largest, smaller = [face["id"] for face in upload(client, CROWD)["faces"] if face["id"] is not None]
        assert mixed(client, {"face_id": largest}, detail=1).status_code == 200
        problem(mixed(client, {"face_id": smaller}, detail=1), 409, "photograph_missing", "parents.0")
        assert mixed(client, {"face_id": smaller}).status_code == 200


@pytest.mark.parametrize("error", [Busy, DeadlineExceeded, EngineFailed])
def test_a_face_that_could_not_be_cut_is_kept_without(error):
    class Failing(FakeMixer):
        async def keep_cuts(self, *given, **options):
            raise error("it was not done in time", hint="try again", retry_after=1)

    with running(Failing) as client:
        identity = face_id(client)
        assert mixed(client, {"face_id": identity}).status_code == 200
        problem(mixed(client, {"face_id": identity}, detail=1), 409, "photograph_missing", "parents.0")


def test_faces_are_cut_while_the_photo_has_its_ticket_and_before_there_is_an_id():
    seen = []

    class Watching(FakeMixer):
        async def keep_cuts(self, *given, **options):
            state = client.app.state.facemix
            seen.append((state.admission.inside, state.stores.shelf.shelf.held_bytes))
            await super().keep_cuts(*given, **options)

    with running(Watching) as client:
        before = client.app.state.facemix.stores.shelf.shelf.held_bytes
        upload(client, CROWD)
        # The look, what was expected of it, and the further face.
        assert seen == [(3, before)]
        assert client.app.state.facemix.admission.inside == 0


def test_detail_that_is_not_in_memory_any_more_asks_for_the_photograph_again():
    mixer = FakeMixer()
    with running(lambda: mixer) as client:
        identity = face_id(client)
        mixer.cuts.clear()  # as after some minutes
        problem(mixed(client, {"face_id": identity}, detail=1), 409, "photograph_missing", "parents.0")
        assert mixed(client, {"face_id": identity}).status_code == 200  # the latent is still there
        upload(client)
        assert mixed(client, {"face_id": identity}, detail=1).status_code == 200


def test_deleting_a_face_forgets_its_photograph_and_no_other():
    mixer = FakeMixer()
    with running(lambda: mixer) as client:
        mine, other = face_id(client), face_id(client, OTHER)
        assert len(mixer.cuts) == 2
        assert client.request("DELETE", f"/api/v1/faces/{mine}").status_code == 204
        assert len(mixer.cuts) == 1
        assert mixed(client, {"face_id": other}, detail=1).status_code == 200
        assert client.request("DELETE", f"/api/v1/faces/{mine}").status_code == 404
        assert len(mixer.cuts) == 1


def test_every_usable_face_of_a_photo_gets_an_id_and_the_refused_none(client):
    answer = upload(client, CROWD)
    for face in answer["faces"]:
        assert (face["id"] is None) == (face["refusal"] is not None)
        assert (face["expires_at"] is None) == (face["id"] is None)
    ids = [face["id"] for face in answer["faces"] if face["id"]]
    assert len(set(ids)) == len(ids) >= 2
    recipe = mixed(client, *({"face_id": one} for one in ids)).json()["recipe"]
    assert {parent["sha256"] for parent in recipe["parents"]} == {answer["sha256"]}
    assert [parent["face"] for parent in recipe["parents"]] == [face["index"] for face in answer["faces"] if face["id"]]


def test_a_deleted_face_is_gone(client):
    identity = face_id(client)
    assert client.get(f"/api/v1/faces/{identity}").json()["usable"] is True
    assert client.request("DELETE", f"/api/v1/faces/{identity}").status_code == 204
    for answer in (
        client.get(f"/api/v1/faces/{identity}"),
        client.request("DELETE", f"/api/v1/faces/{identity}"),
        mixed(client, {"sample": 1}, {"face_id": identity}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "face_gone")
    assert answer.json()["where"] == "parents.1"


@pytest.mark.parametrize("identity", ["x", "A" * 22, "%00", "..%2f..", "é" * 10])
def test_an_id_that_nobody_has_given_out_is_gone(client, identity):
    answer = client.get(f"/api/v1/faces/{identity}")
    assert answer.status_code == 404


def test_a_face_of_a_key_is_used_listed_and_forgotten_by_that_key_alone(tmp_path):
    with with_keys(tmp_path, "anna", "ben") as (client, (anna, ben)):
        mine, theirs = face_id(client, headers=anna), face_id(client, headers=ben)
        for headers in ({}, ben):
            assert client.get(f"/api/v1/faces/{mine}", headers=headers).status_code == 404
            assert client.request("DELETE", f"/api/v1/faces/{mine}", headers=headers).status_code == 404
            body = {"parents": [{"face_id": mine}]}
            assert client.post("/api/v1/mix", json=body, headers=headers).status_code == 404
        listed = client.get("/api/v1/faces", headers=anna).json()
        assert [item["id"] for item in listed["items"]] == [mine]
        assert listed["next"] is None
        assert theirs not in str(listed)
        assert client.request("DELETE", f"/api/v1/faces/{mine}", headers=anna).status_code == 204
        assert client.get("/api/v1/faces", headers=anna).json()["items"] == []


def test_faces_are_listed_by_pages_newest_first(tmp_path):
    with with_keys(tmp_path, "anna") as (client, (anna,)):
        made = [face_id(client, headers=anna) for _ in range(5)]
        seen, cursor = [], None
        while True:
            query = "limit=2" + (f"&cursor={cursor}" if cursor else "")
            page = client.get(f"/api/v1/faces?{query}", headers=anna).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == made[::-1]
        for query in ("limit=0", "limit=101", "cursor=nonsense"):
            assert client.get(f"/api/v1/faces?{query}", headers=anna).status_code == 422
        assert client.get("/api/v1/faces").status_code == 401


def test_a_face_of_another_model_is_refused_and_not_decoded():
    made = []

    def factory():
        mixer = FakeMixer()
        mixer.model = mixer.model.model_copy(update={"weights": ("ab", "cd")[len(made) % 2] * 32})
        made.append(mixer)
        return mixer

    with running(factory) as client:
        identity = face_id(client)
        client.portal.call(client.app.state.facemix.load)
        answer = mixed(client, {"face_id": identity})
        assert (answer.status_code, answer.json()["code"]) == (409, "model_mismatch")
        assert client.get(f"/api/v1/faces/{identity}").json()["usable"] is False


def test_faces_expire():
    with running(face_seconds=0.05) as client:
        identity = face_id(client)
        client.portal.call(sleep, 0.1)
        assert client.get(f"/api/v1/faces/{identity}").status_code == 404


def test_hand_placed_points_are_read_and_stand_in_the_recipe(client):
    points = {"left_eye": "20,20.5", "right_eye": "60, 20", "mouth": "40,45"}
    identity = upload(client, data=points)["faces"][0]["id"]
    (parent,) = mixed(client, {"face_id": identity}).json()["recipe"]["parents"]
    assert parent["placed"] == {"left_eye": [20, 20.5], "right_eye": [60, 20], "mouth": [40, 45]}


@pytest.mark.parametrize(
    "points",
    [
        {"left_eye": "20,20"},
        {"left_eye": "20,20", "right_eye": "60,20", "mouth": "nan,45"},
        {"left_eye": "20,20", "right_eye": "60,20", "mouth": "40"},
        {"left_eye": "20,20", "right_eye": "60,20", "mouth": "1e9,45"},
        {"left_eye": "20;20", "right_eye": "60,20", "mouth": "4,45"},
    ],
)
def test_points_that_are_none_are_refused_by_name(client, points):
    answer = client.post("/api/v1/faces", files=files(image=PHOTO), data=points)
    assert answer.status_code == 422
    assert answer.json()["where"] in ("left_eye", "right_eye", "mouth")


def test_a_photo_without_a_face_keeps_nothing(client):
    shelf = client.app.state.facemix.stores.shelf.shelf
    before = shelf.held_bytes
    assert client.post("/api/v1/faces", files=files(image=CAT)).status_code == 422
    assert shelf.held_bytes == before
    face_id(client)
    assert shelf.held_bytes > before


# --- latents and recipes as parents ------------------------------------------------------------------------


def test_a_latent_is_mixed_if_it_is_of_this_model(client):
    z = latent_of(FakeMixer().draw(4, 0))
    model = client.get("/api/v1/model").json()["model"]
    mine = {"name": model["name"], "weights": model["weights"], "latent_schema": model["latent_schema"]}
    answer = mixed(client, {"latent": {"model": mine, "z": pack_latent(z)}})
    np.testing.assert_array_equal(pixels(answer), pixels(mixed(client, {"sample": 4})))
    assert answer.json()["recipe"]["parents"][0]["kind"] == "latent"
    other = {**mine, "weights": "0" * 64}
    refused = mixed(client, {"latent": {"model": other, "z": pack_latent(z)}})
    assert (refused.status_code, refused.json()["where"]) == (409, "parents.0")
    short = mixed(client, {"latent": {"model": mine, "z": pack_latent(z[:5])}})
    assert (short.status_code, short.json()["code"]) == (422, "recipe_invalid")


def test_a_portable_recipe_is_drawn_again_without_photos(client):
    made = mixed(client, {"face_id": face_id(client)}, {"sample": 3}, vividness=0.25, portable=True)
    recipe = made.json()["recipe"]
    assert [parent["kind"] for parent in recipe["parents"]] == ["latent", "sample"]
    again = client.post("/api/v1/mix", json={"recipe": recipe})
    np.testing.assert_array_equal(pixels(again), pixels(made))
    assert again.json()["recipe"] == recipe


def test_a_recipe_with_photos_is_drawn_again_with_them_in_any_order(client):
    made = mixed(client, {"face_id": face_id(client)}, {"face_id": face_id(client, OTHER)}, regions={"eyes": [0, 1]})
    recipe = made.json()["recipe"]
    form = {"data": {"recipe": json.dumps(recipe)}, "files": files(photo_3=PHOTO, photo_0=OTHER)}
    again = client.post("/api/v1/mix", **form)
    np.testing.assert_array_equal(pixels(again), pixels(made))
    assert again.json()["recipe"] == recipe
    missing = client.post("/api/v1/mix", data=form["data"], files=files(photo_0=PHOTO))
    assert (missing.status_code, missing.json()["where"]) == (422, "recipe.parents.1")
    beside = client.post("/api/v1/mix", data={**form["data"], "weight": "0.5"}, files=form["files"])
    assert (beside.status_code, beside.json()["where"]) == (422, "weight")


def test_the_result_of_a_recipe_is_a_parent(client):
    made = mixed(client, {"sample": 3, "weight": 0.25}, {"sample": 4, "weight": 0.75})
    alone = mixed(client, {"recipe": made.json()["recipe"]})
    np.testing.assert_array_equal(pixels(alone), pixels(made))
    photo = mixed(client, {"face_id": face_id(client)}).json()["recipe"]
    refused = mixed(client, {"recipe": photo})
    assert (refused.status_code, refused.json()["where"]) == (422, "parents.0.parents.0")
    assert "portable" in refused.json()["hint"]


def test_a_recipe_of_another_model_is_refused(client):
    recipe = mixed(client, {"sample": 3}).json()["recipe"]
    recipe["model"]["weights"] = "0" * 64
    answer = client.post("/api/v1/mix", json={"recipe": recipe})
    assert (answer.status_code, answer.json()["code"]) == (409, "model_mismatch")
    assert answer.json()["details"]["live"]


def test_a_recipe_of_another_model_is_made_anew_from_its_photographs_where_that_is_asked_for(client):
    made = mixed(client, {"face_id": face_id(client)}, {"face_id": face_id(client, OTHER)})
    recipe = made.json()["recipe"]
    old = {**recipe, "model": {**recipe["model"], "weights": "0" * 64}}
    form = {"data": {"recipe": json.dumps(old)}, "files": files(photo_0=PHOTO, photo_1=OTHER)}
    assert client.post("/api/v1/mix", **form).json()["code"] == "model_mismatch"
    form["data"]["reencode"] = "true"
    anew = client.post("/api/v1/mix", **form)
    assert anew.json()["recipe"] == recipe
    np.testing.assert_array_equal(pixels(anew), pixels(made))
    old["parents"] = [{"kind": "sample", "number": 3, "weight": 1}]
    refused = client.post(
        "/api/v1/mix", data={"recipe": json.dumps(old), "reencode": "true"}, files=files(photo_0=PHOTO)
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "model_mismatch")
    assert "sample" in refused.json()["detail"]


def test_more_parents_than_the_operator_allows_are_refused_in_a_recipe_too():
    with running(max_parents=2) as client:
        recipe = mixed(client, {"sample": 3}).json()["recipe"]
        recipe["parents"] = [{"kind": "sample", "number": n, "weight": 0.25} for n in range(4)]
        answer = client.post("/api/v1/mix", json={"recipe": recipe})
        assert (answer.status_code, answer.json()["where"]) == (422, "recipe.parents")
