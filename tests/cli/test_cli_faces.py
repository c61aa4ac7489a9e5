import hashlib
import json

import numpy as np
from exact import EXACT
from PIL import Image
from web_client import running

from facemix.serving.assembly import mixer_from_settings
from facemix.settings import Settings


def opened(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def test_faces_are_listed_largest_first(run, photos, tmp_path):
    status, out, err = run("faces", photos / "crowd.png", "--crops", tmp_path / "crops")
    assert (status, err) == (0, "")
    digest = hashlib.sha256((photos / "crowd.png").read_bytes()).hexdigest()
    assert out.splitlines()[0].endswith(f"SHA-256 {digest}")
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("face")] == ["face 0", "face 1"]
    assert "warning: The face is small" in out
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == ["crowd-0.png", "crowd-1.png"]
    assert opened(tmp_path / "crops" / "crowd-0.png").shape == (32, 32, 3)


def test_json_is_what_the_server_answers(run, photos, checkpoint):
    status, out, _ = run("faces", photos / "crowd.png", "--json")
    assert status == 0
    settings = {"checkpoint": checkpoint, **EXACT, "isolate": False}
    with running(lambda: mixer_from_settings(Settings(**settings)), **settings) as client:
        answer = client.post("/api/v1/faces", files={"image": ("x", (photos / "crowd.png").read_bytes())}).json()
    del answer["request_id"]
    for face in answer["faces"]:
        for name in ("id", "expires_at", "crop"):
            del face[name]
    assert json.loads(out) == answer


def test_a_face_that_was_placed_has_figures_that_json_can_hold(run, photos):
    status, out, _ = run("faces", photos / "cat.jpg", "--json", "--placed", "135,120,270,120,203,210")
    assert status == 0
    (face,) = json.loads(out)["faces"]
    assert face["quality"]["score"] is None
    assert face["landmarks"]["left_eye"] == {"x": 135.0, "y": 120.0}


def test_a_photo_without_a_face_is_refused(run, photos):
    for name, expected in (("cat.jpg", 4), ("empty.jpg", 3), ("nowhere.jpg", 2)):
        status, out, err = run("faces", photos / name)
        assert (status, out) == (expected, "")
        assert err.startswith(f"facemix: {photos / name}: ")
    status, _, err = run("faces", photos / "cat.jpg", "--placed", "1,2,3")
    assert status == 2
    assert "--placed" in err


def test_a_crop_never_takes_the_photos_place(run, photos, tmp_path):
    photo = tmp_path / "x-0.png"
    photo.write_bytes((photos / "a.png").read_bytes())
    link = tmp_path / "x.png"
    link.hardlink_to(photo)
    status, _, err = run("faces", link, "--crops", tmp_path)
    assert status == 2
    assert "is one of the photos" in err
    assert photo.read_bytes() == (photos / "a.png").read_bytes()


def test_attributes_are_listed_with_their_words(move):
    status, out, err = move("attributes")
    assert (status, err) == (0, "")
    assert "values from -3 to 3" in out
    assert "older +1" in out
    assert "smiling +1" in out
    status, out, _ = move("attributes", "--json")
    document = json.loads(out)
    assert [one["name"] for one in document["attributes"]] == ["smile", "age"]
    assert {"word": "older", "attribute": "age", "value": 1.0} in document["words"]


def test_a_model_without_attributes_says_so(run):
    status, out, err = run("attributes")
    assert (status, out) == (5, "")
    assert "facemix: " in err
