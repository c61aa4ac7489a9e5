import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import tiny_vae

from facemix.training import grids

TESTS = Path(__file__).resolve().parents[1]


def numbered(count, height=4, width=5):
    """Images that are told apart by their value: 0, 1/count, ..."""
    return (torch.arange(count) / count)[:, None, None, None].expand(count, 3, height, width).clone()


@pytest.fixture
def no_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.utils", None)


@pytest.fixture
def mismatched_torchvision(monkeypatch, tmp_path):
    """A torchvision that fails as one that was built for another torch does."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)


def assert_drawn(picture):
    """5 images of 4 x 5 pixels, 3 to a row, 2 pixels of padding."""
    assert picture.shape == (3, 2 * (4 + 2) + 2, 3 * (5 + 2) + 2)
    assert torch.equal(picture[0, 2:6, 2 + 7 : 7 + 7], torch.full((4, 5), 1 / 5))  # second of the first row
    assert torch.equal(picture[0, 8:12, 2 + 7 : 7 + 7], torch.full((4, 5), 4 / 5))  # second of the second row
    assert (picture[:, :2] == -1).all()
    assert (picture[:, 8:, 16:] == -1).all()  # the empty place


def test_a_grid_without_torchvision(no_torchvision):
    assert_drawn(grids.tile(numbered(5), 3))


def test_a_grid_with_a_torchvision_that_does_not_fit(mismatched_torchvision):
    assert_drawn(grids.tile(numbered(5), 3))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvision_draws_the_same_grid():
    program = """
import torch
from torchvision_shim import import_torchvision
import_torchvision()
from torchvision.utils import make_grid
from facemix.training import grids

generator = torch.Generator().manual_seed(0)
for count, columns in ((1, 8), (3, 8), (8, 8), (9, 4), (5, 1)):
    images = torch.rand(count, 3, 6, 7, generator=generator) * 2 - 1
    theirs = make_grid(images, nrow=columns, padding=2, pad_value=-1.0)
    ours = grids._make_grid(images, nrow=columns, padding=2, pad_value=-1.0)
    assert torch.equal(ours, theirs), (count, columns, ours.shape, theirs.shape)

def never(*args, **options):
    raise AssertionError("torchvision can be imported and must be used")

grids._make_grid = never
assert torch.equal(grids.tile(images, columns), theirs)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
        env={"PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_each_photograph_stands_above_its_reconstruction(no_torchvision):
    vae = tiny_vae()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded = vae.decode(vae.encode(images).mode()).clamp(-1, 1)
    picture = grids.reconstruction_grid(vae, images, columns=3)

    def place(row, column):
        top, left = 2 + row * 34, 2 + column * 34
        return picture[:, top : top + 32, left : left + 32]

    assert picture.shape == (3, 4 * 34 + 2, 3 * 34 + 2)
    for index in range(5):
        row, column = 2 * (index // 3), index % 3
        assert torch.equal(place(row, column), images[index])
        torch.testing.assert_close(place(row + 1, column), decoded[index], rtol=0, atol=1e-5)
    assert (place(2, 2) == -1).all()
    assert (place(3, 2) == -1).all()


def test_fewer_photographs_than_columns_stand_above_their_reconstructions(no_torchvision):
    picture = grids.reconstruction_grid(tiny_vae(), torch.zeros(2, 3, 32, 32), columns=8)
    assert picture.shape == (3, 2 * 34 + 2, 2 * 34 + 2)
    assert (picture[:, 2:34, 2:34] == 0).all()


def test_samples_are_the_same_every_time(no_torchvision):
    vae = tiny_vae()
    first = grids.sample_grid(vae, count=4, columns=2)
    assert first.shape == (3, 2 * 34 + 2, 2 * 34 + 2)
    assert torch.equal(first, grids.sample_grid(vae, count=4, columns=2))
    assert not torch.equal(first, grids.sample_grid(vae, count=4, columns=2, seed=1))


def test_an_interpolation_begins_and_ends_with_its_pair(no_torchvision):
    vae = tiny_vae()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    picture = grids.interpolation_grid(vae, images, steps=3)  # the fifth has no partner
    assert picture.shape == (3, 2 * 34 + 2, 3 * 34 + 2)
    decoded = vae.decode(vae.encode(images).mode()).clamp(-1, 1)
    for row, column, index in ((0, 0, 0), (0, 2, 1), (1, 0, 2), (1, 2, 3)):
        shown = picture[:, 2 + row * 34 : 34 + row * 34, 2 + column * 34 : 34 + column * 34]
        torch.testing.assert_close(shown, decoded[index], rtol=0, atol=1e-5)
