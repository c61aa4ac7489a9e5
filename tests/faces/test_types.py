import numpy as np
import pytest

from facemix.faces.types import LANDMARK_NAMES, Face

LANDMARKS = np.zeros((len(LANDMARK_NAMES), 2), np.float32)


@pytest.mark.parametrize(
    ("box", "size"),
    [((0, 0, 9, 4), 6.0), ((-5, -5, 5, 5), 10.0), ((3, 3, 3, 8), 0.0), ((8, 0, 2, 5), 0.0)],
)
def test_the_size_is_the_geometric_mean_of_the_sides(box, size):
    assert Face(box, LANDMARKS, 1.0).size == size


def test_a_scaled_face_is_where_it_is_in_the_larger_photograph():
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    scaled = Face((1, 2, 3, 4), landmarks, 0.5).scaled(2, 0.5)
    assert (scaled.box, scaled.score) == ((2, 1, 6, 2), 0.5)
    np.testing.assert_array_equal(scaled.landmarks, landmarks * np.float32([2, 0.5]))
    assert scaled.landmarks.dtype == np.float32
