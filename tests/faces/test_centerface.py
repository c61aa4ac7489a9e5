import numpy as np
import pytest
from skimage import data

from facemix.errors import InstallationError
from facemix.faces.centerface import WEIGHTS, CenterFace
from facemix.faces.finder import ACCEPT

EYES = np.array([[203, 102], [247, 104]])


def test_the_astronaut_is_found(detector, astronaut):
    faces = detector.detect(astronaut)
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    face = faces[0]
    assert face.score > 0.8
    assert np.abs(face.landmarks[:2] - EYES).max() < 5
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float32
    x0, y0, x1, y1 = face.box
    assert ((face.landmarks > (x0, y0)) & (face.landmarks < (x1, y1))).all()
    nose, left_mouth, right_mouth = face.landmarks[2:]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert EYES[:, 1].max() < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize("cut", [0, 1, 15, 31, 33])
def test_sides_that_the_network_does_not_divide_move_nothing(detector, astronaut, cut):
    image = np.ascontiguousarray(astronaut[: 320 - cut, : 352 - cut])
    face = detector.detect(image)[0]
    assert face.score > 0.8
    assert np.abs(face.landmarks[:2] - EYES).max() < 5


def test_a_shifted_picture_shifts_its_landmarks(detector, astronaut):
    plain = detector.detect(astronaut)[0]
    shifted = detector.detect(np.ascontiguousarray(astronaut[32:, 64:]))[0]
    np.testing.assert_allclose(shifted.landmarks + np.array([64, 32]), plain.landmarks, atol=1.5)
    np.testing.assert_allclose(np.array(shifted.box) + np.array([64, 32, 64, 32]), plain.box, atol=4)


def test_each_face_is_reported_once(detector, astronaut):
    head = astronaut[:256, 96:352]
    faces = detector.detect(np.concatenate([head, head], axis=1))
    believed = sorted(float(face.box[0]) for face in faces if face.score > ACCEPT)
    assert len(believed) == 2
    assert believed[1] - believed[0] == pytest.approx(256, abs=3)


@pytest.mark.parametrize("name", ["cat", "coffee"])
def test_where_no_face_is_none_is_believed(detector, name):
    assert not [face for face in detector.detect(getattr(data, name)()) if face.score >= ACCEPT]


@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (5, 700)])
def test_pictures_without_room_for_a_face(detector, shape):
    assert detector.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_the_threshold_is_the_least_confidence(astronaut, detector):
    strict = CenterFace(threshold=0.5, threads=1)
    assert {face.score >= 0.5 for face in strict.detect(astronaut)} == {True}
    assert CenterFace(threshold=0.999, threads=1).detect(astronaut) == []


def test_missing_weights_are_an_incomplete_installation(tmp_path):
    with pytest.raises(InstallationError, match=r"gone\.onnx") as refused:
        CenterFace(weights=tmp_path / "gone.onnx")
    assert "install facemix again" in refused.value.hint


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_damaged_weights_are_an_incomplete_installation(tmp_path, kept):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(WEIGHTS.read_bytes()[:kept] if kept >= 0 else b"not a network" * 100)
    with pytest.raises(InstallationError, match=r"damaged\.onnx"):
        CenterFace(weights=damaged)
