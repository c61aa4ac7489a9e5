"""`facemix neighbours` and `facemix explain`, with the tiny model."""

import json
import shutil

import numpy as np
import pytest
from made_directions import made_directions
from PIL import Image
from prepared import prepared_set

from facemix.explaining.index import INDEX_FILE, load_index
from facemix.training.dataset import load_split
from facemix.vae.checkpoint import read_card


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared_set(tmp_path_factory.mktemp("data") / "set", train=60, validation=4, test=4)


@pytest.fixture
def own(checkpoint, tmp_path):
    """A checkpoint that may be written to, with directions."""
    folder = shutil.copytree(checkpoint, tmp_path / "own")
    made_directions(read_card(folder)).save(folder)
    return folder


def index_of(folder):
    card = read_card(folder)
    return load_index(folder, weights=card.weights_sha256, latent_schema=card.latent_schema)


def test_the_index_is_built_from_the_training_split_alone(run, own, data):
    status, out, err = run("neighbours", data, own)
    assert status == 0
    assert "60 training faces" in out
    assert "not the manifest that the checkpoint was trained on" in err
    index = index_of(own)
    assert len(index) == 60
    assert all(index.holds(row["sha256"]) for row in load_split(data, "train").rows)
    assert not any(index.holds(row["sha256"]) for row in load_split(data, "test").rows)
    assert index.facts["data"] == "smooth noise"


def test_a_damaged_index_does_not_keep_it_from_being_built_again(run, own, data):
    (own / INDEX_FILE).write_bytes(b"damaged")
    assert run("neighbours", data, own, "--limit", 20)[0] == 0
    assert len(index_of(own)) == 20


def test_near_duplicates_are_counted(run, own, data, tmp_path):
    from facemix.cli.neighbours import copies_of

    faces = load_split(data, "train", limit=10)
    twice = type(faces)(faces.images[[0, 1, 2, 3, 0]], faces.rows[:5])
    assert copies_of(twice) == [True, False, False, False, True]


def test_an_explanation_is_written_with_its_pictures(run, own, data, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(own))
    assert run("neighbours", data, own)[0] == 0
    arguments = (photos / "a.png", "sample:3", "--weight", 0.25, "--set", "smile=1", "--region", "eyes=1,0")
    status, out, _ = run("explain", *arguments, "--out", tmp_path / "why", "--data", data)
    assert status == 0
    told = json.loads((tmp_path / "why" / "explanation.json").read_text())
    assert [one["weight"] for one in told["parents"]] == [0.75, 0.25]
    assert sum(one["influence"] for one in told["parents"]) == pytest.approx(1)
    assert [one["name"] for one in told["edits"]] == ["smile"]
    assert told["record"]["schema"] == 2
    hashes = [one["hash"] for one in told["closeness"]["neighbours"]]
    names = {path.name for path in (tmp_path / "why").iterdir()} - {"explanation.json"}
    neighbours = {f"neighbour-{place}-{one}.png" for place, one in enumerate(hashes, 1)}
    assert (
        names == {"result.png", "parent-a.png", "parent-b.png", "edit-smile.png", *neighbours} == set(told["pictures"])
    )
    rows = [row["sha256"][:16] for row in load_split(data, "train").rows]
    with Image.open(tmp_path / "why" / f"neighbour-1-{hashes[0]}.png") as image:
        np.testing.assert_array_equal(
            np.asarray(image), load_split(data, "train").images[rows.index(hashes[0])].numpy()
        )
    assert "face A: weight 75 %, drew" in out
    assert str(photos) not in (tmp_path / "why" / "explanation.json").read_text()


def test_without_an_index_it_says_so(run, tmp_path):
    status, out, _ = run("explain", "sample:3", "--out", tmp_path / "why")
    assert status == 0
    assert "no index of training faces" in out
    assert json.loads((tmp_path / "why" / "explanation.json").read_text())["closeness"] is None


def test_the_options_of_a_mix_are_checked_alike(run, tmp_path):
    assert run("explain", "sample:3", "--weight", 0.5, "--out", tmp_path / "why")[0] == 2
    assert not (tmp_path / "why").exists()
    assert run("explain", "sample:3", "--out", tmp_path / "why", "--data", tmp_path / "nothing")[0] == 7
