"""The benchmark of ways from face to face: the page says what its file says, of the weights that ship."""

import json

import numpy as np

from benchmarks.correspondence import DOCUMENT, READING, RESULTS, markdown, measured, written
from facemix.evaluation.correspondence import NONE, SHAPES, unmoved
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint
from facemix.vae.geometry import load_geometry


class Scattered:
    """Instead of dlib: points that differ from crop to crop."""

    def __init__(self):
        self._random = np.random.default_rng(0)

    def landmarks(self, crop):
        points = np.array([[0.78, 0.3], [0.62, 0.31], [0.22, 0.3], [0.38, 0.31], [0.5, 0.6]])
        return len(crop) * (points + self._random.normal(0, 0.02, points.shape))


def test_the_page_shows_what_was_measured():
    text = DOCUMENT.read_text()
    shown = written(text, markdown(json.loads(RESULTS.read_text())))
    assert shown == text, "run `python -m benchmarks.correspondence`"


def test_what_was_measured_is_the_geometry_that_ships():
    measured_weights = json.loads(RESULTS.read_text())["geometry"]["weights"]
    shipped = load_geometry(newest_checkpoint(resource_dir("checkpoints")))
    assert measured_weights == shipped.weights_sha256(), "run `python -m benchmarks.correspondence`"


def test_every_way_is_measured_on_the_same_pairs_and_set_against_the_shapes():
    ways = {NONE: unmoved, SHAPES: lambda crops, points: points + np.array([0.0414, 0])}
    results = measured(np.zeros((12, 16, 16, 3), np.uint8), ways, Scattered(), pairs=5, seed=0)
    assert results["pairs"] == 5
    assert list(results["ways"]) == [NONE, SHAPES, READING]
    assert list(results["margins"]) == [NONE]
    margin = results["margins"][NONE]
    means = [results["ways"][name]["mean"]["mean"] for name in (NONE, SHAPES)]
    assert abs(margin["mean"] - (means[1] - means[0])) < 1e-4 * means[1]
    assert 0 < margin["mean"] <= 10
    lines = markdown(results).splitlines()
    assert sum(line.startswith("|") for line in lines) == 5
    assert f"{-margin['mean']:.2f}" in lines[2]
