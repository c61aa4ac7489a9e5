import base64
import io
import json
import threading
import time
import zipfile

import pytest
from anyio import to_thread
from fake_mixer import FakeMixer, fake_directions
from web_client import CAT, CROWD, DEFECT, OTHER, PHOTO, opened, problem, running

from facemix.mixing.recipe import Recipe

BATCHES = "/api/v1/batches"
PEOPLE = {"people/anna.png": PHOTO, "ben.png": OTHER, "cat.png": CAT, "defect.png": DEFECT}


@pytest.fixture(scope="module")
def client():
    with running(lambda: FakeMixer(attributes=fake_directions())) as made:
        yield made


def packed(table: str | None, files=PEOPLE, folder="", method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if table is not None:
            archive.writestr(f"{folder}pairs.csv", table)
        for name, data in files.items():
            archive.writestr(folder + name, data)
    return buffer.getvalue()


def send(client, data: bytes, **fields):
    return client.post(BATCHES, files={"archive": ("batch.zip", data, "application/zip")}, data=fields)


def finished(client, answer) -> dict:
    assert answer.status_code == 202, answer.text
    url = answer.json()["job"]["url"].removeprefix("http://facemix.test")
    assert answer.headers["location"].endswith(url)
    limit = time.monotonic() + 60
    while (job := client.get(url).json())["state"] in ("queued", "running"):
        assert time.monotonic() < limit
        time.sleep(0.01)
    return job


def unpacked(client, job) -> tuple[dict, dict[str, bytes]]:
    assert job["state"] == "done", job
    answer = client.get(job["result_url"].removeprefix("http://facemix.test"))
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("manifest.json")), files


TABLE = """\
a,b,weight,name,attr:smile,prompt
people/anna.png,ben.png,0.25,Anna & Ben,1,older
ben.png,cat.png,,,,
sample:3,sample:4,,,,
ben.png,missing.png,,,,
../ben.png,ben.png,,,,
ben.png,defect.png,,,,
"""


def test_an_archive_becomes_an_archive_with_what_became_of_every_row(client, caplog):
    job = finished(client, send(client, packed(TABLE)))
    assert (job["kind"], job["done"], job["total"]) == ("batch", 6, 6)
    assert job["notes"] == ["4 of 6 failed; manifest.json says why."]
    manifest, files = unpacked(client, job)
    assert (manifest["made"], manifest["failed"]) == (2, 4)
    assert list(files) == ["0001-Anna_Ben.png", "0003-sample3-sample4.png"]
    first, cat, _, missing, outside, defect = manifest["items"]
    assert [one["problem"]["code"] for one in (cat, missing, outside, defect)] == [
        "face_not_found",
        "request_invalid",
        "request_invalid",
        "internal",
    ]
    assert [one["problem"]["where"] for one in (cat, missing, outside)] == ["cat.png", "missing.png", "a"]
    assert "secret" not in json.dumps(manifest)
    assert "secret inner workings" in caplog.text
    recipe = Recipe.model_validate(first["recipe"])
    assert recipe.weights == (0.75, 0.25)
    assert recipe.attributes == {"age": 1.0, "smile": 1.0}
    body = {
        "parents": [
            {"image": base64.b64encode(PHOTO).decode(), "weight": 0.75},
            {"image": base64.b64encode(OTHER).decode(), "weight": 0.25},
        ],
        "attributes": {"smile": 1.0},
        "prompt": "older",
    }
    mixed = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
    assert (opened(files[first["file"]]) == opened(mixed.content)).all()


def test_a_folder_that_was_packed_as_it_is_and_the_options_of_the_form(client):
    data = packed("p1,w1,p2,w2,p3,w3\nben.png,2,sample:1,1,people/anna.png,1\n", folder="my faces/")
    manifest, files = unpacked(client, finished(client, send(client, data, image_format="image/webp", portable="true")))
    (item,) = manifest["items"]
    assert list(files) == ["0001-ben-sample1-anna.webp"]
    assert [parent["kind"] for parent in item["recipe"]["parents"]] == ["latent", "sample", "latent"]
    assert [parent["weight"] for parent in item["recipe"]["parents"]] == [0.5, 0.25, 0.25]


def test_a_list_of_mixes(client):
    items = [
        {"parents": [{"sample": 1}, {"sample": 2}], "name": "../x"},
        {"parents": [{"face_id": "nobody"}]},
        {"parents": [{"image": base64.b64encode(CROWD).decode(), "face": 1}], "image_format": "image/jpeg"},
    ]
    manifest, files = unpacked(client, finished(client, client.post(BATCHES, json={"items": items})))
    assert list(files) == ["0001-x.png", "0003-mix_3.jpg"]
    assert manifest["items"][1]["problem"]["code"] == "face_gone"


@pytest.mark.parametrize(
    ("data", "code", "where"),
    [
        (b"", "request_invalid", "archive"),
        (b"PK\x03\x04 is no more than a beginning", "request_invalid", "archive"),
        (packed(None), "request_invalid", "archive"),
        (packed("a,b\n"), "request_invalid", "pairs.csv"),
        (packed("a,b,colour\nben.png,ben.png,1\n"), "request_invalid", "pairs.csv"),
        (packed("a,b\n" + "sample:1,sample:2\n" * 201), "request_invalid", "items"),
        (packed("a,b\nsample:1,sample:2\n", {"../x": b"1"}), "request_invalid", "archive"),
        (packed("a,b\nsample:1,sample:2\n", method=zipfile.ZIP_BZIP2), "request_invalid", "archive"),
    ],
)
def test_what_is_no_batch_is_refused_at_once(client, data, code, where):
    problem(send(client, data), 422, code, where)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"items": []}, "items"),
        ({"items": [{"parents": [{"sample": 1}]}] * 201}, "items"),
        ({"items": [{"parents": [{"sample": 1}]}, {"parents": [{"image": "?"}]}]}, "items.1.parents.0"),
        ({"items": [{"parents": [{"sample": 1}], "weights": [1]}]}, "items.0.weights"),
    ],
)
def test_a_list_that_is_not_valid_is_refused_at_once(client, body, where):
    problem(client.post(BATCHES, json=body), 422, "request_invalid", where)


def test_a_bomb_costs_one_row_and_no_more_than_a_photo_may_have(client):
    bomb = packed("a,b\nbomb.png,ben.png\nben.png,ben.png\n", {"bomb.png": bytes(60_000_000), "ben.png": OTHER})
    assert len(bomb) < 100_000
    manifest, files = unpacked(client, finished(client, send(client, bomb)))
    assert manifest["items"][0]["problem"]["code"].startswith("image_")
    assert list(files) == ["0002-ben-ben.png"]


def test_an_archive_that_unfolds_into_too_much_is_refused(client):
    bomb = packed("a,b\nsample:1,sample:2\n", {f"{number}.png": bytes(30_000_000) for number in range(5)})
    assert len(bomb) < 200_000
    problem(send(client, bomb), 413, "body_too_large", "archive")


def test_a_size_that_is_a_lie_is_found_while_reading(client):
    liars = {"liar.png": bytes(20_000_000), "ben.png": OTHER}
    data = packed("a,b\nliar.png,ben.png\nben.png,ben.png\n", liars)
    told = (20_000_000).to_bytes(4, "little")
    assert data.count(told) == 2
    data = data.replace(told, (10).to_bytes(4, "little"))
    manifest, _ = unpacked(client, finished(client, send(client, data)))
    assert (manifest["made"], manifest["failed"]) == (1, 1)


def test_a_batch_is_cancelled_between_its_items():
    began, go = threading.Event(), threading.Event()

    class Slow(FakeMixer):
        async def mix(self, parents, edits=None, *, deadline=None):
            began.set()
            await to_thread.run_sync(go.wait, abandon_on_cancel=True)
            raise AssertionError("it was cancelled")

    with running(Slow) as client:
        answer = send(client, packed("a,b\nsample:1,sample:2\nsample:1,sample:3\n"))
        url = answer.json()["job"]["url"].removeprefix("http://facemix.test")
        assert began.wait(60)
        assert client.request("DELETE", url).status_code == 204
        assert client.get(url).status_code == 404
        assert client.app.state.facemix.jobs.inside == 0
        go.set()


def test_batches_that_wait_hold_no_more_than_they_may():
    go = threading.Event()

    class Slow(FakeMixer):
        async def mix(self, parents, edits=None, *, deadline=None):
            await to_thread.run_sync(go.wait, abandon_on_cancel=True)
            return await super().mix(parents, edits, deadline=deadline)

    data = packed("a,b\nsample:1,sample:2\n", {"noise.png": PHOTO * 20}, method=zipfile.ZIP_STORED)
    with running(Slow, max_buffered_bytes=len(data) * 3 // 2, max_body_bytes=len(data) * 2) as client:
        first = send(client, data)
        assert first.status_code == 202
        refused = problem(send(client, data), 503, "busy")
        assert "hold" in refused["detail"]
        go.set()
        assert finished(client, first)["state"] == "done"
        assert finished(client, send(client, data))["state"] == "done"


def test_a_batch_in_json_may_hold_more_values_than_a_mix_but_not_any_number():
    item = {
        "parents": [{"sample": number, "weight": 1} for number in range(2)],
        "colour": [1, 0],
        "prompt": ",".join("a" * 900),
    }
    with running(lambda: FakeMixer(attributes=fake_directions()), max_items=60) as client:
        taken = client.post(BATCHES, json={"items": [item] * 40})
        assert taken.status_code == 202, taken.text
        refused = client.post(BATCHES, json={"items": [item] * 60})
        assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")
        assert "holds about" in refused.json()["detail"]
