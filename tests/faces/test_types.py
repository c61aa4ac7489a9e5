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
