import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_vae

from facemix.errors import CheckpointCorrupt
from facemix.training.state import Progress, load_state, save_state

FINGERPRINT = "f" * 64


class Run:
    """A model in training, as the trainer sets it up: channels-last, fused AdamW."""

    def __init__(self, seed=0):
        self.model = tiny_vae(seed=seed).requires_grad_(True).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2, fused=True)

    def step(self, number):
        images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(number)) * 2 - 1
        self.optimizer.zero_grad()
        reconstruction = self.model.decode(self.model.encode(images).mode())
        (reconstruction - images).square().mean().backward()
        self.optimizer.step()

    def save(self, path, progress=None):
        progress = progress or Progress(3, 48, 1.5)
        save_state(path, self.model, self.average, self.optimizer, progress, fingerprint=FINGERPRINT)

    def load(self, path, fingerprint=FINGERPRINT):
        return load_state(path, self.model, self.average, self.optimizer, fingerprint=fingerprint)


@pytest.fixture
def trained():
    run = Run()
    for number in range(3):
        run.step(number)
    return run


def test_everything_comes_back(trained, tmp_path):
    trained.save(tmp_path / "state.safetensors")
    restored = Run(seed=1)
    assert restored.load(tmp_path / "state.safetensors") == Progress(3, 48, 1.5)
    for mine, theirs in ((restored.model, trained.model), (restored.average, trained.average)):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    for mine, theirs in zip(restored.model.parameters(), trained.model.parameters(), strict=True):
        kept, expected = restored.optimizer.state[mine], trained.optimizer.state[theirs]
        assert kept.keys() == expected.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(kept[key], expected[key]) for key in kept)


def test_training_goes_on_as_if_never_interrupted(trained, tmp_path):
    trained.save(tmp_path / "state.safetensors")
    resumed = Run(seed=1)
    resumed.load(tmp_path / "state.safetensors")
    for number in range(3, 6):
        trained.step(number)
        resumed.step(number)
    for a, b in zip(trained.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_moments_lie_in_memory_as_their_parameters_do(trained, tmp_path):
    # The fused optimiser reads both in memory order; another layout would mix up the moments without an error.
    trained.save(tmp_path / "state.safetensors")
    trained.load(tmp_path / "state.safetensors")
    laid_out = 0
    for parameter in trained.model.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            assert trained.optimizer.state[parameter][name].stride() == parameter.stride()
        laid_out += not parameter.is_contiguous()
    assert laid_out > 0


def test_the_fresh_state_of_a_run_can_be_saved(tmp_path):
    Run().save(tmp_path / "state.safetensors", Progress())
    assert Run(seed=1).load(tmp_path / "state.safetensors") == Progress(0, 0, 0.0)


def test_another_configuration_is_refused(trained, tmp_path):
    trained.save(tmp_path / "state.safetensors")
    before = [parameter.clone() for parameter in trained.model.parameters()]
    trained.step(9)
    with pytest.raises(CheckpointCorrupt, match="another configuration"):
        trained.load(tmp_path / "state.safetensors", fingerprint="0" * 64)
    # Refused before anything was overwritten.
    assert not all(torch.equal(a, b) for a, b in zip(before, trained.model.parameters(), strict=True))


def test_a_truncated_file_is_refused(trained, tmp_path):
    path = tmp_path / "state.safetensors"
    trained.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointCorrupt, match="cannot be resumed"):
        trained.load(path)


def test_a_file_without_its_metadata_is_refused(trained, tmp_path):
    path = tmp_path / "state.safetensors"
    trained.save(path)
    save_file(load_file(path), path)
    with pytest.raises(CheckpointCorrupt):
        trained.load(path)


def test_a_file_without_one_of_its_tensors_is_refused(trained, tmp_path):
    path = tmp_path / "state.safetensors"
    trained.save(path)
    tensors = load_file(path)
    del tensors["average.encoder.stem.weight"]
    save_file(tensors, path, metadata={"fingerprint": FINGERPRINT, "progress": "{}"})
    with pytest.raises(CheckpointCorrupt, match="stem"):
        trained.load(path)


def test_a_pickle_is_refused(trained, tmp_path):
    path = tmp_path / "state.safetensors"
    torch.save(trained.model.state_dict(), path)
    with pytest.raises(CheckpointCorrupt):
        trained.load(path)


def test_a_save_that_fails_leaves_the_last_one(trained, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    trained.save(path)
    before = path.read_bytes()

    def full(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("facemix.training.state.save_file", full)
    with pytest.raises(OSError, match="No space"):
        trained.save(path)
    assert path.read_bytes() == before
