import numpy as np
import pytest
from prepared import prepared_set

from facemix.errors import DatasetError
from facemix.serving.training_faces import TrainingFaces
from facemix.training.dataset import load_split


@pytest.fixture
def folder(tmp_path):
    return prepared_set(tmp_path / "set", train=6, validation=2, test=2, shard=4)


def test_a_training_face_is_found_by_the_beginning_of_its_hash(folder):
    faces, split = TrainingFaces(folder), load_split(folder, "train")
    for place in (0, 5):
        found = faces.picture(split.rows[place]["sha256"][:16])
        np.testing.assert_array_equal(found, split.images[place].numpy())


def test_faces_of_other_splits_and_unknown_ones_are_not(folder):
    held_out = load_split(folder, "test").rows[0]["sha256"][:16]
    assert TrainingFaces(folder).picture(held_out) is None
    assert TrainingFaces(folder).picture("0" * 16) is None


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no prepared data set"):
        TrainingFaces(tmp_path)


def test_a_shard_that_is_gone_is_said(folder):
    faces, first = TrainingFaces(folder), load_split(folder, "train").rows[0]["sha256"][:16]
    (folder / "shard-00000.tar").unlink()
    with pytest.raises(DatasetError, match="shard-00000"):
        faces.picture(first)
