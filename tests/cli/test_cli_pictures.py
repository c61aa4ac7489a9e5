import io
import json

import numpy as np
import pytest
from exact import EXACT
from PIL import Image, ImageSequence
from web_client import running

from facemix.mixing.recipe import Recipe
from facemix.serving.assembly import mixer_from_settings
from facemix.settings import Settings

SIDE = 32


def opened(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def asked(moving, path, body, **headers):
    """The server's answer, of the same model on the same backend."""
    settings = {"checkpoint": moving, **EXACT, "isolate": False}
    with running(lambda: mixer_from_settings(Settings(**settings)), **settings) as client:
        answer = client.post(path, json=body, headers=headers)
        if answer.status_code == 202:
            job = answer.json()["job"]["url"].removeprefix("http://facemix.test")
            while client.get(job).json()["state"] in ("queued", "running"):
                pass
            answer = client.get(f"{job}/result")
    assert answer.status_code == 200, answer.text
    return answer.content


# --- grid --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "members"),
    [
        ([], {"kind": "weights"}),
        (["--kind", "pairs", "--set", "smile=1"], {"kind": "pairs", "attributes": {"smile": 1}}),
        (
            ["--kind", "variations", "--weights", "2,1,1", "--rows", "2", "--columns", "3", "--radius", "0.5"],
            {"kind": "variations", "rows": 2, "columns": 3, "radius": 0.5},
        ),
    ],
)
def test_a_grid_is_the_servers(move, moving, tmp_path, options, members):
    status, _, err = move("grid", "sample:1", "sample:2", "sample:3", *options, "-o", tmp_path / "grid.png")
    assert status == 0, err
    weights = (2, 1, 1) if "--weights" in options else (1, 1, 1)
    parents = [{"sample": number, "weight": weight} for number, weight in zip((1, 2, 3), weights, strict=True)]
    expected = asked(moving, "/api/v1/grids", {"parents": parents, **members}, Accept="image/png")
    np.testing.assert_array_equal(opened(tmp_path / "grid.png"), opened(io.BytesIO(expected)))


def test_a_plain_grid_holds_the_faces_of_its_recipes(run, photos, tmp_path):
    faces = [photos / "a.png", "sample:2", photos / "crowd.png", "sample:4"]
    options = ["--kind", "corners", "--rows", "2", "--columns", "3", "--faces", "0,0,1,0", "--plain"]
    arguments = [*faces, *options, "--recipes", tmp_path / "r.json", "-o", tmp_path / "grid.png"]
    status, out, err = run("grid", *arguments)
    assert status == 0, err
    assert "2 x 3 faces" in out
    sheet = opened(tmp_path / "grid.png")
    assert sheet.shape == (2 * SIDE, 3 * SIDE, 3)
    recipes = [Recipe.model_validate(one) for one in json.loads((tmp_path / "r.json").read_text())]
    assert [recipe.weights for recipe in recipes[:3]] == [(1, 0, 0, 0), (0.5, 0.5, 0, 0), (0, 1, 0, 0)]
    assert recipes[0].parents[2].face == 1
    (tmp_path / "one.json").write_text(recipes[4].to_json())
    assert run("replay", tmp_path / "one.json", faces[0], faces[2], "-o", tmp_path / "one.png")[0] == 0
    cell = sheet[SIDE:, SIDE : 2 * SIDE].astype(int)
    assert np.abs(cell - opened(tmp_path / "one.png")).max() <= 1  # another batch, another rounding


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sample:1"], "parents"),
        (["sample:1", "sample:2", "--kind", "corners"], "parents"),
        (["sample:1", "sample:2", "--kind", "circle"], "--kind"),
        (["sample:1", "sample:2", "--rows", "2"], "--rows"),
        (["sample:1", "sample:2", "--columns", "33"], "--columns"),
        (["sample:1", "sample:2", "--kind", "pairs", "--radius", "0.5"], "--radius"),
        (["sample:1", "sample:2", "--weights", "1,2"], "--weights"),
        (["sample:1", "--kind", "variations", "--first", "2147483647"], "--first"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(run, tmp_path, arguments, named):
    status, out, err = run("grid", *arguments, "-o", tmp_path / "grid.png")
    assert (status, out) == (2, "")
    assert err.startswith(f"facemix: {named}: ")
    assert not (tmp_path / "grid.png").exists()


# --- animate -----------------------------------------------------------------------------------------------

STOPS = ["--stop", "1,0", "--stop", "0,1;smile=1", "--stop", "1,1"]


@pytest.mark.parametrize("ending", ["gif", "webp", "mp4"])
def test_a_film_is_the_servers(move, moving, tmp_path, ending):
    film = tmp_path / f"film.{ending}"
    options = ["--seconds", "0.6", "--fps", "10", "--easing", "linear", "--loop", "ping-pong", "--size", "128"]
    status, out, err = move("animate", "sample:1", "sample:2", *STOPS, *options, "--set", "age=0.5", "-o", film)
    assert status == 0, err
    assert "6 frames of 128 x 128 pixels" in out
    body = {
        "parents": [{"sample": 1}, {"sample": 2}],
        "stops": [{"weights": [1, 0]}, {"weights": [0, 1], "attributes": {"smile": 1}}, {"weights": [1, 1]}],
        "attributes": {"age": 0.5},
        "seconds": 0.6,
        "fps": 10,
        "easing": "linear",
        "loop": "ping-pong",
        "media_type": "video/mp4" if ending == "mp4" else f"image/{ending}",
        "size": 128,
    }
    assert film.read_bytes() == asked(moving, "/api/v1/animations", body)


def test_without_stops_a_film_goes_from_photo_to_photo(run, photos, tmp_path):
    film = tmp_path / "film.gif"
    arguments = [photos / "a.png", "sample:2", "--seconds", "0.5", "--fps", "10", "--size", "128", "-o", film]
    assert run("animate", *arguments)[0] == 0
    with Image.open(film) as image:
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 5
    assert np.abs(frames[0] - frames[-1]).mean() > 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--stop", "1,0"], "--stop"),
        (["--stop", "1", "--stop", "0,1"], "--stop"),
        (["--stop", "1,0", "--stop", "0,0"], "--stop"),
        (["--stop", "1,0", "--stop", "0,1;smile"], "--stop"),
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "61"], "--seconds"),
        (["--fps", "60"], "--fps"),
        (["--easing", "bounce"], "--easing"),
        (["--loop", "twice"], "--loop"),
        (["--size", "64"], "--size"),
    ],
)
def test_a_film_that_cannot_be_is_refused(run, tmp_path, options, named):
    status, out, err = run("animate", "sample:1", "sample:2", *options, "-o", tmp_path / "film.gif")
    assert (status, out) == (2, "")
    assert err.startswith(f"facemix: {named}: ")
    assert not (tmp_path / "film.gif").exists()


def test_the_ending_says_what_a_film_is(run, tmp_path):
    status, _, err = run("animate", "sample:1", "sample:2", "-o", tmp_path / "film.avi")
    assert status == 2
    assert ".gif, .webp, .mp4" in err
