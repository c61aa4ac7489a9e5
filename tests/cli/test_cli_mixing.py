import hashlib
import io
import json
import shlex

import numpy as np
import pytest
from exact import EXACT
from PIL import Image
from web_client import running

from facemix.mixing.recipe import Edits, PlacedPoints, Recipe, Variation
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.blocking import BlockingMixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings

EDITS = "--set smile=1 --set age=-0.5 --region eyes=1,0 --colour 0,1 --vividness 0.2 --variation 4:0.3 --seed 3"
EDITS += " --detail 0.5 --keep hair=b --keep glasses=mixed --size 200"


def opened(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def drawn(checkpoint, parents, edits) -> np.ndarray:
    mixer = BlockingMixer(mixer_from_settings(Settings(checkpoint=checkpoint, **EXACT)))
    try:
        return mixer.mix(parents, edits).image
    finally:
        mixer.close()


def test_every_edit_reaches_the_face_and_the_recipe(move, photos, tmp_path, moving):
    pair = [photos / "a.png", photos / "crowd.png"]
    arguments = [*pair, "--weights", "0.3,0.7", *shlex.split(EDITS), "--faces", "0,1"]
    status, _, err = move("mix", *arguments, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")
    assert status == 0, err
    edits = Edits(
        vividness=0.2,
        attributes={"smile": 1, "age": -0.5},
        regions={"eyes": (1, 0)},
        colour=(0, 1),
        variation=Variation(number=4, radius=0.3),
        detail=0.5,
        keep={"hair": 1, "glasses": "mixed"},
        size=200,
        seed=3,
    )
    recipe = Recipe.from_json((tmp_path / "r.json").read_text())
    assert recipe.edits == edits
    assert recipe.weights == (0.3, 0.7)
    assert [parent.face for parent in recipe.parents] == [0, 1]
    parents = [
        PhotoInput(path.read_bytes(), path.name, face, weight)
        for path, face, weight in zip(pair, (0, 1), (0.3, 0.7), strict=True)
    ]
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), drawn(moving, parents, edits))


def test_words_add_to_sliders_and_what_they_do_not_say_is_noted(move, tmp_path):
    arguments = ["sample:1", "--set", "smile=0.5", "--prompt", "smiling, blurp", "--negative-prompt", "older"]
    status, _, err = move("mix", *arguments, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")
    assert status == 0
    assert Recipe.from_json((tmp_path / "r.json").read_text()).attributes == {"age": -1.0, "smile": 1.5}
    assert "note: “blurp” changes nothing" in err


def test_one_face_is_enough(run, tmp_path, checkpoint):
    assert run("mix", "sample:3", "-o", tmp_path / "o.png")[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), drawn(checkpoint, [SampleInput(3, "x")], Edits()))


def test_a_face_is_placed_by_hand_where_none_is_found(run, photos, tmp_path):
    arguments = ["mix", "sample:1", photos / "cat.jpg", "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json"]
    assert run(*arguments)[0] == 4
    status, _, err = run(*arguments, "--placed", "1:135,120,270.5,120,203,210")
    assert status == 0, err
    parent = Recipe.from_json((tmp_path / "r.json").read_text()).parents[1]
    assert parent.placed == PlacedPoints(left_eye=(135, 120), right_eye=(270.5, 120), mouth=(203, 210))
    first = opened(tmp_path / "o.png")
    assert run("replay", tmp_path / "r.json", photos / "cat.jpg", "-o", tmp_path / "o.png")[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), first)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--set", "smile"], "--set"),
        (["--set", "smile=much"], "--set"),
        (["--set", "smile=1", "--set", "smile=2"], "--set"),
        (["--set", "smile=4"], "attributes.smile"),
        (["--set", "hair=1"], "hair"),
        (["--region", "ears=1,0"], "--region"),
        (["--region", "eyes=1"], "--region"),
        (["--region", "eyes=0,0"], "--region eyes"),
        (["--colour", "1"], "--colour"),
        (["--variation", "4"], "--variation"),
        (["--variation", "4:2"], "variation"),
        (["--placed", "0:1,2,3,4,5,6"], "--placed"),
        (["--placed", "2:1,2,3,4,5,6"], "--placed"),
        (["--placed", "1,2,3,4,5,6"], "--placed"),
        (["--portable"], "--portable"),
    ],
)
def test_an_edit_without_a_meaning_is_refused(move, tmp_path, options, named):
    status, out, err = move("mix", "sample:1", "sample:2", *options, "-o", tmp_path / "o.png")
    assert (status, out) == (2, "")
    assert named in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_attributes_need_a_model_that_has_some(run, tmp_path):
    for options in (["--set", "smile=1"], ["--prompt", "older"]):
        status, _, err = run("mix", "sample:1", *options, "-o", tmp_path / "o.png")
        assert status == 5
        assert "no attribute directions" in err


# --- replay ------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(move, photos, tmp_path):
    """A mix of two photos and a sample, with its recipe: the folder of o.png and r.json."""
    arguments = [photos / "a.png", "sample:7", photos / "b.jpg", "--weights", "2,1,1", "--set", "smile=1"]
    arguments += ["--region", "mouth=0,0,1", "--seed", "5"]
    assert move("mix", *arguments, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")[0] == 0
    return tmp_path


def test_a_recipe_gives_the_same_pixels_whatever_the_photos_order_and_names(move, photos, mixed):
    renamed = mixed / "-renamed.jpg"
    renamed.write_bytes((photos / "b.jpg").read_bytes())
    status, out, err = move("replay", mixed / "r.json", renamed, photos / "a.png", "-o", mixed / "again.png")
    assert (status, err) == (0, "")
    assert "again.png: 32 x 32 pixels" in out
    np.testing.assert_array_equal(opened(mixed / "again.png"), opened(mixed / "o.png"))


def test_a_portable_recipe_needs_no_photos(move, photos, tmp_path):
    arguments = ["mix", photos / "a.png", photos / "b.jpg", "--colour", "0,1", "--set", "age=1", "--detail", "0"]
    recipe = tmp_path / "r.json"
    assert move(*arguments, "-o", tmp_path / "o.png", "--recipe", recipe, "--portable")[0] == 0
    assert [parent["kind"] for parent in json.loads(recipe.read_text())["parents"]] == ["latent", "latent"]
    status, _, err = move("replay", recipe, photos / "crowd.png", "-o", tmp_path / "again.png")
    assert status == 0
    assert "crowd.png: note: the recipe does not use it" in err
    np.testing.assert_array_equal(opened(tmp_path / "again.png"), opened(tmp_path / "o.png"))


def test_the_server_answers_the_same_pixels(photos, mixed, moving):
    settings = {"checkpoint": moving, **EXACT, "isolate": False}
    with running(lambda: mixer_from_settings(Settings(**settings)), **settings) as client:
        files = {f"photo_{place}": (photos / name).read_bytes() for place, name in enumerate(("b.jpg", "a.png"))}
        answer = client.post(
            "/api/v1/mix",
            files={name: (name, data) for name, data in files.items()},
            data={"recipe": (mixed / "r.json").read_text()},
            headers={"Accept": "image/png"},
        )
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(opened(io.BytesIO(answer.content)), opened(mixed / "o.png"))


def test_a_photo_that_is_missing_is_named(move, photos, mixed):
    status, out, err = move("replay", mixed / "r.json", photos / "a.png", "-o", mixed / "again.png")
    assert (status, out) == (2, "")
    assert err.startswith(f"facemix: {mixed / 'r.json'}: the photo with SHA-256 ")
    assert hashlib.sha256((photos / "b.jpg").read_bytes()).hexdigest() in err
    assert not (mixed / "again.png").exists()


def test_a_recipe_of_another_model_is_refused_with_both_names(move, photos, mixed):
    recipe = Recipe.from_json((mixed / "r.json").read_text())
    other = recipe.model.model_copy(update={"name": "older", "weights": "ab" * 32})
    (mixed / "r.json").write_text(recipe.model_copy(update={"model": other}).to_json())
    arguments = ["replay", mixed / "r.json", photos / "a.png", photos / "b.jpg", "-o", mixed / "again.png"]
    status, _, err = move(*arguments)
    assert status == 5
    assert f"this belongs to older@{'ab' * 6}, and {recipe.model} is live" in err


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"version": 2}'])
def test_what_is_no_recipe_is_named(run, tmp_path, text):
    (tmp_path / "r.json").write_bytes(text)
    status, out, err = run("replay", tmp_path / "r.json", "-o", tmp_path / "o.png")
    assert (status, out) == (2, "")
    assert err.startswith(f"facemix: {tmp_path / 'r.json'}: ")


def test_a_replay_never_overwrites_what_it_reads(run, photos, tmp_path):
    photo = tmp_path / "a.png"
    photo.write_bytes((photos / "a.png").read_bytes())
    status, _, err = run("replay", tmp_path / "r.json", photo, "-o", photo)
    assert status == 2
    assert "is one of the photos" in err
