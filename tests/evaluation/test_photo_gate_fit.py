import hashlib
import json

import numpy as np
import pytest
from prepared import prepared_set
from tiny import tiny_checkpoint

from facemix.errors import DatasetError
from facemix.evaluation import photo_gate_fit
from facemix.evaluation.ordinary import ORDINARY
from facemix.evaluation.photo_gate_fit import Options, fit_gate
from facemix.evaluation.photo_gate_table import text
from facemix.safety.photo_features import features
from facemix.safety.photo_gate import load_gate
from facemix.training.dataset import load_split
from facemix.vae.checkpoint import read_card

FEW = {"texture": photo_gate_fit.FITTED["texture"], "mosaic": photo_gate_fit.FITTED["mosaic"]}
HELD = {"text and strokes": photo_gate_fit.HELD_OUT["text and strokes"]}
OPTIONS = Options(limit=24, refused=0.1, steps=150, batch=64, hidden=4, seed=3)


@pytest.fixture(scope="module")
def few():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_gate_fit, "FITTED", FEW)
        patch.setattr(photo_gate_fit, "HELD_OUT", HELD)
        patch.setattr(photo_gate_fit, "_LEAST_OF_GROUP", 2)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Smooth patches, with labels."""
    folder = prepared_set(tmp_path_factory.mktemp("data"), train=30, validation=12, test=12)
    manifest = folder / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for index, row in enumerate(rows):
        row["labels"] = {"age": 10 if index % 2 else 70, "gender": "male" if index % 3 else "female"}
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    manifest.write_bytes(content)
    summary = json.loads((folder / "dataset.json").read_text())
    summary["manifest_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return read_card(tiny_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def fitted(few, data, card):
    steps = []
    found = fit_gate(card, data, OPTIONS, on_progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (24 + 12 + 12, 24 + 12 + 12)
    return found


def test_what_is_fitted_tells_photographs_from_what_was_made_of_them(fitted, data, tmp_path, card):
    gate, report = fitted
    assert report["test"]["fitted"]["texture"] > 0.5
    assert report["test"]["refused"] < report["test"]["fitted"]["texture"]
    assert set(report["test"]["ordinary"]) == set(ORDINARY)
    assert set(report["test"]["held_out"]) == set(HELD)
    assert report["validation"]["refused"] <= 0.1
    assert report["validation"]["ordinary_refused"] <= 0.3
    gate.save(tmp_path)
    assert (tmp_path / "gate.json").stat().st_size == report["bytes"]
    again = load_gate(tmp_path, card.weights_sha256)
    plain = load_split(data, "test").images.numpy()
    refused = [again.judge(features(crop))[1] is not None for crop in plain]
    assert np.mean(refused) == pytest.approx(report["test"]["refused"], abs=1e-4)


def test_groups_are_those_of_the_labels_and_their_rates_average_to_the_whole(fitted):
    groups = fitted[1]["groups"]
    by_age = [row for row in groups["rows"] if row["label"] == "age"]
    assert {row["group"] for row in by_age} == {"0 to 12", "65 and older"}
    assert sum(row["photographs"] for row in by_age) == 12
    mean = sum(row["refused"] * row["photographs"] for row in by_age) / 12
    assert mean == pytest.approx(groups["overall"], abs=1e-4)
    assert {row["group"] for row in groups["rows"] if row["label"] == "gender"} == {"male", "female"}


def test_the_same_seed_gives_the_same_gate(few, data, card, fitted):
    assert fit_gate(card, data, OPTIONS)[0] == fitted[0]


def test_too_few_photographs_to_set_a_threshold_on_are_refused(few, data, card):
    with pytest.raises(DatasetError, match="12 validation photographs"):
        fit_gate(card, data, Options(refused=0.01))


def test_the_report_can_be_read(fitted):
    said = text(fitted[1])
    assert "| texture | yes |" in said
    assert "| text and strokes | no |" in said
    assert "| age | 65 and older | 6 |" in said
