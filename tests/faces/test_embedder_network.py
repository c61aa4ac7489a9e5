import importlib.util
from pathlib import Path

import numpy as np
import pytest
from identity_extra import embedder_or_skip
from prepared import smooth_crops

from facemix.errors import InstallationError
from facemix.faces.embedder import CHIP_SIDE
from facemix.faces.embedder_network import FaceEmbedder


@pytest.fixture(scope="module")
def weights():
    embedder_or_skip()
    (folder,) = importlib.util.find_spec("face_recognition_models").submodule_search_locations
    return Path(folder) / "models" / "dlib_face_recognition_resnet_model_v1.dat"


def test_it_arrives_at_the_numbers_of_dlib(weights):
    dlib = pytest.importorskip("dlib")
    noise = np.random.default_rng(0).integers(0, 256, (1, CHIP_SIDE, CHIP_SIDE, 3), dtype=np.uint8)
    chips = np.concatenate([smooth_crops(2, CHIP_SIDE), noise])
    theirs = np.array(dlib.face_recognition_model_v1(str(weights)).compute_face_descriptor(list(chips), 0))
    assert np.abs(FaceEmbedder(weights).embed(chips) - theirs).max() < 1e-5
    assert np.linalg.norm(theirs[0] - theirs[1]) > 0.01


def test_damaged_weights_are_refused(weights, tmp_path):
    data = weights.read_bytes()
    for name, part in (("short", data[:-1000]), ("other", b"something else"), ("cut", data[: len(data) // 2])):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(InstallationError, match="cannot be read") as refused:
            FaceEmbedder(tmp_path / name)
        assert "facemix[identity]" in refused.value.hint


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InstallationError, match=r"absent\.dat"):
        FaceEmbedder(tmp_path / "absent.dat")
