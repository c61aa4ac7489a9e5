import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facemix.errors import CheckpointCorrupt
from facemix.vae.geometry import (
    FORMAT,
    GEOMETRY_FILE,
    GRID,
    SIDE,
    VERSION,
    Geometry,
    GeometryNet,
    load_geometry,
    save_geometry,
)


def stirred(seed=0):
    """A network whose every tensor differs from the fresh one's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = GeometryNet()
        with torch.no_grad():
            for tensor in net.parameters():
                tensor.add_(0.02 * torch.randn_like(tensor))
    return net


def crops(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def written(folder, tensors=None, **metadata):
    tensors = stirred().state_dict() if tensors is None else tensors
    save_file(tensors, folder / GEOMETRY_FILE, metadata={"format": FORMAT, "version": str(VERSION)} | metadata)


def test_as_it_is_made_it_displaces_nothing():
    found = Geometry(GeometryNet()).shapes(crops())
    assert found.shape == (3, 2, GRID, GRID)
    assert not found.any()


def test_shapes_depend_on_the_crop_and_not_on_the_others_beside_it():
    geometry, pictures = Geometry(stirred()), crops()
    together = geometry.shapes(pictures)
    assert together.dtype == np.float32
    assert np.abs(together[0] - together[1]).max() > 1e-4
    for picture, shape in zip(pictures, together, strict=True):
        np.testing.assert_allclose(geometry.shapes(picture[None])[0], shape, atol=1e-6)


def test_a_file_reads_the_same_shapes_to_half_precision(tmp_path):
    net = stirred()
    path = save_geometry(tmp_path, net, {"data": "noise", "faces": 7})
    assert [one.name for one in tmp_path.iterdir()] == [GEOMETRY_FILE] == [path.name]
    loaded = load_geometry(tmp_path)
    assert loaded.facts == {"data": "noise", "faces": 7}
    before, after = Geometry(net).shapes(crops()), loaded.shapes(crops())
    np.testing.assert_allclose(after, before, atol=2e-3 * np.abs(before).max())


def test_a_second_round_changes_nothing(tmp_path):
    save_geometry(tmp_path, stirred(), {"b": 1, "a": 2})
    first, loaded = load_file(tmp_path / GEOMETRY_FILE), load_geometry(tmp_path)
    save_geometry(tmp_path, loaded.net, loaded.facts)
    second = load_file(tmp_path / GEOMETRY_FILE)
    assert {value.dtype for value in second.values()} == {torch.float16}
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert load_geometry(tmp_path).facts == loaded.facts


def test_the_hash_is_that_of_the_weights_whatever_the_file_says_of_them(tmp_path):
    net = stirred()
    save_geometry(tmp_path, net, {"faces": 1})
    first = load_geometry(tmp_path)
    assert first.weights_sha256() == Geometry(net).weights_sha256()  # though the file has but half the precision
    save_geometry(tmp_path, first.net, {"faces": 2, "more": []})
    assert load_geometry(tmp_path).weights_sha256() == first.weights_sha256()
    with torch.no_grad():
        net.body[-1].bias[0] += 1
    assert Geometry(net).weights_sha256() != first.weights_sha256()


def test_loading_leaves_the_callers_random_state_alone(tmp_path):
    save_geometry(tmp_path, stirred(), {})
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_geometry(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_may_have_none(tmp_path):
    assert load_geometry(tmp_path) is None


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = save_geometry(tmp_path, stirred(), {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointCorrupt, match=GEOMETRY_FILE) as caught:
        load_geometry(tmp_path)
    assert "facemix geometry" in caught.value.hint


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"format": "facemix-directions"}, "facemix-directions"),
        ({"version": "2"}, "2"),
        ({"facts": "{"}, "Expecting"),
    ],
)
def test_another_format_is_refused(tmp_path, metadata, says):
    written(tmp_path, **metadata)
    with pytest.raises(CheckpointCorrupt, match=says):
        load_geometry(tmp_path)


def test_tensors_of_another_network_are_refused(tmp_path):
    tensors = stirred().state_dict()
    last = list(tensors)[-1]
    for wrong in (
        {name: value for name, value in tensors.items() if name != last},
        tensors | {last: torch.zeros(2 * GRID * GRID + 1)},
        tensors | {"further": torch.zeros(1)},
    ):
        written(tmp_path, wrong, facts=json.dumps({}))
        with pytest.raises(CheckpointCorrupt):
            load_geometry(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, SIDE, SIDE), np.uint8),
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((1, SIDE, SIDE, 4), np.uint8),
        np.zeros((1, SIDE, SIDE, 3), np.float32),
    ],
)
def test_crops_of_another_shape_or_type_are_refused(wrong):
    with pytest.raises(ValueError, match="crops must be"):
        Geometry(GeometryNet()).shapes(wrong)
