import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.faces.align import TEMPLATE
from facemix.faces.types import Face
from facemix.training.measures import (
    HELD_LABELS,
    MEASURES,
    find_landmarks,
    held_indicators,
    manifest_landmarks,
    measure_landmarks,
    measure_pixels,
    mirrored,
    read_labels,
)

FRONTAL = np.array([*TEMPLATE[:2], [0.5, 0.5], *TEMPLATE[2:]])
SKIN, LIPS, TEETH, DARK = (200, 150, 120), (170, 80, 80), (230, 225, 215), (30, 15, 15)


def face(mouth=LIPS, background=SKIN, size=64):
    """A crop of skin whose middle of the mouth has one colour."""
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    crop = np.full((size, size, 3), background, np.uint8)
    crop[(abs(x - 0.5) < 0.15) & (abs(y - 0.715) < 0.07)] = mouth
    return crop


def measured(*crops):
    return measure_pixels(np.stack(crops))


def test_every_measure_is_made_somewhere_and_none_judges_a_person():
    made = [read_labels([]), measure_landmarks(np.zeros((0, 5, 2))), measure_pixels(np.zeros((0, 8, 8, 3), np.uint8))]
    by_source = dict(zip(("label", "landmarks", "pixels"), made, strict=True))
    names = [measure.name for measure in MEASURES]
    assert sorted(names) == sorted(name for values in made for name in values)
    assert all(measure.name in by_source[measure.source] for measure in MEASURES)
    assert not set(names) & set(HELD_LABELS)


@given(st.floats(-3, 3), st.floats(0.1, 50), st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 2**32 - 1))
def test_landmark_measures_do_not_see_scale_lean_and_place(angle, scale, x, y, seed):
    points = FRONTAL + np.random.default_rng(seed).normal(0, 0.02, (5, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plain = measure_landmarks(points[None])
    moved = measure_landmarks((scale * points @ turn.T + [x, y])[None])
    for name, value in plain.items():
        np.testing.assert_allclose(moved[name], value, atol=1e-6)


def test_a_wide_mouth_and_a_turned_head():
    wide, turned = FRONTAL.copy(), FRONTAL.copy()
    wide[3:, 0] = 0.5 + 1.2 * (wide[3:, 0] - 0.5)
    turned[2, 0] += 0.05
    values = measure_landmarks(np.stack([FRONTAL, wide, turned]))
    np.testing.assert_allclose(values["smile"], np.array([1, 1.2, 1]) * 0.34 / 0.414)
    np.testing.assert_allclose(values["head_turn"], [0, 0, 2 * 0.05 / 0.414], atol=1e-12)


def test_landmarks_that_say_nothing():
    values = measure_landmarks(np.stack([np.zeros((5, 2)), np.full((5, 2), np.nan)]))
    assert all(np.isnan(value).all() for value in values.values())


def test_a_mirrored_face_turns_the_other_way():
    points = FRONTAL + np.random.default_rng(0).normal(0, 0.02, (6, 5, 2))
    flipped = points[:, [1, 0, 2, 4, 3]] * [-1, 1] + [1, 0]
    expected = mirrored(measure_landmarks(points))
    for name, value in measure_landmarks(flipped).items():
        np.testing.assert_allclose(value, expected[name])


def test_an_open_mouth_is_teeth_or_dark():
    closed, teeth, dark = measured(face(), face(TEETH), face(DARK))["mouth_open"]
    assert closed == 0
    assert teeth == dark == 1


def test_a_beard_is_no_open_mouth():
    assert measured(face(LIPS, DARK))["mouth_open"][0] <= 0


def test_light_and_its_colour():
    bright, dim, warm, cool = face(), face() // 2, face() * [1, 1, 0.8], face() * [0.8, 1, 1]
    values = measured(bright, dim, warm.astype(np.uint8), cool.astype(np.uint8))
    assert values["brightness"][1] < values["brightness"][0]
    assert values["warmth"][3] < values["warmth"][0] < values["warmth"][2]
    assert measured(np.full((8, 8, 3), 255, np.uint8))["brightness"] == pytest.approx(100, abs=0.01)


def test_a_grey_photograph_says_nothing_of_colour():
    grey = np.repeat(face()[..., :1], 3, axis=2)
    values = measured(grey)
    assert np.isnan(values["warmth"]).all()
    assert np.isnan(values["mouth_open"]).all()
    assert np.isfinite(values["brightness"]).all()


def test_labels():
    rows = [{"labels": {"age": 31, "gender": "female"}}, {"labels": {"gender": "male"}}, {"labels": None}, {}]
    values = read_labels(rows)
    np.testing.assert_array_equal(values["age"], [31, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(values["gender_label"], [1, 0, np.nan, np.nan])


def test_groups_of_a_held_label():
    rows = [{"labels": {"x": "b"}}, {}, {"labels": {"x": "a"}}]
    np.testing.assert_array_equal(held_indicators(rows, "x"), [[0, 1], [np.nan, np.nan], [1, 0]])
    assert held_indicators(rows, "y").shape == (3, 0)


def test_landmarks_of_the_manifest():
    points = manifest_landmarks([{}, {"landmarks": FRONTAL.tolist()}])
    assert np.isnan(points[0]).all()
    np.testing.assert_array_equal(points[1], FRONTAL)


class Detector:
    """Reports what it was given."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.shapes = []

    def detect(self, image):
        self.shapes.append(image.shape)
        return self.answers.pop(0)


def test_the_face_in_the_middle_is_looked_at():
    def found(box, score):
        return Face(box, np.full((5, 2), score, np.float32), score)

    inside, surer, aside = (50, 50, 150, 150), (40, 40, 160, 160), (0, 0, 40, 40)
    detector = Detector([found(inside, 0.3), found(surer, 0.5), found(aside, 0.9)], [found(aside, 0.9)], [])
    points = find_landmarks(np.zeros((3, 32, 32, 3), np.uint8), detector)
    assert detector.shapes == [(192, 192, 3)] * 3
    np.testing.assert_allclose(points[0], 0.5 - 32)  # pixels of the crop, without the border around it
    assert np.isnan(points[1:]).all()
