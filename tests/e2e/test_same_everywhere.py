"""The endpoint and the command line make the same pixels of the same recipe, where both compute with the same library:
with label and mark, and with the same said in the credentials, where both work in the same data folder.

What the page does goes through the endpoint; `test_panels_out.py` compares its own lines with what it saved.
"""

import base64
import json
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageSequence
from served import serving

from facemix import cli
from facemix.governance.secrets import open_secrets
from facemix.mixing.recipe import Recipe
from facemix.safety.credentials import open_signer
from facemix.safety.detection import find_mark
from facemix.safety.marking import open_marker
from facemix.settings import Settings

pytestmark = pytest.mark.slow

COMPUTING = {"backend": "torch", "precision": "fp32", "max_batch": 4, "isolate": False}
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
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("same")


@pytest.fixture(scope="module")
def client(folder):
    with serving(folder, **COMPUTING) as running, running.client() as made:
        yield made


@pytest.fixture
def run(monkeypatch, capsys, folder):
    for name, value in {**COMPUTING, "data_dir": folder / "data"}.items():
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


def same(first, second, *, most=2):
    """But for rounding: a server computes in batches made of everybody's work. With detail what was rounded is compared
    with photographs, and may be made stronger."""
    assert first.shape == second.shape
    difference = np.abs(first - second)
    assert difference.max() <= most
    assert (difference > 0).mean() < 0.01 * most


def told(folder, content, media_type="image/png"):
    """What the credentials of a file say of its recipe and model, where this installation has signed it."""
    signed = open_signer(Settings(data_dir=folder / "data")).read(content, media_type)
    assert signed.state == "ours"
    return signed.facts


def marked_by(folder, content, recipe):
    """Whether a picture bears the mark of that recipe."""
    settings = Settings(data_dir=folder / "data")
    pixels = opened(content).astype(np.uint8)
    mark = find_mark(open_marker(settings, open_secrets(settings)).watermark, pixels, [recipe.hash])
    return mark is not None and mark.recipe_hash == recipe.hash


def face_ids(client, photos):
    ids = []
    for name in ("a.png", "b.jpg"):
        answer = client.post("/api/v1/faces", files={"image": (photos / name).read_bytes()})
        ids.append(answer.json()["faces"][0]["id"])
    return ids


def test_a_mix_with_every_edit(client, run, photos, tmp_path, folder):
    run("mix", photos / "a.png", photos / "b.jpg", "--weights", "0.3,0.7", *EDITS, "--detail", "0",
        "-o", tmp_path / "mix.png", "--recipe", tmp_path / "mix.json")  # fmt: skip
    parents = [
        {"face_id": one, "weight": weight} for one, weight in zip(face_ids(client, photos), (0.3, 0.7), strict=True)
    ]
    answer = client.post("/api/v1/mix", json={"parents": parents, **BODY})
    assert answer.json()["recipe"] == json.loads((tmp_path / "mix.json").read_text())
    picture = client.post("/api/v1/mix", json={"parents": parents, **BODY}, headers={"Accept": "image/png"})
    written, recipe = (tmp_path / "mix.png").read_bytes(), Recipe.from_json((tmp_path / "mix.json").read_text())
    same(opened(written), opened(picture.content))
    assert told(folder, written) == told(folder, picture.content)
    assert told(folder, written).recipe_hash == recipe.hash
    assert marked_by(folder, written, recipe)
    assert marked_by(folder, picture.content, recipe)


@pytest.mark.parametrize("onto", [None, "photo:b", "plain:#204060"])
def test_a_mix_with_the_photographs_detail(client, run, photos, tmp_path, folder, onto):
    """The endpoint knows the faces by their ids, but for the photograph that the face is put onto."""
    words = [] if onto is None else ["--onto", onto]
    run("mix", photos / "a.png", photos / "b.jpg", "--keep", "hair=b", "--size", "256", *words, *EDITS,
        "-o", tmp_path / "mix.png", "--recipe", tmp_path / "mix.json")  # fmt: skip
    recipe = Recipe.from_json((tmp_path / "mix.json").read_text())
    parents = [{"face_id": one} for one in face_ids(client, photos)]
    placement = None if recipe.placement is None else recipe.placement.model_dump()
    if onto == "photo:b":
        parents[1] = {"image": base64.b64encode((photos / "b.jpg").read_bytes()).decode()}
    body = {"parents": parents, **BODY, "detail": 1, "keep": {"hair": 1}, "size": 256, "placement": placement}
    assert client.post("/api/v1/mix", json=body).json()["recipe"] == json.loads(recipe.to_json())
    picture = client.post("/api/v1/mix", json=body, headers={"Accept": "image/png"})
    same(opened((tmp_path / "mix.png").read_bytes()), opened(picture.content), most=4)
    assert told(folder, picture.content).recipe_hash == recipe.hash


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


def test_a_grid(client, run, tmp_path, folder):
    run("grid", "sample:1", "sample:2", "sample:3", "--kind", "pairs", "--set", "age=1", "-o", tmp_path / "grid.png")
    body = {"parents": [{"sample": number} for number in (1, 2, 3)], "kind": "pairs", "attributes": {"age": 1}}
    answer = client.post("/api/v1/grids", json=body, headers={"Accept": "image/png"})
    written = (tmp_path / "grid.png").read_bytes()
    same(opened(written), opened(answer.content))
    assert told(folder, written) == told(folder, answer.content)


def test_an_animation(client, run, tmp_path, folder):
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
    assert told(folder, films[0], "image/webp") == told(folder, films[1], "image/webp")
    frames = []
    for film in films:
        with Image.open(BytesIO(film)) as opened_film:
            frames.append([np.asarray(one.convert("RGB")).astype(int) for one in ImageSequence.Iterator(opened_film)])
    assert len(frames[0]) == len(frames[1]) == 5
    for first, second in zip(*frames, strict=True):
        assert np.abs(first - second).mean() < 0.5  # compressed after it was drawn


def test_each_knows_what_the_other_has_made(client, run, tmp_path):
    run("mix", "sample:1", "sample:2", *EDITS, "-o", tmp_path / "mix.png")
    found = client.post("/api/v1/verify", files={"file": (tmp_path / "mix.png").read_bytes()})
    assert found.json()["verdict"] == "signed"
    answer = client.post(
        "/api/v1/mix", json={"parents": [{"sample": 3}, {"sample": 4}]}, headers={"Accept": "image/png"}
    )
    (tmp_path / "served.png").write_bytes(answer.content)
    run("verify", tmp_path / "served.png")
