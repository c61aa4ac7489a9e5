"""How far heads are turned, and where they end."""

import numpy as np
import pytest

from facemix.faces.align import TEMPLATE
from facemix.mixing.turning import heads, turns
from facemix.mixing.warp import FIELD

EYES = [(int(y * FIELD), int(x * FIELD)) for x, y in TEMPLATE[:2]]
MIDDLE = FIELD // 2


def shape(*, nose=0.0, everything=0.0):
    """Displacements, (FIELD, FIELD, 2), that move a nose, and all of a face, to the right."""
    found = np.full((FIELD, FIELD, 2), (everything, 0.3), np.float32)
    found[28:48, 24:40, 0] += nose
    return found


def test_a_turn_is_how_far_the_nose_goes_beyond_the_eyes():
    found = turns(np.stack([shape(), shape(nose=0.05), shape(nose=-0.1, everything=0.2)]))
    np.testing.assert_allclose(found, (0, 0.05, -0.1), atol=1e-6)


def test_a_frontal_head_is_seen_alike_on_both_sides():
    (head,) = heads(np.zeros(1))
    np.testing.assert_allclose(head, head[:, ::-1], atol=1e-6)
    assert head[MIDDLE, MIDDLE] == 1
    assert head[MIDDLE, [0, -1]].max() == 0


@pytest.mark.parametrize("turn", [0.03, 0.06, 0.1])
def test_a_turned_head_ends_sooner_on_its_far_side(turn):
    right, left, frontal = heads(np.array([turn, -turn, 0.0]))
    np.testing.assert_allclose(right, left[:, ::-1], atol=1e-6)
    near = slice(0, FIELD // 4)
    np.testing.assert_array_equal(right[:, near], frontal[:, near])
    assert right[MIDDLE:, MIDDLE:].sum() < frontal[MIDDLE:, MIDDLE:].sum() - 10


def test_it_ends_sooner_the_more_it_is_turned_and_without_a_jump():
    found = heads(np.linspace(-0.15, 0.15, 61))
    assert (np.diff(found[30:, :, MIDDLE:], axis=0) <= 1e-6).all()
    assert np.abs(np.diff(found, axis=0)).max() < 0.2


def test_however_far_it_is_turned_both_eyes_are_seen():
    for head in heads(np.array([-0.4, -0.15, 0.15, 0.4])):
        for eye in EYES:
            assert head[eye] > 0.95
