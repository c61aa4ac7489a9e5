"""The index of training faces: what it finds, what it says of itself, and what it refuses."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load, save

from facemix.errors import CheckpointCorrupt, ModelMismatch
from facemix.explaining.index import ALARM_SHARE, NeighbourIndex, build_index, load_index
from facemix.vae.prior import LatentPrior

SIZE, COARSE, COUNT = 24, 16, 400
WEIGHTS = "ab" * 32


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.fixture(scope="module")
def prior():
    """A density that is neither round nor about zero."""
    random = torch.Generator().manual_seed(3)
    scale = torch.tril(0.3 * torch.randn(SIZE, SIZE, generator=random)) + torch.diag(torch.linspace(2, 0.5, SIZE))
    return LatentPrior(torch.randn(SIZE, generator=random), scale)


@pytest.fixture(scope="module")
def latents(prior):
    """Faces of that density; the last is a copy of the first, taken at another exposure."""
    random = torch.Generator().manual_seed(4)
    z = prior.latents(torch.randn(COUNT, SIZE, generator=random)).numpy()
    z[-1] = prior.mean.numpy() + 1.1 * (z[0] - prior.mean.numpy())
    return z


@pytest.fixture(scope="module")
def index(prior, latents):
    copies = [place in (0, COUNT - 1) for place in range(COUNT)]
    facts = {"model": "made", "weights_sha256": WEIGHTS, "latent_schema": 1}
    hashes = [digest(place) for place in range(COUNT)]
    return build_index(latents, hashes, copies, prior, coarse_size=COARSE, facts=facts)


def test_a_training_face_finds_itself_and_its_copy_first(index, latents):
    first, second, third = index.nearest(latents[0], 3)
    assert {first.hash, second.hash} == {digest(0)[:16], digest(COUNT - 1)[:16]}
    assert max(first.distance, second.distance) < 1
    assert third.distance > 10


def test_the_search_is_exact(index, latents):
    """Against the definition: angles between whitened offsets from the mean, of the coarse dimensions."""
    z = latents[7] + 0.3 * np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    white = (latents[:, :COARSE] - index.mean) @ index.whiten.T
    wanted = (z[:COARSE] - index.mean) @ index.whiten.T
    cosines = white @ wanted / np.linalg.norm(white, axis=1) / np.linalg.norm(wanted)
    order = np.argsort(-cosines)[:5]
    found = index.nearest(z, 5)
    assert [one.hash for one in found] == [digest(int(place))[:16] for place in order]
    np.testing.assert_allclose([one.distance for one in found], np.degrees(np.arccos(cosines[order])), atol=0.7)


def test_the_whitened_faces_are_round(index, prior):
    z = prior.latents(torch.randn(20_000, SIZE, generator=torch.Generator().manual_seed(5))).numpy()
    white = (z[:, :COARSE] - index.mean) @ index.whiten.T
    np.testing.assert_allclose(np.cov(white.T), np.eye(COARSE), atol=0.05)


def test_detail_and_length_do_not_matter(index, latents):
    z = latents[9].copy()
    before = index.nearest(z, 4)
    z[COARSE:] = 50
    z[:COARSE] = index.mean + 0.4 * (z[:COARSE] - index.mean)
    after = index.nearest(z, 4)
    assert [one.hash for one in after] == [one.hash for one in before]
    np.testing.assert_allclose([one.distance for one in after], [one.distance for one in before], atol=0.05)


def test_of_several_views_the_nearer_counts(index, latents):
    both = index.nearest(np.stack([latents[11], latents[12]]), 2)
    assert {one.hash for one in both} == {digest(11)[:16], digest(12)[:16]}
    assert index.angle(latents[11], np.stack([latents[12], latents[11]])) < 0.1


def test_typical_distances_leave_copies_out(index):
    """Of the two copies each is nearest to the other; were they counted, copies would look usual."""
    assert index.typical[0] > 10
    assert np.all(np.diff(index.typical) >= 0)
    assert index.limit == pytest.approx(index.typical[round(100 * ALARM_SHARE)])
    assert index.facts["faces_with_a_copy"] == 2


def test_percentiles_say_how_many_lie_nearer(index):
    assert index.percentile(0) == 0
    assert index.percentile(float(index.typical[30])) == pytest.approx(30, abs=0.5)
    assert index.percentile(180) == 100


def test_a_photograph_is_known_by_its_hash(index):
    assert index.holds(digest(5))
    assert not index.holds(digest(COUNT + 5))


def test_more_neighbours_than_faces_are_all_of_them(index, latents):
    assert len(index.nearest(latents[0], COUNT + 10)) == COUNT


def test_the_middle_of_all_faces_has_no_direction_and_no_error(index):
    assert all(np.isfinite(one.distance) for one in index.nearest(index.mean, 3))


def test_the_file_gives_the_same_index_back(index, latents, tmp_path):
    path = index.save(tmp_path)
    read = load_index(tmp_path, weights=WEIGHTS, latent_schema=1)
    assert isinstance(read, NeighbourIndex)
    np.testing.assert_array_equal(read.typical, index.typical)
    again, before = read.nearest(latents[3], 5), index.nearest(latents[3], 5)
    assert [one.hash for one in again] == [one.hash for one in before]
    np.testing.assert_allclose([one.distance for one in again], [one.distance for one in before], atol=0.01)
    assert not list(tmp_path.glob("*.tmp"))
    assert path.stat().st_size < COUNT * (COARSE + 8) + 4096


def test_the_file_holds_neither_whole_hashes_nor_detail(index, tmp_path):
    tensors = load(index.save(tmp_path).read_bytes())
    assert tensors["directions"].shape == (COUNT, COARSE)
    assert tensors["directions"].dtype == np.int8
    assert tensors["hashes"].shape == (COUNT, 8)


def test_without_a_file_there_is_no_index(tmp_path):
    assert load_index(tmp_path, weights=WEIGHTS, latent_schema=1) is None


@pytest.mark.parametrize(("weights", "schema"), [("cd" * 32, 1), (WEIGHTS, 2)])
def test_an_index_of_other_weights_is_refused(index, tmp_path, weights, schema):
    index.save(tmp_path)
    with pytest.raises(ModelMismatch, match="abababababab"):
        load_index(tmp_path, weights=weights, latent_schema=schema)


def changed(path, **tensors):
    with safe_open(path, framework="numpy") as opened:
        metadata = opened.metadata()
    return save({**load(path.read_bytes()), **tensors}, metadata=metadata)


def damages(path):
    whole = path.read_bytes()
    yield whole[: len(whole) // 2]
    yield b"no index"
    yield changed(path, typical=np.zeros(101, np.float32))
    yield changed(path, hashes=np.zeros((3, 8), np.uint8))
    yield save(load(whole))
    yield save(load(whole), metadata={"facts": json.dumps(["no", "facts"])})


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_file_is_refused(index, tmp_path, number):
    path = index.save(tmp_path)
    path.write_bytes(list(damages(path))[number])
    with pytest.raises(CheckpointCorrupt, match="not an index"):
        load_index(tmp_path, weights=WEIGHTS, latent_schema=1)
