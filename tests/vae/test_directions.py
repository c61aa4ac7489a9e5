import json
import math

import pytest
import torch
from made_directions import made_directions
from tiny import TINY, tiny_checkpoint

from facemix.errors import AttributesMissing, CheckpointCorrupt, ModelMismatch
from facemix.vae.checkpoint import read_card
from facemix.vae.directions import AttributeDirections, load_directions


@pytest.fixture
def folder(tmp_path):
    return tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def model(folder):
    return read_card(folder)


@pytest.fixture
def directions(folder, model):
    made = made_directions(model)
    made.save(folder)
    return made


def test_files_and_back(directions, folder, model):
    read = load_directions(folder, model)
    assert read.names == ("smile", "age")
    assert torch.equal(read.directions, directions.directions)
    assert read.card == directions.card.model_copy(update={"tensors_sha256": read.card.tensors_sha256})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    read.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {"attributes.json", "attributes.safetensors"} <= set(before)


def test_a_folder_of_their_own(directions, model, tmp_path):
    directions.save(tmp_path / "a" / "b")
    assert load_directions(tmp_path / "a" / "b", model).names == directions.names


@pytest.mark.parametrize("change", [{"weights_sha256": "b" * 64}, {"latent_schema": 2}])
def test_directions_of_another_model_are_refused(directions, folder, model, change):
    with pytest.raises(ModelMismatch, match=f"belong to tiny@{model.weights_sha256[:12]}"):
        load_directions(folder, model.model_copy(update=change))


def test_the_name_of_the_model_does_not_matter(directions, folder, model):
    assert load_directions(folder, model.model_copy(update={"name": "renamed"})).names == directions.names


@pytest.mark.parametrize("missing", ["attributes.json", "attributes.safetensors"])
def test_a_missing_file(directions, folder, model, missing):
    (folder / missing).unlink()
    with pytest.raises(AttributesMissing, match=missing) as caught:
        load_directions(folder, model)
    assert "facemix directions" in caught.value.hint


def test_cut_off_tensors_are_refused(directions, folder, model):
    path = folder / "attributes.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointCorrupt, match="SHA-256"):
        load_directions(folder, model)


@pytest.mark.parametrize(
    "edit", [{"version": 2}, {"attributes": []}, {"surprise": 1}, {"tensors_sha256": "x"}, {"weights_sha256": None}]
)
def test_an_edited_card_is_refused(directions, folder, model, edit):
    path = folder / "attributes.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(CheckpointCorrupt, match=next(iter(edit))):
        load_directions(folder, model)


def test_latents_of_another_size_are_refused(directions, folder, model):
    larger = model.model_copy(update={"config": TINY.model_copy(update={"latent_size": 9})})
    with pytest.raises(CheckpointCorrupt, match=r"2 directions of 9 .* \(2, 8\)"):
        load_directions(folder, larger)


def test_directions_that_are_no_numbers_are_refused(directions, folder, model):
    broken = directions.directions.clone()
    broken[1, 2] = math.nan
    AttributeDirections(directions.card, broken).save(folder)
    with pytest.raises(CheckpointCorrupt, match="finite"):
        load_directions(folder, model)


def test_tensors_and_card_must_agree_in_number(directions, folder, model):
    AttributeDirections(directions.card, directions.directions[:1]).save(folder)
    with pytest.raises(CheckpointCorrupt, match="2 directions"):
        load_directions(folder, model)
