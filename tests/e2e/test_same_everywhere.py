"""The endpoint and the command line make the same pixels of the same recipe, where both compute with the same library.

What the page does goes through the endpoint; `test_panels_out.py` compares its own lines with what it saved.
"""

import json
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageSequence
from served import serving

from facemix import cli

pytestmark = pytest.mark.slow

COMPUTING = {"backend": "torch", "precision": "fp32", "max_batch": 4, "isolate": False}
# A portable recipe is another recipe, with a mark of its own; what is compared is what the model draws.
UNMARKED = {"label": False, "mark": False, "credentials": False}
EDITS = ["--set", "smile=1.5", "--prompt", "slightly older", "--region", "eyes=0,1", "--region", "hair=1,0"]
EDITS += ["--colour", "0,1", "--variation", "4:0.3", "--vividness", "0.2", "--seed", "3"]
BODY = {
    "attributes": {"smile": 1.5},
    "prompt": "slightly older",
    "regions": {"eyes": [0, 1], "hair": [1, 0]},
    "colour": [0, 1],
    "variation": {"number": 4, "radius": 0.3},
    "vividness": 0.2,
    "seed": 3,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("same"), **COMPUTING, **UNMARKED) as running, running.client() as made:
        yield made


@pytest.fixture
def run(monkeypatch, capsys):
    for name, value in (COMPUTING | UNMARKED).items():
        monkeypatch.setenv(f"FACEMIX_{name.upper()}", str(value))

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["facemix", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 0, capsys.readouterr().err

    return invoke


def opened(content):
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def same(first, second):
    """But for rounding: a server computes in batches made of everybody's work."""
    assert first.shape == second.shape
    difference = np.abs(first - second)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def face_ids(client, photos):
    ids = []
    for name in ("a.png", "b.jpg"):
        answer = client.post("/api/v1/faces", files={"image": (photos / name).read_bytes()})
        ids.append(answer.json()["faces"][0]["id"])
    return ids


def test_a_mix_with_every_edit(client, run, photos, tmp_path):
    run("mix", photos / "a.png", photos / "b.jpg", "--weights", "0.3,0.7", *EDITS, "-o", tmp_path / "mix.png",
        "--recipe", tmp_path / "mix.json")  # fmt: skip
    parents = [
        {"face_id": one, "weight": weight} for one, weight in zip(face_ids(client, photos), (0.3, 0.7), strict=True)
    ]
    answer = client.post("/api/v1/mix", json={"parents": parents, **BODY})
    assert answer.json()["recipe"] == json.loads((tmp_path / "mix.json").read_text())
    picture = client.post("/api/v1/mix", json={"parents": parents, **BODY}, headers={"Accept": "image/png"})
    same(opened((tmp_path / "mix.png").read_bytes()), opened(picture.content))


@pytest.mark.parametrize("portable", [False, True])
def test_a_recipe_of_the_endpoint_is_drawn_again_by_the_command_line(client, run, photos, tmp_path, portable):
    parents = [{"face_id": one} for one in face_ids(client, photos)]
    body = {"parents": [*parents, {"sample": 12}], "regions": {"mouth": [1, 0, 0]}, "portable": portable}
    answer = client.post("/api/v1/mix", json=body)
    (tmp_path / "recipe.json").write_text(json.dumps(answer.json()["recipe"]))
    picture = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
    given = [] if portable else [photos / "b.jpg", photos / "a.png"]
    run("replay", tmp_path / "recipe.json", *given, "-o", tmp_path / "again.png")
    same(opened((tmp_path / "again.png").read_bytes()), opened(picture.content))


def test_a_recipe_of_the_command_line_is_drawn_again_by_the_endpoint(client, run, photos, tmp_path):
    run(
        "mix",
        photos / "a.png",
        "sample:5",
        *EDITS,
        "-o",
        tmp_path / "mix.png",
        "--recipe",
        tmp_path / "r.json",
        "--portable",
    )
    recipe = json.loads((tmp_path / "r.json").read_text())
    answer = client.post("/api/v1/mix", json={"recipe": recipe}, headers={"Accept": "image/png"})
    same(opened((tmp_path / "mix.png").read_bytes()), opened(answer.content))


def test_a_grid(client, run, tmp_path):
    run("grid", "sample:1", "sample:2", "sample:3", "--kind", "pairs", "--set", "age=1", "-o", tmp_path / "grid.png")
    body = {"parents": [{"sample": number} for number in (1, 2, 3)], "kind": "pairs", "attributes": {"age": 1}}
    answer = client.post("/api/v1/grids", json=body, headers={"Accept": "image/png"})
    same(opened((tmp_path / "grid.png").read_bytes()), opened(answer.content))


def test_an_animation(client, run, tmp_path):
    run("animate", "sample:1", "sample:2", "--stop", "1,0", "--stop", "0,1;smile=1", "--seconds", "0.5", "--fps", "10",
        "--loop", "ping-pong", "--size", "128", "-o", tmp_path / "film.webp")  # fmt: skip
    body = {
        "parents": [{"sample": 1}, {"sample": 2}],
        "stops": [{"weights": [1, 0]}, {"weights": [0, 1], "attributes": {"smile": 1}}],
        "seconds": 0.5,
        "fps": 10,
        "loop": "ping-pong",
        "size": 128,
        "media_type": "image/webp",
    }
    job = client.post("/api/v1/animations", json=body).json()["job"]
    limit = time.monotonic() + 60
    while client.get(f"/api/v1/jobs/{job['id']}").json()["state"] != "done":
        assert time.monotonic() < limit
        time.sleep(0.1)
    films = [(tmp_path / "film.webp").read_bytes(), client.get(f"/api/v1/jobs/{job['id']}/result").content]
    frames = []
    for film in films:
        with Image.open(BytesIO(film)) as opened_film:
            frames.append([np.asarray(one.convert("RGB")).astype(int) for one in ImageSequence.Iterator(opened_film)])
    assert len(frames[0]) == len(frames[1]) == 5
    for first, second in zip(*frames, strict=True):
        assert np.abs(first - second).mean() < 0.5  # compressed after it was drawn


def test_label_and_mark_are_the_same_within_one_data_folder(run, monkeypatch, tmp_path):
    for name in UNMARKED:
        monkeypatch.delenv(f"FACEMIX_{name.upper()}")
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path / "data"))
    run("mix", "sample:1", "sample:2", *EDITS, "-o", tmp_path / "mix.png")
    with serving(tmp_path, **COMPUTING) as running, running.client() as client:
        body = {"parents": [{"sample": 1}, {"sample": 2}], **BODY}
        answer = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
        same(opened((tmp_path / "mix.png").read_bytes()), opened(answer.content))
        for content in (answer.content, (tmp_path / "mix.png").read_bytes()):
            assert client.post("/api/v1/verify", files={"file": content}).json()["verdict"] == "signed"
    (tmp_path / "served.png").write_bytes(answer.content)
    run("verify", tmp_path / "served.png")
