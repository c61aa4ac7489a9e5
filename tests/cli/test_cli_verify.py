"""What commands put on their results, and `facemix verify`, which knows it again. The tiny model draws 32 pixels, too
few for label and mark, so that these are looked at on larger pictures."""

import hashlib
import json
from io import BytesIO

import numpy as np
import pytest
from marked_faces import faces
from PIL import Image

from facemix.imaging.encode import encode_image
from facemix.safety.marking import Facts
from facemix.settings import load_settings


@pytest.fixture
def marking(run, monkeypatch):
    for name in ("LABEL", "MARK", "CREDENTIALS"):
        monkeypatch.delenv(f"FACEMIX_{name}")
    return run


def same_pixels(one, other):
    with Image.open(one) as first, Image.open(other) as second:
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second))


def test_a_mix_is_signed_and_known_again(marking, tmp_path):
    target, recipe = tmp_path / "mix.png", tmp_path / "recipe.json"
    assert marking("mix", "sample:1", "sample:2", "-o", target, "--recipe", recipe)[0] == 0
    status, out, err = marking("verify", target)
    assert (status, err) == (0, "")
    digest = hashlib.sha256(recipe.read_text().rstrip("\n").encode()).hexdigest()
    assert out.startswith(f"{target}: Made here, and unchanged\n")
    assert out.endswith(f"recipe {digest}\n")
    assert "no row with its recipe: what the command line makes leaves none" in out
    assert marking("replay", recipe, "-o", tmp_path / "again.png")[0] == 0
    same_pixels(target, tmp_path / "again.png")


def test_a_changed_file_has_a_status_of_its_own(marking, tmp_path):
    target = tmp_path / "mix.png"
    marking("mix", "sample:1", "sample:2", "-o", target)
    data = bytearray(target.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 1
    target.write_bytes(data)
    status, out, _ = marking("verify", target)
    assert (status, out.splitlines()[0]) == (13, f"{target}: Signed, and changed since")


def test_without_signature_the_mark_is_found(marking, tmp_path):
    from facemix.cli.marking import marker_for_files

    marker = marker_for_files(load_settings())
    pixels = marker.pixels(faces(1)[0], ["ab" * 32])
    (tmp_path / "saved.jpg").write_bytes(encode_image(pixels, "image/jpeg", 60))
    status, out, _ = marking("verify", tmp_path / "saved.jpg")
    assert (status, out.splitlines()[0]) == (0, f"{tmp_path / 'saved.jpg'}: Made here, to all appearance")


def test_what_is_not_known_ends_with_one(marking, tmp_path):
    (tmp_path / "plain.png").write_bytes(encode_image(faces(1)[0], "image/png"))
    status, out, _ = marking("verify", tmp_path / "plain.png")
    assert status == 1
    assert "That proves nothing" in out


def test_what_cannot_be_looked_at_is_refused(marking, photos, tmp_path):
    status, _, err = marking("verify", photos / "text.jpg")
    assert status == 3
    assert (
        "it is not an image: it begins with text (hint: choose a picture (JPEG, PNG, WebP) or a film (GIF, MP4)" in err
    )
    assert "accepted" not in err
    assert marking("verify", tmp_path / "none.png")[0] == 2


def test_films_grids_batches_and_samples_are_signed_too(marking, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,weight,name\nsample:1,sample:2,0.5,one\n")
    commands = {
        "film.webp": ("animate", "sample:1", "sample:2", "--seconds", "0.2", "--fps", "5", "--size", "128"),
        "strip.jpg": ("mix", "sample:1", "sample:2", "--steps", "3"),
        "grid.png": ("grid", "sample:1", "sample:2"),
    }
    for name, words in commands.items():
        assert marking(*words, "-o", tmp_path / name)[0] == 0
    assert marking("batch", table, "--out", tmp_path / "rows")[0] == 0
    assert marking("sample", "--count", 1, "--out", tmp_path / "faces")[0] == 0
    for path in (
        *map(tmp_path.joinpath, commands),
        tmp_path / "rows/0001-one.png",
        tmp_path / "faces/0000/0000000.png",
    ):
        assert marking("verify", path)[0] == 0, path


def test_what_is_put_on_results_decides_whether_a_row_is_done_again(marking, monkeypatch, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,weight,name\nsample:1,sample:2,0.5,one\n")
    assert "1 made, 0 made before" in marking("batch", table, "--out", tmp_path / "out")[1]
    monkeypatch.setenv("FACEMIX_LABEL", "false")
    assert "1 made, 0 made before" in marking("batch", table, "--out", tmp_path / "out")[1]


def test_faces_with_and_without_a_label_do_not_mix(marking, monkeypatch, tmp_path):
    assert marking("sample", "--count", 1, "--out", tmp_path / "faces")[0] == 0
    monkeypatch.setenv("FACEMIX_LABEL", "false")
    assert marking("sample", "--count", 2, "--out", tmp_path / "faces")[0] == 2
    manifest = tmp_path / "faces/manifest.json"
    told = json.loads(manifest.read_text())
    monkeypatch.setenv("FACEMIX_MARK", "false")
    manifest.write_text(json.dumps({name: value for name, value in told.items() if name not in ("label", "mark")}))
    assert marking("sample", "--count", 2, "--out", tmp_path / "faces")[0] == 0, "older folders have neither"


def test_all_switched_off_leaves_plain_files(run, tmp_path):
    from facemix.cli.marking import marker_for_files

    run("mix", "sample:1", "-o", tmp_path / "mix.png")
    assert b"c2pa" not in (tmp_path / "mix.png").read_bytes()
    off = marker_for_files(load_settings())
    assert off.file(faces(1)[0], "image/png", Facts("ab" * 32, "m")) == encode_image(faces(1)[0], "image/png")
    with Image.open(BytesIO((tmp_path / "mix.png").read_bytes())) as image:
        assert "xmp" not in image.info
