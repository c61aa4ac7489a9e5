"""Which models there are, and the schemas of what may be sent."""

import json

import pytest
from fake_mixer import CROP, FakeMixer, fake_directions
from tiny import tiny_checkpoint
from web_client import problem, running

MODELS, SCHEMAS = "/api/v1/models", "/api/v1/schemas"


def test_the_live_model_comes_first_and_the_shipped_ones_after_it():
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        body = client.get(MODELS).json()
    live, *others = body["items"]
    assert live["status"] == "live"
    assert live["model"]["id"] == "fake-32@abababababab"
    assert (live["crop_size"], live["attributes"]) == (CROP, 2)
    assert live["limitations"] == ["Hats are <not> kept."]
    (shipped,) = [one for one in others if one["model"]["name"] == "facemix-128"]
    assert (shipped["status"], shipped["crop_size"], shipped["attributes"]) == ("available", 128, 7)
    assert "non-commercial" in shipped["licence"]
    assert body["next"] is None


def test_pages_join_to_the_whole_list(client):
    whole = client.get(MODELS).json()["items"]
    assert len(whole) > 1
    found, cursor = [], None
    while True:
        page = client.get(MODELS, params={"limit": 1, **({} if cursor is None else {"cursor": cursor})}).json()
        assert len(page["items"]) == 1
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole


def test_a_chosen_checkpoint_is_listed_with_its_own_terms(tmp_path):
    folder = tiny_checkpoint(tmp_path / "mine", name="mine", licence="terms of mine", limitations=("It is tiny.",))
    with running(checkpoint=folder) as client:
        (mine,) = [one for one in client.get(MODELS).json()["items"] if one["model"]["name"] == "mine"]
        assert (mine["status"], mine["crop_size"], mine["attributes"]) == ("available", 32, 0)
        assert (mine["licence"], mine["limitations"]) == ("terms of mine", ["It is tiny."])
        # Without its weights nobody can make it live.
        (folder / "model.safetensors").unlink()
        assert "mine" not in [one["model"]["name"] for one in client.get(MODELS).json()["items"]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda card: card[: len(card) // 2],
        lambda card: "[]",
        lambda card: json.dumps({**json.loads(card), "licence": "\ud800", "config": 3, "limitations": [float("nan")]}),
        lambda card: json.dumps({**json.loads(card), "weights_sha256": "../.."}),
    ],
)
def test_a_damaged_card_breaks_nothing(tmp_path, damage):
    folder = tiny_checkpoint(tmp_path / "mine", name="mine")
    (folder / "card.json").write_text(damage((folder / "card.json").read_text()))
    (folder / "attributes.json").write_text("{")
    with running(checkpoint=folder) as client:
        names = [one["model"]["name"] for one in client.get(MODELS).json()["items"]]
    assert {"fake-32", "facemix-128"} <= set(names)


def test_models_are_listed_before_one_is_live():
    def broken():
        raise ZeroDivisionError

    with running(broken) as client:
        items = client.get(MODELS).json()["items"]
    assert items
    assert {one["status"] for one in items} == {"available"}


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=many", "limit"),
        ("cursor=nobody", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=" + "a" * 201, "cursor"),
        ("cursor=%00%ff", "cursor"),
    ],
)
def test_pages_that_there_are_not_are_refused(client, query, where):
    problem(client.get(f"{MODELS}?{query}"), 422, "request_invalid", where)


# --- schemas -----------------------------------------------------------------------------------------------


def test_every_listed_schema_is_one_and_takes_the_examples_of_its_requests(client):
    jsonschema = pytest.importorskip("jsonschema")
    paths = client.get("/openapi.json").json()["paths"]
    requests = {
        "mix": "/api/v1/mix",
        "strip": "/api/v1/strip",
        "grid": "/api/v1/grids",
        "animation": "/api/v1/animations",
    }
    listed = client.get(SCHEMAS).json()["items"]
    assert {one["name"] for one in listed} >= {"recipe", *requests}
    for one in listed:
        schema = client.get(one["url"]).json()
        assert (schema["$id"], schema["version"], schema["title"]) == (one["id"], one["version"], one["title"])
        jsonschema.Draft202012Validator.check_schema(schema)
        if one["name"] in requests:
            content = paths[requests[one["name"]]]["post"]["requestBody"]["content"]["application/json"]
            bodies = [example["value"] for example in content["examples"].values()]
            bodies = [body for body in bodies if "parents" in body]
            assert bodies
            for body in bodies:
                jsonschema.validate(body, schema)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({**bodies[0], "surprise": 1}, schema)


def test_the_schema_of_the_recipe_takes_the_recipe_of_an_answer(client):
    jsonschema = pytest.importorskip("jsonschema")
    schema = client.get(f"{SCHEMAS}/recipe").json()
    recipe = client.post("/api/v1/mix", json={"parents": [{"sample": 1}, {"sample": 2}]}).json()["recipe"]
    jsonschema.validate(recipe, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "vividness": 2}, schema)


def test_there_is_no_other_schema(client):
    for name in ("nothing", "..%2Frecipe", "%00", "a" * 5000):
        problem(client.get(f"{SCHEMAS}/{name}"), 404, "not_found", client.get(f"{SCHEMAS}/{name}").json()["where"])
