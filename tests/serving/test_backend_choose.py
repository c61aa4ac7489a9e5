import dataclasses
import sys

import numpy as np
import pytest
import torch
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import TINY

from facemix.errors import InstallationError
from facemix.serving.backends import choose
from facemix.serving.backends.base import Difference, Reference
from facemix.serving.backends.choose import describe, open_backend
from facemix.serving.backends.torch_backend import TorchBackend
from facemix.vae.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_checkpoint(checkpoint)


@pytest.fixture(autouse=True)
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Optional(TorchBackend):
    """Stands in for OpenVINO; a test says what is wrong with it."""

    made, closed, error, levels = 0, 0, None, 0

    def __init__(self, checkpoint, *, precision, threads, max_batch):
        type(self).made += 1
        if self.error is not None:
            raise self.error
        super().__init__(checkpoint, precision=precision, max_batch=max_batch)
        self.name = f"openvino {precision}"

    def decode(self, z):
        return super().decode(z) ^ np.uint8(self.levels)

    def close(self):
        type(self).closed += 1
        super().close()


@pytest.fixture
def optional(monkeypatch):
    """The stand-in, as if it were installed, with its counts at 0."""
    fresh = type("Optional", (Optional,), {})
    monkeypatch.setattr(choose, "OpenVINOBackend", fresh)
    monkeypatch.setattr(choose, "_installed", lambda package: True)
    monkeypatch.setattr(choose, "has_bf16_units", lambda: False)
    return fresh


def test_a_wish_is_granted_and_said(loaded):
    backend, notes = open_backend(loaded, backend="torch", device="cpu", precision="fp32", threads=1, max_batch=5)
    assert (backend.name, backend.device, backend.max_batch) == ("torch fp32", "cpu", 5)
    line = describe(backend, notes)
    assert line.startswith("torch fp32 on cpu, batches of up to 5. torch fp32 agrees with the reference: pixels differ")


def test_on_a_cpu_the_largest_batch_is_16_unless_asked_otherwise(loaded):
    assert open_backend(loaded, backend="torch", device="cpu", precision="fp32", threads=1)[0].max_batch == 16


def test_threads_are_the_operators_or_one_per_core(loaded, monkeypatch):
    open_backend(loaded, backend="torch", precision="fp32", device="cpu", threads=2)
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(choose, "cores", lambda: 3)
    open_backend(loaded, backend="torch", precision="fp32", device="cpu", threads=0)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("ratio", "taken"), [(1.5, "openvino fp32"), (0.5, "torch fp32"), (1.01, "torch fp32")])
def test_the_optional_library_is_taken_where_it_wins(loaded, optional, monkeypatch, ratio, taken):
    clock = [0.0]
    monkeypatch.setattr(choose.time, "perf_counter", lambda: clock[0])

    def slow(cls, seconds):
        real = cls.decode

        def decode(self, z):
            clock[0] += seconds
            return real(self, z)

        monkeypatch.setattr(cls, "decode", decode)

    slow(optional, 1.0)  # calls TorchBackend.decode below it, which is given its own time next
    plain = type("Plain", (TorchBackend,), {})
    slow(plain, ratio)
    monkeypatch.setattr(choose, "TorchBackend", plain)
    backend, notes = open_backend(loaded, backend="auto", device="cpu", precision="fp32", threads=1)
    assert backend.name == taken
    assert notes[-1].endswith(f"{taken} is taken.")
    assert f"torch fp32 {1 / ratio:.0f} and {8 / ratio:.0f}" in notes[-1]
    assert optional.closed == (0 if taken.startswith("openvino") else 1)
    assert backend.decode(np.zeros((1, TINY.latent_size), np.float32)).shape == (1, 32, 32, 3)


def test_what_is_wished_for_is_not_timed(loaded, optional):
    backend, notes = open_backend(loaded, backend="openvino", device="cpu", precision="fp32", threads=1)
    assert backend.name == "openvino fp32"
    assert not any("Measured" in note for note in notes)
    assert open_backend(loaded, backend="torch", device="cpu", precision="fp32", threads=1)[0].name == "torch fp32"
    assert optional.made == 1


def test_what_is_not_installed_is_neither_tried_nor_mentioned(loaded, monkeypatch):
    monkeypatch.setattr(choose, "_installed", lambda package: False)
    backend, notes = open_backend(loaded, backend="auto", device="cpu", precision="fp32", threads=1)
    assert backend.name == "torch fp32"
    assert not any("openvino" in note.lower() for note in notes)


def test_an_import_that_fails_falls_back_with_a_note(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    backend, notes = open_backend(loaded, backend="openvino", device="cpu", precision="fp32", threads=1)
    assert backend.name == "torch fp32"
    assert notes[0].startswith("openvino fp32 was tried and failed: ")
    assert "pip install 'facemix[openvino]'" in notes[0]


@pytest.mark.parametrize("wish", ["auto", "openvino"])
def test_a_conversion_that_fails_falls_back_with_a_note(loaded, optional, wish):
    optional.error = RuntimeError("no rule for aten::new_op.\nand a long trace")
    backend, notes = open_backend(loaded, backend=wish, device="cpu", precision="fp32", threads=1)
    assert backend.name == "torch fp32"
    assert notes[0] == "openvino fp32 was tried and failed: RuntimeError: no rule for aten::new_op."


def test_a_library_that_computes_wrongly_falls_back_with_a_note(loaded, optional):
    optional.levels = 64
    backend, notes = open_backend(loaded, backend="auto", device="cpu", precision="fp32", threads=1)
    assert backend.name == "torch fp32"
    assert notes[0].startswith("openvino fp32 was tried and is too far from the reference: pixels differ by 64.000")
    assert (optional.made, optional.closed) == (1, 1)


def test_bfloat16_that_is_too_far_falls_back_to_float32(loaded, monkeypatch):
    tolerances = {**choose.TOLERANCES, "bf16": Difference(0.0, 0, 0.0)}
    monkeypatch.setattr(choose, "TOLERANCES", tolerances)
    monkeypatch.setattr(choose, "has_bf16_units", lambda: True)
    for wish in ("auto", "bf16"):
        backend, notes = open_backend(loaded, backend="torch", device="cpu", precision=wish, threads=1)
        assert backend.name == "torch fp32"
        assert notes[0].startswith("torch bf16 was tried and is too far from the reference")


def test_automatic_precision_is_bfloat16_only_where_there_are_units_for_it(loaded, monkeypatch):
    monkeypatch.setattr(choose, "TOLERANCES", {**choose.TOLERANCES, "bf16": Difference(9.0, 99, 0.9)})
    for units, name in ((True, "torch bf16"), (False, "torch fp32")):
        monkeypatch.setattr(choose, "has_bf16_units", lambda units=units: units)
        backend, notes = open_backend(loaded, backend="torch", device="cpu", precision="auto", threads=1)
        assert backend.name == name
        assert any("no units for bfloat16" in note for note in notes) != units
    backend, notes = open_backend(loaded, backend="torch", device="cpu", precision="bf16", threads=1)
    assert backend.name == "torch bf16"
    assert "slower than float32" in notes[0]


def test_when_nothing_agrees_it_is_an_error_with_a_remedy(loaded, monkeypatch):
    nothing = dict.fromkeys(("fp32", "bf16"), Difference(-1.0, -1, -1.0))
    monkeypatch.setattr(choose, "TOLERANCES", nothing)
    with pytest.raises(InstallationError, match="no arithmetic agrees") as caught:
        open_backend(loaded, backend="torch", device="cpu", precision="fp32", threads=1)
    assert "constraints" in caught.value.hint


def test_a_network_that_computes_nonsense_is_refused(loaded):
    broken = dataclasses.replace(loaded, vae=load_checkpoint(loaded.folder).vae)
    next(broken.vae.decoder.parameters()).data.fill_(float("nan"))
    with pytest.raises(InstallationError, match="computes nonsense"):
        open_backend(broken, backend="torch", device="cpu", precision="fp32", threads=1)


def test_without_a_gpu_cuda_is_refused_with_a_remedy(loaded, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InstallationError, match="FACEMIX_DEVICE=cuda") as caught:
        open_backend(loaded, backend="auto", device="cuda", precision="auto", threads=1)
    assert "FACEMIX_DEVICE=auto" in caught.value.hint
    backend, _ = open_backend(loaded, backend="torch", device="auto", precision="fp32", threads=1)
    assert backend.device == "cpu"


def test_a_gpu_that_fails_is_left_for_the_cpu_where_that_is_allowed(loaded, monkeypatch):
    """Without a GPU torch refuses to move the network there: what a broken driver does."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, and it works")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    backend, notes = open_backend(loaded, backend="torch", device="auto", precision="fp32", threads=1)
    assert (backend.device, backend.name) == ("cpu", "torch fp32")
    assert notes[0].startswith("torch fp32 was tried and failed: ")
    with pytest.raises(InstallationError, match="cannot run on the GPU"):
        open_backend(loaded, backend="torch", device="cuda", precision="fp32", threads=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_is_taken_where_there_is_one(loaded):
    backend, _ = open_backend(loaded, backend="auto", device="auto", precision="auto", threads=1)
    assert (backend.device, backend.max_batch) == ("cuda", 64)
    assert Reference.of(loaded).compare(backend).within(choose.TOLERANCES["bf16"])
