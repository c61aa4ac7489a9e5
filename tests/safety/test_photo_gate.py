import json
import math

import numpy as np
import pytest
from made_gate import made_gate
from tiny import tiny_checkpoint

from facemix.errors import CheckpointCorrupt, FaceNotPhotograph, FaceTooSmall, ModelMismatch
from facemix.faces.look import FoundFace
from facemix.faces.types import Face, Quality
from facemix.safety.photo_features import features
from facemix.safety.photo_gate import CLASSES, GATE_FILE, LARGEST_FILE, PhotoGate, judged, load_gate
from facemix.vae.checkpoint import read_card

BRIGHT, DARK = np.full((128, 128, 3), 180, np.uint8), np.full((128, 128, 3), 20, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def card(folder):
    return read_card(folder)


def face(crop, refusal=None, figures=None):
    quality = Quality(score=0.9, face_pixels=60, sharpness=0.1, yaw=0.0, roll=0.0, brightness=0.5)
    return FoundFace(0, Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 0.9), quality, crop, refusal, figures)


def test_shares_sum_to_one_and_one_crop_is_as_many(card):
    gate = made_gate(card)
    both = np.stack([features(BRIGHT), features(DARK)])
    shares = gate.shares(both)
    assert shares.shape == (2, len(CLASSES))
    assert shares.sum(1) == pytest.approx([1, 1])
    assert gate.shares(both[1]) == pytest.approx(shares[1])
    assert shares[0, 0] > 0.9 > 0.1 > shares[1, 0]


@pytest.mark.parametrize("name", CLASSES[1:])
def test_a_refusal_says_in_plain_words_why(card, name):
    likeness, refusal = made_gate(card, classes=name).judge(features(DARK))
    assert isinstance(refusal, FaceNotPhotograph)
    assert {"drawing": "drawn", "sculpture": "statue", "covered": "covers", "medium": "pattern"}[
        name
    ] in refusal.message
    assert refusal.hint
    assert refusal.details["photograph"] == pytest.approx(likeness, abs=1e-5)
    assert made_gate(card, classes=name).judge(features(BRIGHT))[1] is None


def test_the_threshold_decides(card):
    likeness, _ = made_gate(card).judge(features(DARK))
    assert made_gate(card, threshold=likeness / 2).judge(features(DARK))[1] is None
    assert made_gate(card, threshold=min(1, likeness * 2 + 1e-6)).judge(features(DARK))[1] is not None


def test_figures_far_beyond_anything_that_was_seen_do_not_break_it(card):
    gate = made_gate(card)
    for value in (1e30, -1e30, np.inf):
        assert np.isfinite(gate.shares(np.full(gate.count, value))).all()


def test_a_face_is_judged_with_or_without_its_figures_and_loses_them(card):
    gate = made_gate(card)
    for given in (face(DARK), face(DARK, figures=features(DARK))):
        found = judged(given, gate)
        assert found.figures is None
        assert isinstance(found.refusal, FaceNotPhotograph)
        assert found.quality.photograph == pytest.approx(found.refusal.details["photograph"], abs=1e-5)
    passed = judged(face(BRIGHT), gate)
    assert passed.refusal is None
    assert passed.quality.photograph > 0.9
    # What is refused already keeps its reason, and without a gate nothing is said.
    small = FaceTooSmall("small", hint="larger")
    assert judged(face(DARK, small), gate).refusal is small
    plain = judged(face(DARK, figures=features(DARK)), None)
    assert plain.refusal is None
    assert plain.figures is None
    assert math.isnan(plain.quality.photograph)


def test_it_is_kept_beside_its_checkpoint_and_read_again(card, tmp_path):
    gate = made_gate(card, threshold=0.25)
    gate.save(tmp_path)
    again = load_gate(tmp_path, card.weights_sha256)
    assert again == gate
    assert again.shares(features(DARK)) == pytest.approx(gate.shares(features(DARK)))
    assert [path.name for path in tmp_path.iterdir()] == [GATE_FILE]


def test_rounding_for_the_file_hardly_changes_what_it_says(card):
    rng = np.random.default_rng(0)
    layers = (rng.normal(0, 0.2, (40, 8)), rng.normal(0, 1, 8), rng.normal(0, 0.5, (8, 5)), rng.normal(0, 1, 5))
    said = {"model": card.name, "weights_sha256": card.weights_sha256, "threshold": 0.5}
    gate = PhotoGate.of(layers, np.zeros(40), np.ones(40), **said)
    x = rng.normal(0, 1, (200, 40))
    h = x @ layers[0] + layers[1]
    logits = h / (1 + np.exp(-h)) @ layers[2] + layers[3]
    exact = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.abs(gate.shares(x) - exact).max() < 0.03


def test_no_file_no_gate_and_that_of_another_model_is_refused(card, tmp_path):
    assert load_gate(tmp_path, card.weights_sha256) is None
    made_gate(card).save(tmp_path)
    with pytest.raises(ModelMismatch) as refused:
        load_gate(tmp_path, "0" * 64)
    assert "facemix gate" in refused.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told | {"mean": told["mean"][:-8]},
        lambda told: told | {"weights": "not base64!"},
        lambda told: told | {"threshold": 2},
        lambda told: told | {"features": 2},
        lambda told: told | {"count": told["count"] + 1},
        lambda told: told | {"scale": "AAAA" * (len(told["scale"]) // 4)},
        lambda told: told | {"extra": 1},
    ],
)
def test_a_damaged_file_is_named(card, tmp_path, change):
    made_gate(card).save(tmp_path)
    path = tmp_path / GATE_FILE
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(CheckpointCorrupt, match=r"gate\.json"):
        load_gate(tmp_path, card.weights_sha256)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b" " * (LARGEST_FILE + 1)])
def test_a_file_that_is_none_is_named(card, tmp_path, content):
    (tmp_path / GATE_FILE).write_bytes(content)
    with pytest.raises(CheckpointCorrupt, match=r"gate\.json"):
        load_gate(tmp_path, card.weights_sha256)
