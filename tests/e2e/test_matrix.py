"""Photographs as people really send them, each on the page, at the endpoint and on the command line."""

import base64
import functools
import html
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import cv2
import numpy as np
import pytest
from files import (
    animated_webp,
    cmyk_jpeg,
    grey16_png,
    huge_png,
    jpeg,
    mpo,
    png,
    sideways_jpeg,
    text_named_jpg,
    truncated,
)
from PIL import Image
from portraits import LANDMARKS, cat, far_away, other, portrait

from facemix import cli
from facemix.faces.types import LANDMARK_NAMES
from facemix.safety import terms

pytestmark = pytest.mark.slow

SIDE = 512  # of the portrait


def grey16() -> bytes:
    return grey16_png(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257)


def turned() -> bytes:
    """The portrait on its side, without a tag that says so."""
    return jpeg(np.ascontiguousarray(np.rot90(portrait())))


# Where a point of the portrait lies once it has been turned as in `turned`.
TURNED = np.stack([LANDMARKS[:, 1], SIDE - LANDMARKS[:, 0]], axis=1)


@dataclass(frozen=True)
class Good:
    """A photograph that mixes. landmarks: where they must be found; note: what must be said about it."""

    build: Callable[[], bytes]
    landmarks: np.ndarray = field(default_factory=LANDMARKS.copy)
    note: str | None = None


@dataclass(frozen=True)
class Bad:
    """A photograph that is refused. says: part of the message; hint: part of the remedy."""

    build: Callable[[], bytes]
    code: str
    status: int
    exit_code: int
    says: str
    hint: str


GOOD = {
    "plain.png": Good(lambda: png(portrait())),
    "grey16.png": Good(grey16, note="converted from 16 bits per channel"),
    "cmyk.jpg": Good(lambda: cmyk_jpeg(portrait()), note="converted from CMYK"),
    "moving.webp": Good(lambda: animated_webp(portrait(), frames=12), note="the first of 12 frames was used"),
    "exif6.jpg": Good(lambda: sideways_jpeg(portrait(), 6), note="rotated upright by its EXIF orientation"),
    "exif8.jpg": Good(lambda: sideways_jpeg(portrait(), 8, "<"), note="rotated upright by its EXIF orientation"),
    "turned.jpg": Good(turned, landmarks=TURNED),
    "phone.mpo.jpg": Good(lambda: mpo(portrait()), note="the first of 2 frames was used"),
}
BAD = {
    "cat.jpg": Bad(lambda: jpeg(cat()), "face_not_found", 422, 4, "no face was found", "shows one face clearly"),
    "empty.jpg": Bad(lambda: b"", "image_empty", 422, 3, "0 bytes", "choose the photograph again"),
    "text.jpg": Bad(
        text_named_jpg, "image_unsupported", 415, 3, "it begins with text", "export the photograph as JPEG"
    ),
    "cut.jpg": Bad(lambda: truncated(jpeg(portrait())), "image_corrupt", 422, 3, "cut short", "again"),
    "huge.png": Bad(huge_png, "image_too_many_pixels", 413, 3, "13000 x 13000 pixels", "fewer pixels"),
    "far.png": Bad(lambda: png(far_away()), "face_too_small", 422, 4, "pixels apart", "taken from closer"),
}


@functools.cache
def data_of(name: str) -> bytes:
    return (GOOD | BAD)[name].build()


@functools.cache
def second_face() -> bytes:
    return jpeg(other())


def opened(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the two in grey."""
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).ravel() for one in (first, second)]
    return float(np.corrcoef(*grey)[0, 1])


# --- the ways in: each takes (first, second) and gives the answer ----------------------------------------------


def by_multipart(client, first: bytes, second: bytes, **headers):
    return client.post("/api/v1/mix", files={"face_a": ("a", first), "face_b": ("b", second)}, headers=headers)


def by_json(client, first: bytes, second: bytes):
    parents = [{"image": base64.b64encode(data).decode(), "weight": 0.5} for data in (first, second)]
    return client.post("/api/v1/mix", json={"parents": parents})


def by_page(client, first: bytes, second: bytes, names=("a.jpg", "b.jpg")):
    """What a browser sends for the form without scripts."""
    files = {"face_a": (names[0], first, "image/jpeg"), "face_b": (names[1], second, "image/jpeg")}
    fields = {"weight": "0.5", "face_a_index": "", "sample_a": "", "face_b_index": "", "sample_b": ""}
    fields["consent"] = terms.VERSION
    return client.post("/", files=files, data=fields, headers={"Accept": "text/html"})


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    for name in [name for name in os.environ if name.startswith("FACEMIX_") and name != "FACEMIX_CHECKPOINT"]:
        monkeypatch.delenv(name)

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["facemix", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return stopped.value.code, said.out, said.err

    return invoke


def slot(page: str, letter: str) -> str:
    """The part of the page about one of the two faces, as text."""
    found = re.search(rf'<section class="parent parent-{letter}".*?</section>', page, re.DOTALL)
    return html.unescape(found[0])


@pytest.fixture(scope="module")
def reference(client):
    """The crop of the plain portrait and its mix with the second face."""
    faces = client.post("/api/v1/faces", files={"image": ("a", data_of("plain.png"))}).json()["faces"]
    mix = by_multipart(client, second_face(), data_of("plain.png"), Accept="image/png")
    return opened(base64.b64decode(faces[0]["crop"]["base64"])), opened(mix.content)


# --- what mixes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_the_crop_is_that_of_the_plain_portrait(client, reference, crop_size, name):
    answer = client.post("/api/v1/faces", files={"image": (name, data_of(name))}).json()
    assert answer["count"] == 1
    (face,) = answer["faces"]
    assert face["refusal"] is None
    crop = opened(base64.b64decode(face["crop"]["base64"]))
    assert crop.shape == (crop_size, crop_size, 3)
    assert likeness(crop, reference[0]) > 0.95


@pytest.mark.parametrize("way", [by_multipart, by_json])
@pytest.mark.parametrize("name", GOOD)
def test_the_endpoint_mixes_it(client, reference, crop_size, name, way):
    case = GOOD[name]
    answer = way(client, second_face(), data_of(name))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [face["where"] for face in body["faces"]] == {
        by_multipart: ["face_a", "face_b"],
        by_json: ["parents.0", "parents.1"],
    }[way]
    face = body["faces"][1]
    found = np.array([[face["landmarks"][part][axis] for axis in "xy"] for part in LANDMARK_NAMES])
    assert np.abs(found - case.landmarks).max() < 5
    assert (face["width"], face["height"], face["count"]) == (SIDE, SIDE, 1)
    if case.note:
        assert case.note in face["notes"]
    picture = opened(base64.b64decode(body["image"]["base64"]))
    assert picture.shape == (crop_size, crop_size, 3)
    assert likeness(picture, reference[1]) > 0.97


def shown_by_the_page(answer):
    (source,) = re.findall(r'class="plain-result" src="data:image/png;base64,([^"]+)"', answer.text)
    return opened(base64.b64decode(source))


@pytest.fixture(scope="module")
def shown(client):
    """What the page makes of the plain portrait, with the photographs' detail."""
    return shown_by_the_page(by_page(client, second_face(), data_of("plain.png")))


@pytest.mark.parametrize("name", GOOD)
def test_the_page_mixes_it(client, shown, crop_size, name):
    answer = by_page(client, second_face(), data_of(name))
    assert answer.status_code == 200
    picture = shown_by_the_page(answer)
    assert picture.shape == (crop_size, crop_size, 3)
    assert likeness(picture, shown) > 0.97
    assert "One face found." in slot(answer.text, "b")
    assert "refusal-title" not in answer.text


@pytest.mark.parametrize("name", GOOD)
def test_the_command_line_mixes_it(run, reference, crop_size, tmp_path, name):
    (tmp_path / name).write_bytes(data_of(name))
    (tmp_path / "second.jpg").write_bytes(second_face())
    pair = [tmp_path / "second.jpg", tmp_path / name]
    status, out, err = run("mix", *pair, "--detail", "0", "-o", tmp_path / "out.png")
    assert status == 0, err
    assert f"{crop_size} x {crop_size} pixels" in out
    assert likeness(opened((tmp_path / "out.png").read_bytes()), reference[1]) > 0.97
    if GOOD[name].note:
        assert f"{tmp_path / name}: note: {GOOD[name].note}" in err


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [by_multipart, by_json])
@pytest.mark.parametrize("name", BAD)
def test_the_endpoint_refuses_it(client, name, way):
    case = BAD[name]
    answer = way(client, second_face(), data_of(name))
    assert answer.status_code == case.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == case.code
    assert problem["where"] == {by_multipart: "face_b", by_json: "parents.1"}[way]
    assert case.says in problem["detail"]
    assert case.hint in problem["hint"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("letter", ["a", "b"])
@pytest.mark.parametrize("name", BAD)
def test_the_page_refuses_it_beside_that_photo(client, name, letter):
    case = BAD[name]
    pair = [second_face(), second_face()]
    pair["ab".index(letter)] = data_of(name)
    answer = by_page(client, *pair)
    assert answer.status_code == case.status
    about = slot(answer.text, letter)
    assert "refusal-title" in about
    assert case.says.lower() in about.lower()  # a sentence on the page begins with a capital
    assert case.hint.lower() in about.lower()
    assert answer.text.count("refusal-title") == 1
    assert "plain-result" not in answer.text


@pytest.mark.parametrize("name", BAD)
def test_the_command_line_refuses_it(run, tmp_path, name):
    case = BAD[name]
    (tmp_path / name).write_bytes(data_of(name))
    (tmp_path / "second.jpg").write_bytes(second_face())
    status, out, err = run("mix", tmp_path / "second.jpg", tmp_path / name, "-o", tmp_path / "out.png")
    assert (status, out) == (case.exit_code, "")
    assert err.count("\n") == 1
    message, hint = err.split("(hint: ")
    assert message.startswith(f"facemix: {tmp_path / name}: ")
    assert case.says in message
    assert case.hint in hint
    assert not (tmp_path / "out.png").exists()
