"""The benchmark of the index: its page says what its file says, and its measures find what is planted."""

import json

import numpy as np
import torch

from benchmarks.neighbours import DOCUMENT, RESULTS, changes, found, nearest, tables, written
from facemix.explaining.index import load_index
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint, read_card
from facemix.vae.prior import LatentPrior


def test_the_page_shows_what_was_measured():
    text = DOCUMENT.read_text()
    assert written(text, tables(json.loads(RESULTS.read_text()))) == text, "run `python -m benchmarks.neighbours`"


def test_what_was_measured_is_the_index_that_ships():
    folder = newest_checkpoint(resource_dir("checkpoints"))
    card, results = read_card(folder), json.loads(RESULTS.read_text())
    index = load_index(folder, weights=card.weights_sha256, latent_schema=card.latent_schema)
    assert len(index) == results["faces"]
    assert len(index.mean) == results["dimensions"]
    assert abs(index.limit - results["limit"]) < 0.01
    assert (folder / "neighbours.safetensors").stat().st_size < 5_000_000


def test_copies_are_found_and_strangers_are_not():
    random = torch.Generator().manual_seed(0)
    training, unseen = (torch.randn(count, 16, generator=random).numpy() for count in (300, 20))
    prior = LatentPrior.standard(16)
    changed = {"copy": unseen * 1.05, "stranger": torch.randn(20, 16, generator=random).numpy()}
    way = found(prior, "angle", 16, training, np.zeros(300, bool), unseen, changed)
    assert way["first"]["copy"] == way["near"]["copy"] == 1
    assert way["first"]["stranger"] < 0.2
    assert way["near"]["stranger"] == 0


def test_the_nearest_other_is_not_the_face_itself():
    faces = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    np.testing.assert_allclose(nearest(faces, faces, 0), [5, 5, 5])
    np.testing.assert_allclose(nearest(faces, faces), [0, 0, 0], atol=1e-6)


def test_every_change_leaves_a_crop_of_the_same_kind():
    crops = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    for name, change in changes().items():
        made = change(crops)
        assert (made.shape, made.dtype) == (crops.shape, np.uint8), name
        assert not np.array_equal(made, crops), name
