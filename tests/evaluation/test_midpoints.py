import numpy as np
import pytest
import skimage.data
import torch
from prepared import smooth_crops

from facemix.evaluation.midpoints import (
    FRAMES,
    decoded_path,
    draw_pairs,
    face_likeness,
    faded_path,
    landmark_figures,
    measure_paths,
)
from facemix.faces.align import TEMPLATE, Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.crops import face_in_crop
from facemix.faces.finder import FaceFinder
from facemix.faces.types import Face


class Nobody:
    def detect(self, image):
        return []


class Sure:
    """Finds one face in the middle, and a surer one in a corner."""

    def detect(self, image):
        landmarks = np.zeros((5, 2), np.float32)
        return [Face((0, 0, 40, 40), landmarks, 0.95), Face((40, 40, 150, 150), landmarks, 0.6)]


def measured(path, photographs):
    found = measure_paths(np.array([[0, 1]]), photographs, lambda a, b: path, Nobody())
    return {name: float(value[0]) for name, value in found.values.items()}


def face_at(landmarks, score=0.9):
    return Face((0, 0, 128, 128), np.array(landmarks, np.float32), score)


@pytest.mark.parametrize(("faces", "pairs", "expected"), [(10, 3, 3), (10, 50, 5), (7, 50, 3)])
def test_no_face_is_in_two_pairs(faces, pairs, expected):
    drawn = draw_pairs(faces, pairs, seed=0)
    assert drawn.shape == (expected, 2)
    assert len(set(drawn.ravel().tolist())) == 2 * expected
    assert set(drawn.ravel().tolist()) <= set(range(faces))
    assert np.array_equal(drawn, draw_pairs(faces, pairs, seed=0))


def test_another_seed_draws_other_pairs():
    assert not np.array_equal(draw_pairs(40, 20, seed=0), draw_pairs(40, 20, seed=1))


def test_a_cross_fade_is_a_ghost_and_perfectly_even():
    photographs = smooth_crops(2, 32)
    path = faded_path(photographs[0], photographs[1])
    assert path.shape == (FRAMES, 32, 32, 3)
    assert np.array_equal(path[0], photographs[0])
    assert np.array_equal(path[-1], photographs[1])
    found = measured(path, photographs)
    assert found["ghost"] < 0.01
    assert found["smoothness"] == pytest.approx(1, abs=0.02)
    assert found["sharpness"] == pytest.approx(found["sharpness_to_photographs"])


def test_figures_of_a_path_by_hand():
    levels = [0, 0, 0, 0, 150, 200, 200, 200, 200]  # the fade of its ends is 100
    path = np.stack([np.full((32, 32, 3), level, np.uint8) for level in levels])
    found = measured(path, path[[0, -1]])
    assert found["ghost"] == pytest.approx(50 / 200)
    assert found["smoothness"] == pytest.approx(150 / 25)


def test_equal_ends_have_no_ghost_index():
    path = np.full((FRAMES, 32, 32, 3), 90, np.uint8)
    found = measured(path, path[:2])
    assert np.isnan(found["ghost"])
    assert np.isnan(found["smoothness"])


def test_the_mid_point_of_a_linear_decoder_is_its_ends_mean():
    class Levels:
        latent_size, coarse_size = 1, 0

        def decode(self, z):
            return z.round().to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 4, 4, 3).numpy()

    path = decoded_path(Levels(), torch.tensor([[0.0], [200.0]]))
    assert [int(frame[0, 0, 0]) for frame in path] == [0, 25, 50, 75, 100, 125, 150, 175, 200]


def test_confidence_of_the_face_in_the_middle_counts():
    assert face_likeness(np.zeros((64, 64, 3), np.uint8), Sure()) == 0.6
    assert face_likeness(np.zeros((64, 64, 3), np.uint8), Nobody()) == 0


def test_the_pictures_of_a_path_are_kept_and_its_double_edges_measured():
    generator = np.random.default_rng(0)
    photographs = generator.integers(60, 190, (6, 32, 32, 1)).repeat(3, 3).astype(np.uint8)
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    found = measure_paths(pairs, photographs, lambda a, b: faded_path(photographs[a], photographs[b]), Nobody())
    assert np.array_equal(found.starts, photographs[[0, 2, 4]])
    assert np.array_equal(found.ends, photographs[[1, 3, 5]])
    assert found.middles.shape == (3, 32, 32, 3)
    assert found.values["double_edges"] == pytest.approx(np.ones(3), abs=0.01)


LANDMARKS = [[40, 40], [90, 40], [65, 65], [45, 90], [85, 90]]


def test_landmarks_off_the_middle_by_hand():
    start, end = face_at(LANDMARKS), face_at(np.add(LANDMARKS, [0, 10]))
    between = landmark_figures(start, face_at(np.add(LANDMARKS, [0, 5])), end)
    assert between == {"found": 1, "landmark_offset": 0, "landmarks_apart": pytest.approx(10 / 50)}
    aside = landmark_figures(start, face_at(np.add(LANDMARKS, [5, 5]), score=0.3), end)
    assert aside["landmark_offset"] == pytest.approx(5 / 50)
    assert aside["found"] == 0  # too unsure to be mixed


def test_without_a_face_there_are_no_landmarks():
    face = face_at(LANDMARKS)
    missing = landmark_figures(face, None, face)
    assert (missing["found"], missing["landmarks_apart"]) == (0, 0)
    assert np.isnan(missing["landmark_offset"])
    assert np.isnan(landmark_figures(None, face, face)["landmarks_apart"])


def test_the_detector_tells_a_face_from_none():
    detector = CenterFace(threshold=0.05, threads=1)
    photograph = skimage.data.astronaut()
    (face, *_) = FaceFinder(detector).find(photograph)
    crop = Alignment.from_landmarks(face.landmarks, 128).crop(photograph)
    assert face_likeness(crop, detector) > 0.6
    assert np.abs(face_in_crop(crop, detector).landmarks[[0, 1, 3, 4]] / 128 - TEMPLATE).max() < 0.05
    assert face_likeness(np.full_like(crop, 128), detector) < 0.2
