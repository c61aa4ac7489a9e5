"""Heat maps: colours that can be told apart, a face that can be seen, and words that fit."""

import numpy as np
import pytest
from PIL import Image
from portraits import head

from facemix.explaining.overlay import SIDE, colours, heat, labelled


def lightness(rgb):
    """Relative luminance, IEC 61966-2-1."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_colours_rise_in_lightness_so_that_no_hue_is_needed():
    steps = lightness(colours(np.linspace(0, 1, 40)))
    assert np.all(np.diff(steps) > 0)
    assert steps[-1] - steps[0] > 0.6


def test_colours_stay_apart_without_red_and_green():
    """Seen by people without the cones for red (protanopia; H. Brettel's matrices as simplified by F. Viénot, 1999)."""
    protan = np.array([[0.1121, 0.8853, -0.0005], [0.1127, 0.8897, -0.0001], [0.0045, 0.0001, 1.0019]])
    seen = colours(np.linspace(0, 1, 6)) @ protan.T
    assert np.linalg.norm(np.diff(seen, axis=0), axis=1).min() > 20


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 2.0])
def test_values_beyond_the_scale_have_its_end(value):
    np.testing.assert_array_equal(colours(np.float32(value)), colours(np.float32(np.clip(value, 0, 1))))


def test_the_face_is_grey_beneath():
    face = np.asarray(Image.fromarray(head()).convert("RGB").resize((64, 64)))
    cold = heat(face, np.zeros((64, 64))).astype(int)
    tinted = face[..., ::-1].copy()  # another colour of the same face changes little but its grey
    assert np.ptp(cold.mean(2)) > 30
    assert np.abs(cold - heat(tinted, np.zeros((64, 64)))).mean() < np.abs(face.astype(int) - tinted).mean() / 4


def test_hot_and_cold_places_differ_by_colour():
    values = np.zeros((64, 64))
    values[:, 32:] = 1
    made = heat(np.full((64, 64, 3), 128, np.uint8), values).astype(int)
    assert made[32, 60, 0] - made[32, 4, 0] > 100


def test_a_labelled_map_has_room_for_its_words_and_survives_any():
    face = np.full((32, 32, 3), 90, np.uint8)
    values = np.full((32, 32), 0.5, np.float32)
    made = labelled(face, values, title="Face A drew 50 %", low="0 %", high="100 %")
    assert made.shape[1] == SIDE
    assert made.shape[0] > SIDE + 40
    other = labelled(face, values, title="\x00 \u4e2d" * 200, low="", high="x" * 500)
    assert other.shape == made.shape
