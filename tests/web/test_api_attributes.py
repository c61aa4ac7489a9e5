"""What can be changed about a mix: attributes and words for them, regions."""

import base64
from io import BytesIO

import numpy as np
import pytest
from fake_mixer import CROP, FakeMixer, fake_directions
from PIL import Image
from web_client import problem, running

from facemix.mixing.recipe import MOST_MOVED, REGIONS
from facemix.mixing.regions import TITLES, masks

ATTRIBUTES, PROMPTS, REGIONS_URL = "/api/v1/attributes", "/api/v1/prompts", "/api/v1/regions"


@pytest.fixture(scope="module")
def moving():
    """The application with a mixer that has attribute directions."""
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        yield client


# --- attributes --------------------------------------------------------------------------------------------


def test_every_direction_is_listed_with_its_card(moving):
    answer = moving.get(ATTRIBUTES)
    body = answer.json()
    assert answer.headers["x-facemix-model"] == body["model"]["id"]
    assert body["available"] is True
    assert [one["name"] for one in body["attributes"]] == ["smile", "age"]
    smile = body["attributes"][0]
    assert (smile["low"], smile["high"], smile["step"], smile["limit"]) == ("less", "more", 0.7, MOST_MOVED)
    assert smile["effect"] == {"probe": 0.6, "picture": 0.5}
    assert smile["side_effects"] == {}


def test_a_listed_word_moves_the_attribute_as_far_as_the_list_says(moving):
    words = moving.get(ATTRIBUTES).json()["words"]
    assert {one["attribute"] for one in words} == {"smile", "age"}  # this model moves nothing else
    for one in words:
        body = moving.post(PROMPTS, json={"prompt": one["word"]}).json()
        assert body["attributes"] == {one["attribute"]: one["value"]}, one
        assert body["unknown"] == []


def test_a_model_without_directions_says_so(client):
    body = client.get(ATTRIBUTES).json()
    assert (body["available"], body["attributes"], body["words"]) == (False, [], [])
    problem(client.post(PROMPTS, json={"prompt": "older"}), 409, "attributes_missing", "prompt")


def test_an_answer_that_the_client_has_is_not_sent_again(moving, client):
    for path in (ATTRIBUTES, REGIONS_URL):
        first = moving.get(path)
        again = moving.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert moving.get(path, headers={"If-None-Match": '"another"'}).content == first.content
    # Another model, another answer.
    tag = moving.get(ATTRIBUTES).headers["etag"]
    assert client.get(ATTRIBUTES, headers={"If-None-Match": tag}).status_code == 200


# --- words -------------------------------------------------------------------------------------------------


def test_words_become_attributes_and_what_they_mean_is_told(moving):
    body = moving.post(PROMPTS, json={"prompt": "slightly older, smile +1.5", "negative_prompt": "older"}).json()
    assert body["attributes"] == {"age": -0.5, "smile": 1.5}
    assert [(term["attribute"], term["value"]) for term in body["terms"]] == [("age", 0.5), ("smile", 1.5), ("age", -1)]
    assert body["unknown"] == body["notes"] == []


def test_what_is_not_understood_is_told_with_what_may_have_been_meant(moving):
    body = moving.post(PROMPTS, json={"prompt": "oldr, beautiful"}).json()
    assert body["attributes"] == {}
    assert [one["text"] for one in body["unknown"]] == ["oldr", "beautiful"]
    assert "old" in body["unknown"][0]["near"]
    assert [note["code"] for note in body["notes"]] == ["unknown_words"] * 2


def test_the_same_words_with_a_mix_move_it_as_far(moving):
    meant = moving.post(PROMPTS, json={"prompt": "very old, serious"}).json()["attributes"]
    mixed = moving.post("/api/v1/mix", json={"parents": [{"sample": 1}], "prompt": "very old, serious"}).json()
    assert mixed["recipe"]["attributes"] == meant == {"age": 2, "smile": -1}


def test_no_words_say_nothing(moving):
    assert moving.post(PROMPTS, json={}).json() == {"attributes": {}, "terms": [], "unknown": [], "notes": []}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"prompt": "a" * 10_000}, "prompt"),
        ({"negative_prompt": "a," * 1001}, "negative_prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["older"]}, "prompt"),
        ({"words": "older"}, "words"),
        ([], None),
        ("older", None),
    ],
)
def test_bodies_that_do_not_fit_are_refused(moving, body, where):
    problem(moving.post(PROMPTS, json=body), 422, "request_invalid", where)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"prompt": "\\ud800"}', b"[" * 100_000])
def test_bytes_that_are_no_json_are_refused(moving, content):
    answer = moving.post(PROMPTS, content=content, headers={"Content-Type": "application/json"})
    problem(answer, 422, "request_invalid", answer.json()["where"])


def test_only_json_is_read(moving):
    problem(moving.post(PROMPTS, data={"prompt": "older"}), 415, "media_type_unsupported")
    problem(moving.post(PROMPTS), 415, "media_type_unsupported")


def test_a_longest_prompt_of_anything_is_answered(moving):
    for text in (
        "\N{RIGHT-TO-LEFT OVERRIDE}" * 2000,
        "," * 2000,
        "-" * 2000,
        "e\u0301" * 1000,
        "9" * 2000,
        "<b>," * 500,
    ):
        body = moving.post(PROMPTS, json={"prompt": text, "negative_prompt": text}).json()
        assert body["attributes"] == {}


# --- regions -----------------------------------------------------------------------------------------------


def test_the_masks_are_pictures_that_share_out_the_crop(client):
    body = client.get(REGIONS_URL).json()
    assert [one["name"] for one in body["regions"]] == list(REGIONS)
    assert [one["title"] for one in body["regions"]] == [TITLES[name] for name in REGIONS]
    assert body["size"] >= CROP
    shares = []
    for one in body["regions"]:
        with Image.open(BytesIO(base64.b64decode(one["mask"]["base64"]))) as picture:
            assert (picture.format, picture.size) == ("PNG", (body["size"], body["size"]))
            pixels = np.asarray(picture.convert("RGBA"))
        assert (pixels[..., :3] == 255).all()
        shares.append(pixels[..., 3].astype(int))
    np.testing.assert_allclose(np.stack(shares) / 255, masks(body["size"]), atol=0.5 / 255 + 1e-6)
    assert abs(np.sum(shares, axis=0) - 255).max() <= len(REGIONS) / 2


def test_every_listed_region_can_be_mixed(client):
    names = [one["name"] for one in client.get(REGIONS_URL).json()["regions"]]
    body = {"parents": [{"sample": 1}, {"sample": 2}], "regions": {name: [1, 0] for name in names}}
    assert client.post("/api/v1/mix", json=body).status_code == 200


def test_before_the_model_is_there_they_wait_politely():
    def broken():
        raise ZeroDivisionError

    with running(broken) as client:
        for path in (ATTRIBUTES, REGIONS_URL):
            problem(client.get(path), 503, "internal")
        problem(client.post(PROMPTS, json={"prompt": "older"}), 503, "internal")
