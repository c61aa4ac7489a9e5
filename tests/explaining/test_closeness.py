"""The alarm: what counts as near, what explains it, and what is said."""

import hashlib

import numpy as np
import pytest
import torch

from facemix.explaining.closeness import ParentCode, closeness, letter
from facemix.explaining.index import build_index
from facemix.vae.prior import LatentPrior

SIZE = 16
HASHES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(600)]


@pytest.fixture(scope="module")
def latents():
    return torch.randn(len(HASHES), SIZE, generator=torch.Generator().manual_seed(0)).numpy()


@pytest.fixture(scope="module")
def index(latents):
    return build_index(latents, HASHES, [False] * len(HASHES), LatentPrior.standard(SIZE), coarse_size=0, facts={})


def new(number=1):
    """A face that was not trained on."""
    return np.random.default_rng([number, 77]).standard_normal(SIZE).astype(np.float32)


def test_a_new_face_raises_no_alarm(index):
    found = closeness(index, new()[None], [ParentCode(new(), "sample", 1.0)])
    assert (found.near, found.alarm, found.because) == (False, False, None)
    assert found.words.startswith("No training photograph is nearer")
    assert found.limit == index.limit
    assert found.typical["50"] == index.typical[50]
    assert found.faces == len(HASHES)
    assert len(found.neighbours) == 5


def test_a_memorised_sample_raises_the_alarm(index, latents):
    found = closeness(index, latents[3][None], [ParentCode(latents[3], "sample", 1.0)])
    assert (found.near, found.alarm, found.because) == (True, True, None)
    assert found.neighbours[0].hash == HASHES[3][:16]
    assert "may have memorised" in found.words


def test_its_mirror_image_is_as_much_of_an_alarm(index, latents):
    found = closeness(index, np.stack([new(), latents[3]]), [ParentCode(new(), "sample", 1.0)])
    assert found.alarm


def test_a_mix_of_others_that_meets_a_training_face_raises_the_alarm(index, latents):
    aside = new(2) - (new(2) @ latents[3]) / (latents[3] @ latents[3]) * latents[3]
    parents = [ParentCode(latents[3] + sign * 2 * aside, "photo", 0.5) for sign in (1, -1)]
    found = closeness(index, latents[3][None], parents)
    assert found.alarm


@pytest.mark.parametrize("kind", ["photo", "latent"])
def test_a_parent_that_was_brought_explains_it(index, latents, kind):
    parents = [ParentCode(new(), kind, 0.0), ParentCode(latents[3], kind, 1.0)]
    found = closeness(index, latents[3][None], parents)
    assert (found.near, found.alarm, found.because) == (True, False, 1)
    assert "The reason is face B, which makes 100 % of it" in found.words


def test_a_mirrored_training_photograph_explains_it_too(index, latents):
    """The result is the mirrored parent's own reconstruction; its mirror image is the training face."""
    mirrored = new(3)
    found = closeness(index, np.stack([mirrored, latents[3]]), [ParentCode(mirrored, "photo", 1.0)])
    assert (found.near, found.alarm, found.because) == (True, False, 0)


def test_a_parent_without_weight_explains_nothing(index, latents):
    parents = [ParentCode(latents[3], "photo", 0.0), ParentCode(new(), "photo", 1.0)]
    assert closeness(index, latents[3][None], parents).alarm


def test_at_weight_1_a_training_photograph_is_named_as_such(index, latents):
    found = closeness(index, latents[3][None], [ParentCode(latents[3], "photo", 1.0, HASHES[3])])
    assert found.words.endswith("it is a training photograph itself.")
    unknown = closeness(index, latents[3][None], [ParentCode(latents[3], "photo", 1.0, "00" * 32)])
    assert unknown.words.endswith("as near to that photograph.")


@pytest.mark.parametrize(("place", "name"), [(0, "A"), (7, "H"), (25, "Z"), (26, "27")])
def test_letters(place, name):
    assert letter(place) == name
