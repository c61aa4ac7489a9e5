import cv2
import numpy as np
import pytest
from skimage import data

from facemix.evaluation.seams import hard_paste, seam, seams
from facemix.faces.align import Alignment
from facemix.faces.paste import mask_in, onto_photo

LANDMARKS = np.array([[203, 103], [247, 104], [224, 125], [204, 143], [242, 145]], np.float64)


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def alignment():
    return Alignment.from_landmarks(LANDMARKS, 128)


@pytest.fixture(scope="module")
def mask(astronaut, alignment):
    return mask_in(astronaut.shape, alignment)


@pytest.fixture(scope="module")
def darker(astronaut, alignment):
    """Another face of another complexion: the same, mirrored and in another light."""
    return np.clip(alignment.crop(astronaut)[:, ::-1] * [0.6, 0.55, 0.6], 0, 255).astype(np.uint8)


def test_the_photograph_itself_has_no_seam(astronaut, mask):
    found = seam(astronaut, astronaut, mask)
    assert (found.mean, found.worst, found.grain) == (1, 1, 1)


def test_a_hard_paste_has_one_and_a_blended_one_has_next_to_none(astronaut, alignment, darker):
    ours, hard = seams(onto_photo(astronaut, alignment, darker), astronaut, alignment, darker)
    assert hard.mean > 2
    assert hard.worst > 6
    assert ours.mean < 1.3
    assert ours.worst < 0.4 * hard.worst


def test_a_hard_paste_of_its_own_cut_has_none(astronaut, alignment):
    _, hard = seams(astronaut, astronaut, alignment, alignment.crop(astronaut))
    assert hard.mean < 1.1


def test_a_hard_paste_is_the_face_where_it_lies_and_the_photograph_elsewhere(astronaut, alignment, darker, mask):
    made = hard_paste(astronaut, alignment, darker)
    np.testing.assert_array_equal(made[mask <= 0.5], astronaut[mask <= 0.5])
    again = alignment.crop(made)[25:90, 30:98].astype(int)
    assert np.abs(again - darker[25:90, 30:98]).mean() < 4


def test_a_step_in_one_place_is_told_by_the_worst_sector(astronaut, mask):
    """A dark spot across the left cheek's rim."""
    made = astronaut.copy()
    rim = np.argmax(mask[125] > 0.5)
    made[120:130, rim : rim + 20] -= 70
    found = seam(made, astronaut, mask)
    assert found.worst > 3
    assert found.mean < 0.5 * found.worst


def test_a_soft_step_is_no_less_a_step_than_a_sharp_one():
    """A face in another light under the soft mask: no pixel differs much from its neighbour."""
    photo = np.full((300, 300, 3), 150, np.uint8)
    noise = np.random.default_rng(0).normal(0, 2, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    alignment = Alignment.from_landmarks((LANDMARKS - [225, 123]) * 2.2 + [150, 150], 128)
    mask = mask_in(photo.shape, alignment)
    made = np.clip(photo - 60.0 * mask[..., None], 0, 255).astype(np.uint8)
    assert seam(made, photo, mask).mean > 3


def test_grain_that_is_missing_is_told(astronaut, mask):
    noise = np.random.default_rng(0).normal(0, 8, (512, 512, 1))
    photo = np.clip(astronaut + noise, 0, 255).astype(np.uint8)
    smooth = cv2.GaussianBlur(photo, (0, 0), 2)
    made = np.rint(photo + mask[..., None] * (smooth.astype(float) - photo)).astype(np.uint8)
    assert seam(made, photo, mask).grain < 0.5
    assert seam(photo, made, mask).grain > 2


def test_a_mask_at_the_edge_of_the_photograph_is_measured(astronaut, alignment, darker):
    photo = astronaut[:, 215:]
    shifted = Alignment.from_landmarks(LANDMARKS - [215, 0], 128)
    ours, hard = seams(onto_photo(photo, shifted, darker), photo, shifted, darker)
    assert np.isfinite([ours.mean, ours.worst, ours.grain]).all()
    assert ours.worst < hard.worst


@pytest.mark.parametrize("shape", [(512, 511), (10, 10)])
def test_shapes_must_agree(astronaut, shape):
    with pytest.raises(ValueError, match="shapes differ"):
        seam(astronaut, astronaut, np.zeros(shape))


def test_a_flat_mask_has_no_rim(astronaut):
    for flat in (0.0, 1.0):
        with pytest.raises(ValueError, match="no rim"):
            seam(astronaut, astronaut, np.full((512, 512), flat))
