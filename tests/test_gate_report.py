"""docs/safety.md says what the JSON files say."""

from __future__ import annotations

import json

import pytest

from benchmarks import gate_report
from benchmarks.record import RESULTS
from facemix.resources import resource_dir
from facemix.safety.photo_gate import load_gate
from facemix.vae.checkpoint import newest_checkpoint, read_card


def test_the_page_is_what_the_files_give():
    page = gate_report.PAGE.read_text()
    assert page == gate_report.written(page, RESULTS), "run `python -m benchmarks.gate_report`"


def test_the_report_is_that_of_the_shipped_gate():
    folder = newest_checkpoint(resource_dir("checkpoints"))
    gate = load_gate(folder, read_card(folder).weights_sha256)
    report = json.loads((RESULTS / "gate.json").read_text())
    assert gate is not None
    for name in ("weights_sha256", "threshold", "fitting"):
        assert report[name] == getattr(gate, name)


def test_what_was_measured_is_what_is_asked_of_it():
    """At most half a percent of photographs refused, grey ones too, and most of what it was fitted to."""
    test = json.loads((RESULTS / "gate.json").read_text())["test"]
    assert test["refused"] <= 0.005
    assert test["ordinary"]["black and white"] <= 0.01
    assert min(test["fitted"].values()) > 0.5


def test_what_is_not_there_is_said_not_to_be_measured_and_the_rest_of_the_page_stays(tmp_path):
    page = gate_report.PAGE.read_text()
    bare = gate_report.written(page, tmp_path)
    assert bare.count("Not measured.") == 2
    for part in ("# Safety", "### Consent", "## After the mix"):
        assert part in bare
    assert gate_report.written(bare, RESULTS) == page


def test_sketches_in_words_by_hand():
    found = {
        "photographs": 1905,
        "pairs": 1813560,
        "near": 24,
        "met": 0.9652,
        "taken_for_one": 37,
        "again": [12, 19, 28],
        "apart": [109, 130, 150],
        "cost_ms": {"features": 1.4321, "sketch": 0.051},
    }
    said = gate_report.sketch_text(found)
    assert "96.5 % were known again" in said
    assert "Of 1,813,560 pairs of different files 37 were taken for one" in said
    assert "photograph gate 1.4 ms, the sketch 0.05 ms" in said
    assert "| differ after sending again | 12 | 19 | 28 |" in said


@pytest.mark.parametrize("name", ["gate", "sketches"])
def test_a_page_without_the_place_for_a_table_is_named(name, tmp_path):
    page = gate_report.PAGE.read_text().replace(f"<!-- {name} -->", "")
    with pytest.raises(ValueError, match=f"{name}.json"):
        gate_report.written(page, tmp_path)
