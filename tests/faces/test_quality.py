import math
import re

import cv2
import numpy as np
import pytest

from facemix.errors import FaceTooBlurred, FaceTooSmall, FaceTooTurned
from facemix.faces import quality as module
from facemix.faces.align import TEMPLATE, Alignment
from facemix.faces.quality import measure, refusal
from facemix.faces.types import Face


@pytest.fixture(scope="module")
def face(finder, astronaut):
    return finder.find(astronaut)[0]


@pytest.fixture(scope="module")
def crop(face, astronaut):
    return Alignment.from_landmarks(face.landmarks, 128).crop(astronaut)


def landmarks_of(eyes=44.0, shift=0.0):
    """A face with eyes so many pixels apart whose nose lies `shift` half-widths to the right of the middle."""
    points = np.insert(TEMPLATE - 0.5, 2, [0.0, 0.02], axis=0) * eyes / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    points[2, 0] += shift * eyes / 2
    return (points + 200).astype(np.float32)


def as_face(landmarks):
    return Face((0, 0, 100, 100), landmarks, 0.9)


def codes(quality):
    return {code for code, _ in quality.warnings}


def sentence(quality, code):
    return dict(quality.warnings)[code]


def scaled(face, factor):
    return Face(tuple(side * factor for side in face.box), face.landmarks * np.float32(factor), face.score)


def test_a_good_photograph_passes_without_a_word(face, crop):
    quality = measure(face, crop)
    assert quality.warnings == ()
    assert refusal(quality) is None
    assert quality.score == face.score
    assert quality.face_pixels == pytest.approx(45, abs=4)
    assert 0.2 < quality.brightness < 0.8


def test_a_reduced_photograph_warns_and_then_refuses(face, astronaut):
    verdicts = []
    for factor in (0.75, 0.25):
        small = scaled(face, factor)
        image = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        verdicts.append(measure(small, Alignment.from_landmarks(small.landmarks, 128).crop(image)))
    warned, refused = verdicts
    assert "face_small" in codes(warned)
    assert f"{warned.face_pixels:.0f} pixels" in sentence(warned, "face_small")
    assert refusal(warned) is None
    error = refusal(refused)
    assert isinstance(error, FaceTooSmall)
    assert f"{refused.face_pixels:.0f} pixels apart" in error.message
    assert f"{module.FACE_PIXELS.refuse:.0f}" in error.message
    assert error.details == {"face_pixels": round(refused.face_pixels, 1)}


def test_a_turned_head_is_measured_by_its_height(crop):
    """The eyes of a profile are close together; it is not small for that."""
    turned = landmarks_of(eyes=60)
    turned[:, 0] = (turned[:, 0] - 200) * 0.3 + 200
    assert measure(as_face(turned), crop).face_pixels == pytest.approx(60, rel=0.02)


def test_blur_warns_and_then_refuses(face, crop):
    sharpness = [measure(face, crop).sharpness]
    for sigma in (2, 3, 4, 8, 12):
        sharpness.append(measure(face, cv2.GaussianBlur(crop, (0, 0), sigma)).sharpness)
    assert sharpness == sorted(sharpness, reverse=True)
    verdicts = [measure(face, cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (3, 12)]
    assert "face_blurred" in codes(verdicts[0])
    assert f"{verdicts[0].sharpness:.3f}" in sentence(verdicts[0], "face_blurred")
    error = refusal(verdicts[1])
    assert isinstance(error, FaceTooBlurred)
    assert f"{verdicts[1].sharpness:.4f}" in error.message


def test_a_flat_crop_is_blurred_and_does_no_harm(face):
    quality = measure(face, np.full((128, 128, 3), 90, np.uint8))
    assert quality.sharpness == 0
    assert isinstance(refusal(quality), FaceTooBlurred)


def test_sharpness_does_not_depend_on_contrast(face, crop):
    fainter = (crop.astype(np.float32) * 0.5 + 60).astype(np.uint8)
    assert measure(face, fainter).sharpness == pytest.approx(measure(face, crop).sharpness, rel=0.1)


@pytest.mark.parametrize("shift", [-0.6, 0.6])
def test_a_turned_head_warns_to_either_side(crop, shift):
    quality = measure(as_face(landmarks_of(shift=shift)), crop)
    assert quality.yaw == pytest.approx(0.6, abs=1e-3)
    assert refusal(quality) is None
    assert "0.60" in sentence(quality, "face_turned")


@pytest.mark.parametrize("shift", [-0.95, 0.95, 3.0])
def test_a_profile_is_refused(crop, shift):
    quality = measure(as_face(landmarks_of(shift=shift)), crop)
    assert quality.yaw == pytest.approx(min(abs(shift), 1.0), abs=1e-3)
    error = refusal(quality)
    assert isinstance(error, FaceTooTurned)
    assert f"{quality.yaw:.2f}" in error.message
    assert error.details == {"yaw": round(quality.yaw, 3)}


def test_yaw_does_not_change_when_the_head_leans(crop):
    for degrees in (0, 40, 90, 180):
        angle = np.radians(degrees)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        quality = measure(as_face(landmarks_of(shift=0.5) @ matrix.T), crop)
        assert quality.yaw == pytest.approx(0.5, abs=1e-3)
        assert abs(quality.roll) == pytest.approx(degrees, abs=0.1)


def test_eyes_in_one_place_count_as_a_profile(crop):
    landmarks = landmarks_of()
    landmarks[1] = landmarks[0]
    assert measure(as_face(landmarks), crop).yaw == 1.0


def test_a_nose_that_was_not_seen_tells_nothing(crop):
    profile = as_face(landmarks_of(shift=0.95))
    unknown = measure(profile, crop, nose=False)
    assert isinstance(refusal(measure(profile, crop)), FaceTooTurned)
    assert math.isnan(unknown.yaw)
    assert refusal(unknown) is None
    assert unknown.warnings == measure(as_face(landmarks_of()), crop).warnings
    small = as_face(landmarks_of(eyes=10, shift=0.95))
    assert isinstance(refusal(measure(small, crop, nose=False)), FaceTooSmall)


def test_darkness_warns(face, crop):
    quality = measure(face, (crop * 0.2).astype(np.uint8))
    assert codes(quality) == {"face_dark"}
    assert f"{quality.brightness:.2f}" in sentence(quality, "face_dark")
    assert refusal(quality) is None


def test_the_size_of_the_crop_hardly_matters(face, astronaut):
    figures = []
    for size in (128, 256):
        crop = Alignment.from_landmarks(face.landmarks, size).crop(astronaut)
        figures.append(measure(face, crop))
    assert figures[0].brightness == pytest.approx(figures[1].brightness, abs=0.01)
    assert figures[0].sharpness == pytest.approx(figures[1].sharpness, rel=0.3)


def test_every_warning_is_a_sentence_with_its_figure(crop):
    worst = measure(
        as_face(landmarks_of(eyes=20, shift=0.6)), (cv2.GaussianBlur(crop, (0, 0), 3) * 0.2).astype(np.uint8)
    )
    assert codes(worst) == {"face_small", "face_blurred", "face_turned", "face_dark"}
    for _, said in worst.warnings:
        assert re.search(r"\d", said)
        assert said.endswith(".")
