import importlib.util
import sys

import cv2
import numpy as np
import portraits
import pytest
from identity_extra import embedder_or_skip

from facemix.evaluation.identity import ABSENT
from facemix.faces import embedder as module
from facemix.faces.align import TEMPLATE, Alignment


@pytest.fixture(scope="module")
def embedder():
    return embedder_or_skip()


@pytest.fixture(scope="module")
def face():
    return Alignment.from_landmarks(portraits.LANDMARKS, 128).crop(portraits.portrait())


def apart(embedder, *pictures):
    first, *others = embedder.embed(np.stack(pictures))
    return [float(np.linalg.norm(first - other)) for other in others]


def test_a_face_is_itself_also_when_blurred_mirrored_or_darker(embedder, face):
    blurred = cv2.GaussianBlur(face, (0, 0), 0.8)
    darker = (face * 0.8).astype(np.uint8)
    same, soft, mirrored, dark = apart(embedder, face, face, blurred, face[:, ::-1], darker)
    assert same == 0
    assert max(soft, dark) < 0.25
    assert mirrored < 0.4


def test_what_shows_no_face_is_nobody(embedder, face):
    flat = np.full_like(face, 128)
    upside_down = face[::-1]
    assert min(apart(embedder, face, flat, upside_down)) > module.SAME_PERSON


def test_a_crop_of_another_size_is_the_same_person(embedder, face):
    large = Alignment.from_landmarks(portraits.LANDMARKS, 256).crop(portraits.portrait())
    small = embedder.embed(face[None])
    assert float(np.linalg.norm(small - embedder.embed(large[None]))) < 0.3


def test_nothing_gives_no_points(embedder, face):
    assert embedder.embed(face[None][:0]).shape == (0, 128)


def test_the_box_puts_the_mean_eyes_where_the_template_has_them():
    left, top, right, bottom = module.face_box(1000)
    assert right - left == pytest.approx(bottom - top, abs=1)
    eyes = np.array([left, top]) + module._BOX_EYES * (right - left)
    assert np.abs(eyes - 1000 * TEMPLATE[:2]).max() < 2


def test_the_package_of_the_weights_is_not_imported(embedder):
    assert "face_recognition_models" not in sys.modules


@pytest.mark.parametrize("missing", ["face_recognition_models", "dlib"])
def test_without_the_extra_there_is_no_embedder(missing, monkeypatch):
    if missing == "dlib":
        monkeypatch.setitem(sys.modules, "dlib", None)  # an import of it now fails
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert module.load_embedder() is None
    assert "facemix[identity]" in ABSENT
