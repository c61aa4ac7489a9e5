import builtins
import importlib.util
import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from facemix.errors import InstallationError
from facemix.faces import runners
from facemix.faces.centerface import WEIGHTS, CenterFace
from facemix.faces.finder import FaceFinder, eye_distance

needs_openvino = pytest.mark.skipif(not runners.openvino_installed(), reason="the extra openvino is not installed")


@pytest.fixture(scope="module")
def view(astronaut):
    """192 x 160, with one face."""
    return np.ascontiguousarray(astronaut[20:180, 130:322])


@pytest.fixture(scope="module")
def openvino():
    return CenterFace(threads=1, runner="openvino")


def test_onnx_runtime_is_the_default(detector):
    assert detector.runner == "onnxruntime"


@needs_openvino
def test_openvino_sees_what_onnx_runtime_sees(openvino, detector, view):
    assert openvino.runner == "openvino"
    (expected, *_), (found, *_) = detector.detect(view), openvino.detect(view)
    # bfloat16 keeps 8 bits: landmarks may move by 3 hundredths of the distance between the eyes.
    assert np.abs(found.landmarks - expected.landmarks).max() < 0.03 * eye_distance(expected)
    assert found.score == pytest.approx(expected.score, abs=0.03)


@needs_openvino
def test_the_finder_agrees_on_either_runner(openvino, finder, astronaut):
    (expected,), (found,) = finder.find(astronaut), FaceFinder(openvino).find(astronaut)
    assert np.abs(found.landmarks - expected.landmarks).max() < 0.04 * eye_distance(expected)


@needs_openvino
def test_openvino_takes_any_shape_from_any_thread(openvino, view):
    shapes = [(160, 192), (64, 96), (192, 160), (160, 192)]
    views = [cv2.resize(view, shape[::-1]) for shape in shapes]
    alone = [openvino.detect(each) for each in views]
    together: dict[int, list] = {}

    def detect(index):
        together[index] = openvino.detect(views[index])

    threads = [threading.Thread(target=detect, args=(index,)) for index in range(len(views))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, faces in enumerate(alone):
        assert [face.score for face in together[index]] == [face.score for face in faces]


@needs_openvino
@pytest.mark.parametrize(("capabilities", "runner"), [(["FP32", "BF16"], "openvino"), (["FP32"], "onnxruntime")])
def test_openvino_is_chosen_where_the_processor_has_bfloat16(monkeypatch, capabilities, runner):
    monkeypatch.setattr(runners, "_capabilities", lambda: capabilities)
    assert CenterFace(threads=1, runner="auto").runner == runner


def test_without_openvino_onnx_runtime_is_chosen(monkeypatch, view):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    detector = CenterFace(threads=1, runner="auto")
    assert detector.runner == "onnxruntime"
    assert detector.detect(view)


def test_an_openvino_that_cannot_be_loaded_is_as_good_as_none(monkeypatch):
    original = builtins.__import__

    def broken(name, *rest, **named):
        if name == "openvino":
            raise OSError("libopenvino.so: cannot open shared object file")
        return original(name, *rest, **named)

    monkeypatch.setattr(runners, "openvino_installed", lambda: True)
    monkeypatch.setattr(builtins, "__import__", broken)
    assert CenterFace(threads=1, runner="auto").runner == "onnxruntime"


def test_openvino_asked_for_by_name_must_be_there(monkeypatch):
    monkeypatch.setattr(runners, "openvino_installed", lambda: False)
    with pytest.raises(InstallationError, match="OpenVINO") as refused:
        runners.open_network(WEIGHTS, runner="openvino", threads=1)
    assert "facemix[openvino]" in refused.value.hint


@pytest.mark.parametrize("runner", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)])
def test_nothing_is_reported_or_written(tmp_path, runner):
    """Both libraries, imported plainly, keep a file in the home directory and send what is in it to their makers."""
    program = (
        "import sys\n"
        "from facemix.faces.centerface import CenterFace\n"
        f"assert CenterFace(threads=1, runner={runner!r}).runner == {runner!r}\n"
        "loaded = [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
        "assert not loaded, loaded\n"
    )
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=WEIGHTS.parents[3], env=home, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@needs_openvino
def test_damaged_weights_are_an_incomplete_installation(tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a network" * 100)
    with pytest.raises(InstallationError, match=r"damaged\.onnx"):
        CenterFace(weights=damaged, runner="openvino")
