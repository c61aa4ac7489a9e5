import numpy as np

from facemix.faces.crops import face_in_crop
from facemix.faces.types import Face


class Found:
    """A detector that answers with given boxes and scores, and remembers what it was shown."""

    def __init__(self, *faces):
        self.faces = [Face(box, np.zeros((5, 2), np.float32), score) for box, score in faces]

    def detect(self, image):
        self.shape = image.shape
        return self.faces


INSIDE, ASIDE = (40, 40, 150, 150), (0, 0, 50, 50)


def test_a_face_in_a_crop_has_the_crops_coordinates():
    detector = Found((INSIDE, 0.6))
    found = face_in_crop(np.zeros((64, 64, 3), np.uint8), detector)
    assert detector.shape == (192, 192, 3)
    assert (found.box, found.score) == ((8, 8, 118, 118), 0.6)
    assert (found.landmarks == -32).all()


def test_the_surest_face_in_the_middle_counts_and_one_aside_does_not():
    found = face_in_crop(np.zeros((64, 64, 3), np.uint8), Found((INSIDE, 0.3), (INSIDE, 0.5), (ASIDE, 0.9)))
    assert found.score == 0.5
    assert face_in_crop(np.zeros((64, 64, 3), np.uint8), Found((ASIDE, 0.9))) is None
    assert face_in_crop(np.zeros((64, 64, 3), np.uint8), Found()) is None
