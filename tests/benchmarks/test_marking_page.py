"""docs/marking.md and the words of verdicts say what was measured."""

import json

import numpy as np
import pytest
from marked_faces import faces

from benchmarks import marking
from benchmarks.attacks import ATTACKS
from facemix.safety import mark_figures


@pytest.fixture(scope="module")
def measured():
    return json.loads(marking.RESULTS.read_text())


def test_the_written_page_is_that_of_the_file(measured):
    assert not measured["quick"]
    assert marking.PAGE.read_text() == marking.render(measured), "run `python -m benchmarks.marking --render`"


def test_verdicts_speak_of_what_was_measured(measured):
    found = {row["name"]: row["found"] for row in measured["attacks"]}
    assert measured["false_positives"]["photographs"] == mark_figures.PHOTOGRAPHS
    assert measured["false_positives"]["taken_for_marked"] == mark_figures.TAKEN_FOR_MARKED
    assert (measured["count"], found["half size, then JPEG 50"]) == (mark_figures.RESULTS, mark_figures.FOUND)


def test_no_wrong_recipe_was_named(measured):
    assert {row["wrong"] for row in measured["attacks"]} == {0}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_leaves_a_picture(name):
    frame = faces(1)[0]
    changed = ATTACKS[name](frame, np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert changed.shape[2] == 3
    assert min(changed.shape[:2]) >= 60
    np.testing.assert_array_equal(frame, faces(1)[0])
    assert (name == "nothing") == np.array_equal(changed, frame)
