import numpy as np
import pytest

from facemix.safety.label import LEAST_SIDE, label

GREYS = [0, 40, 90, 128, 170, 220, 255]


def labelled(side, grey):
    frames = np.full((1, side, side, 3), grey, np.uint8)
    label(frames)
    return frames[0, ..., 0].astype(int)


@pytest.mark.parametrize("side", [LEAST_SIDE, 128, 256, 512])
@pytest.mark.parametrize("grey", GREYS)
def test_its_letters_stand_out_on_every_ground(side, grey):
    made = labelled(side, grey)
    letters = made >= 235 if grey < 235 else made >= 250
    changed = made != grey
    corner = np.zeros_like(changed)
    corner[-side // 4 :, side // 2 :] = True
    assert changed.any()
    assert not changed[~corner].any(), "it stays in its corner"
    assert (letters & corner).any()
    plate = made[changed & (made < 200)]
    if grey:
        assert 255 - np.median(plate) >= 120, "white letters want a dark ground"


def test_it_grows_with_the_picture():
    shares = [(labelled(side, 128) != 128).mean() for side in (128, 256, 512, 1024)]
    assert max(shares) < 0.035
    assert min(shares) > 0.7 * max(shares)


def test_frames_too_small_for_letters_are_left_alone():
    assert (labelled(LEAST_SIDE - 1, 128) == 128).all()


def test_every_frame_gets_the_same():
    frames = np.zeros((3, 128, 128, 3), np.uint8)
    frames[1] = 90
    alone = frames.copy()
    label(frames)
    for frame in alone:
        label(frame[None])
    np.testing.assert_array_equal(frames, alone)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (200, 1000)])
def test_it_lies_in_the_corner_and_is_as_large_as_the_shorter_side_wants(shape):
    frames = np.full((1, *shape, 3), 128, np.uint8)
    label(frames)
    square = labelled(200, 128)
    np.testing.assert_array_equal(frames[0, -200:, -200:, 0], square)
    frames[0, -200:, -200:] = 128
    assert (frames == 128).all()


def test_a_strip_too_narrow_for_letters_is_left_alone():
    for shape in ((LEAST_SIDE - 1, 500), (500, LEAST_SIDE - 1)):
        frames = np.full((1, *shape, 3), 128, np.uint8)
        label(frames)
        assert (frames == 128).all()
