import numpy as np
import pytest
from files import scene
from films import difference

from facemix.imaging.enlarge import enlarge
from facemix.imaging.preview import PREVIEW_SIZE, preview_card

PAPER = (0xF7, 0xF4, 0xEF)
FACE = scene(128, 128)
ENDLESS = "words without an end " * 40


def card(picture=FACE, title="A mix of 3 faces", lines=("Made by a machine.",)):
    return preview_card(picture, title=title, lines=list(lines))


def test_it_has_the_size_that_sites_ask_for():
    shown = card()
    assert PREVIEW_SIZE == (1200, 630)
    assert (shown.shape, shown.dtype) == ((630, 1200, 3), np.uint8)


@pytest.mark.parametrize("side", [64, 128, 512, 1024])
def test_the_face_is_large_at_the_left(side):
    picture = scene(side, side)
    face = card(picture)[64:566, 64:566]
    expected = enlarge(picture, 502)
    assert difference(face[40:-40], expected[40:-40]) == 0
    assert (face[0, 0] == PAPER).all()  # its corners are round


def test_the_wordmark_is_two_discs_that_overlap():
    """Teal and terracotta over paper, and terracotta over teal where both are, each at 82 %."""

    def over(colour, below):
        return 0.82 * np.array(colour) + 0.18 * np.array(below)

    teal, terracotta = (0x1C, 0x6F, 0x68), (0xA8, 0x4D, 0x20)
    shown = card()
    for colour in (over(teal, PAPER), over(terracotta, PAPER), over(terracotta, over(teal, PAPER))):
        there = np.abs(shown[:, 600:] - colour).max(axis=2) <= 1.5
        assert there.sum() > 700


def test_the_words_are_at_the_right():
    one, other = card(title="A mix of 2 faces"), card(title="A mix of 9 faces")
    changed = np.argwhere((one != other).any(axis=2))
    assert len(changed) > 100
    assert changed[:, 1].min() > 600
    assert not np.array_equal(card(lines=[]), card())


@pytest.mark.parametrize("title", ["", "A mix of 3 faces", ENDLESS, "x" * 500, "日本 Müller"])
@pytest.mark.parametrize("lines", [(), ("one", "two"), (ENDLESS,) * 9])
def test_nothing_is_clipped_and_nothing_overlaps(title, lines):
    shown = card(title=title, lines=lines)
    edges = [shown[:60], shown[-60:], shown[:, :60], shown[:, -60:], shown[:, 570:620]]
    assert all((edge == PAPER).all() for edge in edges)
    assert (shown[134:178, 600:] == PAPER).all()  # between the wordmark and the highest title


def test_the_same_card_comes_out_twice():
    np.testing.assert_array_equal(card(), card())


def test_other_pictures_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        card(np.zeros((128, 100, 3), np.uint8))
