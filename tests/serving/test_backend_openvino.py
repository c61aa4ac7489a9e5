import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import TINY, tiny_checkpoint

from facemix.resources import resource_dir
from facemix.serving.backends.base import TOLERANCES, Reference
from facemix.serving.backends.openvino_backend import OpenVINOBackend, batch_sizes, plan
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint
from facemix.vae.config import VAEConfig

installed = pytest.mark.skipif(find_spec("openvino") is None, reason="facemix[openvino] is not installed")

SIZE, LATENT = TINY.crop_size, TINY.latent_size


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def backend(loaded):
    return OpenVINOBackend(loaded, max_batch=4)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (11, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def z():
    return 3 * np.random.default_rng(1).standard_normal((11, LATENT), np.float32)


def test_sizes_are_powers_of_two_up_to_the_largest_batch():
    assert batch_sizes(1) == (1,)
    assert batch_sizes(12) == (1, 2, 4, 8, 12)
    assert batch_sizes(16) == (1, 2, 4, 8, 16)


def test_a_batch_is_cut_or_filled_up_whichever_is_cheaper():
    sizes = batch_sizes(16)
    assert plan(5, sizes) == (4, 1)
    assert plan(7, sizes) == (8,)
    assert plan(16, sizes) == (16,)
    assert plan(33, sizes) == (16, 16, 1)


@given(number=st.integers(1, 80), largest=st.integers(1, 64))
def test_a_plan_covers_the_batch_and_fills_up_only_the_last_call(number, largest):
    sizes = batch_sizes(largest)
    calls = plan(number, sizes)
    assert set(calls) <= set(sizes)
    assert sum(calls) >= number > sum(calls[:-1])
    assert sum(calls) < 2 * number


@installed
def test_it_says_what_it_is(backend):
    assert (backend.name, backend.device, backend.max_batch) == ("openvino fp32", "cpu", 4)


@installed
def test_it_agrees_with_the_reference(backend, loaded):
    assert Reference.of(loaded, samples=6).compare(backend).within(TOLERANCES["fp32"])


@installed
def test_every_batch_size_gives_each_item_its_own_result(backend, crops, z):
    alone = np.concatenate([backend.encode(crop[None]) for crop in crops])
    apart = np.concatenate([backend.decode(row[None]) for row in z])
    assert len(np.unique(apart.reshape(len(z), -1), axis=0)) == len(z)
    for number in range(1, len(crops) + 1):
        np.testing.assert_allclose(backend.encode(crops[:number]), alone[:number], rtol=1e-4, atol=1e-5)
        assert np.abs(backend.decode(z[:number]).astype(int) - apart[:number]).max() <= 1


@installed
def test_a_result_is_kept_when_the_next_is_computed(backend, crops, z):
    latents, pictures = backend.encode(crops[:1]), backend.decode(z[:1])
    kept = latents.copy(), pictures.copy()
    backend.encode(crops[1:2])
    backend.decode(z[1:2])
    np.testing.assert_array_equal(latents, kept[0])
    np.testing.assert_array_equal(pictures, kept[1])


@installed
def test_views_and_arrays_that_may_not_be_written_are_taken(backend, crops):
    still = crops[:2].copy()
    still.flags.writeable = False
    np.testing.assert_array_equal(backend.encode(still), backend.encode(crops[:2]))
    np.testing.assert_array_equal(backend.encode(crops[1::-1]), backend.encode(crops[1::-1].copy()))


@installed
def test_what_does_not_fit_is_refused(backend):
    with pytest.raises(ValueError, match="crops must be"):
        backend.encode(np.zeros((1, SIZE, SIZE + 1, 3), np.uint8))
    with pytest.raises(ValueError, match="largest value"):
        backend.decode(np.full((1, LATENT), np.inf, np.float32))


@installed
def test_warming_up_compiles_every_size(loaded):
    backend = OpenVINOBackend(loaded, max_batch=3)
    backend.warm_up()
    assert set(backend._compiled) == {(encode, size) for encode in (True, False) for size in (1, 2, 3)}
    backend.close()


@installed
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_with_a_linear_path_agrees(tmp_path, precision):
    config = VAEConfig(**{**TINY.model_dump(), "latent_size": 48, "linear_side": 8})
    loaded = load_checkpoint(tiny_checkpoint(tmp_path, config=config))
    found = Reference.of(loaded).compare(OpenVINOBackend(loaded, precision=precision, max_batch=2))
    assert found.mean_levels < (0.01 if precision == "fp32" else 3)


@installed
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_shipped_checkpoint_is_drawn_as_the_reference_draws_it(precision):
    loaded = load_checkpoint(newest_checkpoint(resource_dir("checkpoints")))
    backend = OpenVINOBackend(loaded, precision=precision, max_batch=4)
    found = Reference.of(loaded, samples=12, seed=7).compare(backend)
    assert found.within(TOLERANCES[precision]), found


@installed
def test_nothing_is_reported_or_written(tmp_path):
    program = (
        "import sys\n"
        "from facemix.serving.backends.openvino_backend import import_openvino\n"
        "import_openvino()\n"
        "loaded = [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
        "assert not loaded, loaded\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(resource_dir("checkpoints")).parent,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
