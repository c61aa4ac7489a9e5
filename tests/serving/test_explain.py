"""Explanations drawn by a real, tiny model."""

import hashlib
import json

import numpy as np
import pytest
import torch
from files import png
from looking import here
from made_directions import made_directions
from portraits import head, other
from tiny import tiny_checkpoint

from facemix.errors import ModelMismatch
from facemix.explaining.index import build_index
from facemix.mixing.recipe import REGIONS, Edits, OntoPlain
from facemix.serving.blocking import BlockingMixer
from facemix.serving.conditioning import SHAPING, record_of
from facemix.serving.engine import Engine
from facemix.serving.explain import MOST_EDITS, VIEWS, edit_picture, explain, frames_to_explain, parent_picture, told
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.vae.checkpoint import read_card

HEAD, OTHER = png(head()), png(other())
SAMPLES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint with directions, whose training faces are samples as they are drawn, and the photograph `HEAD`."""
    made = tiny_checkpoint(tmp_path_factory.mktemp("explained"))
    card = read_card(made)
    made_directions(card).save(made)
    engine = Engine(made, device="cpu")
    mixer = BlockingMixer(Mixer(engine, here_finder()))
    crop = mixer.find_faces(PhotoInput(HEAD, "head")).faces[0].crop
    z = torch.stack([*(engine.draw(number) for number in range(SAMPLES)), engine.encode(crop[None])[0]])
    latents = engine.encode(engine.decode(z)).numpy()  # this model is no autoencoder: a picture has another latent
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(SAMPLES)]
    hashes.append(hashlib.sha256(HEAD).hexdigest())
    facts = {"weights_sha256": card.weights_sha256, "latent_schema": card.latent_schema}
    build_index(latents, hashes, [False] * len(hashes), engine.prior, coarse_size=0, facts=facts).save(made)
    mixer.close()
    return made


def here_finder():
    from facemix.faces.centerface import CenterFace
    from facemix.faces.finder import FaceFinder

    return here(FaceFinder(CenterFace(threads=1)))


@pytest.fixture(scope="module")
def known(folder):
    """A mixer that has the index."""
    made = BlockingMixer(Mixer(Engine(folder, device="cpu"), here_finder()))
    yield made
    made.close()


def samples(*weights):
    return [SampleInput(3 + place, f"sample {place}", weight) for place, weight in enumerate(weights)]


def test_every_parent_is_compared_and_shares_sum_to_one(known):
    found = known.explain(samples(0.5, 0.3, 0.2))
    assert found.influence.shares.shape == (3, 32, 32)
    np.testing.assert_allclose(found.influence.shares.sum(0), 1, atol=1e-5)
    assert set(found.regions) == set(REGIONS)
    for shares in found.regions.values():
        assert shares.sum() == pytest.approx(1)
    np.testing.assert_array_equal(found.image, known.mix(samples(0.5, 0.3, 0.2)).image)


def test_a_parent_without_weight_drew_nothing(known):
    found = known.explain(samples(1.0, 0.0))
    np.testing.assert_allclose(found.influence.totals(), [1, 0], atol=1e-6)


def test_the_eyes_of_one_parent_are_its_own_doing(known):
    plain = known.explain(samples(0.3, 0.7))
    eyes = known.explain(samples(0.3, 0.7), Edits(regions={"eyes": (1.0, 0.0)}))
    assert eyes.regions["eyes"][0] > plain.regions["eyes"][0] + 0.1
    assert eyes.regions["frame"][0] == pytest.approx(plain.regions["frame"][0], abs=0.1)


def test_each_edit_is_measured_by_the_picture_without_it(known):
    names = known.mixer.attributes.names[:2]
    edits = Edits(attributes={names[0]: 2.0, names[1]: -0.5}, variation={"number": 2, "radius": 0.4})
    found = known.explain(samples(1.0, 1.0), edits)
    assert [one.name for one in found.edits] == [names[0], names[1], "variation"]
    assert [one.value for one in found.edits] == [2.0, -0.5, 0.4]
    assert all(one.moved.shape == (32, 32) and one.mean > 0 and one.most >= one.mean for one in found.edits)
    assert found.left_out == ()


def test_no_more_edits_than_a_bound_are_drawn():
    count = MOST_EDITS + 5
    assert frames_to_explain(3, count, 2) == 2 * (1 + 3 + MOST_EDITS) + VIEWS
    assert frames_to_explain(1, 0, 1) == 1 + VIEWS


def test_it_costs_what_was_announced(known):
    edits = Edits(attributes={known.mixer.attributes.names[0]: 1.0}, regions={"mouth": (0.0, 1.0)})
    found = known.explain(samples(0.5, 0.5), edits)
    assert found.cost.frames_decoded + found.cost.frames_encoded <= frames_to_explain(2, 1, edits.pictures)
    assert found.cost.frames_encoded == VIEWS


def test_what_is_done_to_the_models_picture_is_left_out(known):
    edits = Edits(regions={"mouth": (0.0, 1.0)}, variation={"number": 2, "radius": 0.4})
    done = edits.model_copy(update={"detail": 1.0, "size": 200, "keep": {"hair": 1}, "placement": OntoPlain()})
    parents = [PhotoInput(HEAD, "a", weight=0.5), PhotoInput(OTHER, "b", weight=0.5)]
    plain, found = known.explain(parents, edits), known.explain(parents, done)
    np.testing.assert_array_equal(found.image, plain.image)
    np.testing.assert_allclose(found.influence.shares, plain.influence.shares)
    assert found.recipe == plain.recipe
    assert found.recipe.edits == edits
    assert found.cost.frames_decoded + found.cost.frames_encoded <= 2 + frames_to_explain(2, 1, edits.pictures)
    assert found.closeness.neighbours == plain.closeness.neighbours


def test_a_memorised_sample_is_found_out(known):
    found = known.explain([SampleInput(7, "sample")]).closeness
    assert found.neighbours[0].hash == hashlib.sha256(b"7").hexdigest()[:16]
    assert found.alarm


def test_a_face_alone_is_all_its_own_and_finds_its_photograph(known):
    found = known.explain([PhotoInput(HEAD, "photo")])
    assert found.influence.totals().tolist() == [1.0]
    assert found.closeness.near
    assert found.closeness.neighbours[0].hash == hashlib.sha256(HEAD).hexdigest()[:16]


def test_without_an_index_nothing_is_said_of_training_faces(mixer):
    found = mixer.explain(samples(1.0, 1.0))
    assert found.closeness is None
    assert told(found)["closeness"] is None


def test_what_is_told_is_json_and_complete(known):
    name = known.mixer.attributes.names[0]
    text = json.loads(json.dumps(told(known.explain(samples(0.25, 0.75), Edits(attributes={name: 1.0})))))
    assert [one["name"] for one in text["parents"]] == ["A", "B"]
    assert sum(one["influence"] for one in text["parents"]) == pytest.approx(1)
    assert text["edits"][0]["name"] == name
    assert set(text["closeness"]) == {
        "alarm",
        "near",
        "because",
        "words",
        "limit",
        "typical",
        "faces",
        "neighbours",
    }


def test_maps_are_drawn_for_parents_and_edits(known):
    name = known.mixer.attributes.names[0]
    found = known.explain(samples(0.25, 0.75), Edits(attributes={name: 1.0}))
    for picture in (parent_picture(found, 0, "A"), edit_picture(found, found.edits[0], "Some words")):
        assert picture.dtype == np.uint8
        assert picture.shape[1:] == (256, 3)


def test_an_index_of_other_weights_stops_the_mixer(folder, tmp_path):
    other_model = tiny_checkpoint(tmp_path, seed=1)
    (other_model / "neighbours.safetensors").write_bytes((folder / "neighbours.safetensors").read_bytes())
    engine = Engine(other_model, device="cpu")
    with pytest.raises(ModelMismatch, match="index of training faces"):
        Mixer(engine, here_finder())
    engine.close()


def test_a_deadline_that_has_passed_is_kept(known):
    from facemix.errors import DeadlineExceeded

    with pytest.raises(DeadlineExceeded):
        known._wait(explain(known.mixer, samples(1.0, 1.0), Edits(), deadline=0.0))


def test_the_record_of_a_mix_names_the_program_the_gates_and_no_file(known):
    result = known.mix([PhotoInput(HEAD, "holiday-of-anna.jpg", weight=1), SampleInput(4, "sample", 1)])
    record = record_of(known.mixer, Settings(), result.recipe, result.parents, name=str.upper)
    assert record["recipe_sha256"] == result.recipe.hash
    assert [one["source"] for one in record["gates"]] == ["photo", "sample"]
    assert {one["name"] for one in record["gates"][0]["readings"]} >= {"face_pixels", "sharpness", "yaw"}
    assert record["gates"][1]["readings"] == []
    assert set(record["settings"]) == set(SHAPING)
    assert {"facemix", "torch", "backend", "device"} <= set(record["versions"])
    assert "anna" not in json.dumps(record)
    photo = result.recipe.parents[0].sha256
    assert record["recipe"]["parents"][0]["photo_hmac"] == photo.upper()
    assert photo not in json.dumps(record)


def test_no_setting_in_the_record_is_a_secret_or_an_address():
    kinds = [str(Settings.model_fields[name].annotation) for name in SHAPING]
    assert not [kind for kind in kinds if "Secret" in kind or "Path" in kind]
    assert not {"host", "public_url", "database_url", "blob_url", "trusted_proxies"} & set(SHAPING)


def test_the_record_of_a_portable_recipe_holds_no_latent(known):
    result = known.mix([PhotoInput(HEAD, "a"), PhotoInput(OTHER, "b")])
    portable = result.recipe.portable(result.latents)
    record = json.dumps(record_of(known.mixer, Settings(), portable, result.parents, name=None))
    assert all(parent.z not in record for parent in portable.parents)
