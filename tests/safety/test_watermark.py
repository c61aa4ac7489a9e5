import hashlib

import cv2
import numpy as np
import pytest
from marked_faces import faces
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from facemix.safety.watermark import BITS, LEAST_SIDE, Watermark, chance

KEY, OTHER = b"k" * 32, b"o" * 32
OWN, CODE = [60, 67, 513, 375, 599, 514, 526, 68], "5a55a475e4ba31bb"
HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(6)]


@pytest.fixture(scope="module")
def watermark():
    return Watermark(KEY)


@pytest.fixture(scope="module")
def marked(watermark):
    made = faces(6)
    watermark.embed(made, HASHES)
    return made


def test_it_cannot_be_seen(marked):
    noise = [peak_signal_noise_ratio(one, other) for one, other in zip(faces(6), marked, strict=True)]
    assert min(noise) > 35
    assert np.mean(noise) > 38


def test_installation_and_recipe_are_read_back(watermark, marked):
    found = np.stack([watermark.read(one) for one in marked])
    assert watermark.own_score(found).min() > 7
    scores = watermark.recipe_scores(found, watermark.codes(HASHES))
    assert scores.argmax(1).tolist() == list(range(6))
    assert scores.diagonal().min() > 9
    assert np.abs(scores[~np.eye(6, dtype=bool)]).max() < 5


def test_another_installation_reads_nothing(marked):
    found = np.stack([Watermark(OTHER).read(one) for one in marked])
    assert np.abs(Watermark(OTHER).own_score(found)).max() < 4


def test_a_frame_is_marked_alike_in_whatever_company(watermark, marked):
    alone = faces(6)[2:3]
    Watermark(KEY).embed(alone, HASHES[2:3])
    np.testing.assert_array_equal(alone[0], marked[2])


def test_marks_of_today_are_those_of_tomorrow():
    """Carrier and codes come from hashes alone: what is marked must be found by later versions of everything."""
    watermark = Watermark(KEY)
    assert watermark.own[:8].tolist() == OWN
    assert np.packbits(watermark.codes(HASHES[:1])[0] > 0).tobytes()[:8].hex() == CODE


def test_codes_are_of_the_key_and_the_recipe(watermark):
    codes = watermark.codes(HASHES)
    assert codes.shape == (6, BITS)
    assert set(np.unique(codes)) == {-1, 1}
    assert len({code.tobytes() for code in (*codes, *Watermark(OTHER).codes(HASHES))}) == 12
    assert watermark.codes([]).shape == (0, BITS)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_picture_without_anything_in_it_is_marked_and_read(watermark, grey):
    plain = np.full((1, 128, 128, 3), grey, np.uint8)
    before = watermark.read(plain[0])
    assert np.isfinite(watermark.own_score(before))
    watermark.embed(plain, HASHES[:1])
    assert np.isfinite(watermark.own_score(watermark.read(plain[0])))


def test_small_frames_are_left_alone(watermark):
    small = faces(1, LEAST_SIDE - 1)
    watermark.embed(small, HASHES[:1])
    np.testing.assert_array_equal(small, faces(1, LEAST_SIDE - 1))


@pytest.mark.parametrize("side", [64, 100, 256])
def test_it_is_read_at_every_size(watermark, side):
    made = faces(1, side)
    watermark.embed(made, HASHES[:1])
    assert watermark.own_score(watermark.read(made[0])) > 6


@pytest.mark.parametrize("shape", [(600, 900), (64, 200), (1000, 130)])
def test_it_is_stretched_with_frames_that_are_not_square(watermark, shape):
    made = cv2.resize(faces(1)[0], shape[::-1], interpolation=cv2.INTER_CUBIC)[None]
    before = made.copy()
    watermark.embed(made, HASHES[:1])
    found = watermark.read(made[0])
    assert watermark.own_score(found) > 7
    assert watermark.recipe_scores(found[None], watermark.codes(HASHES))[0].argmax() == 0
    assert peak_signal_noise_ratio(before, made) > 33


@pytest.mark.parametrize("shape", [(63, 200), (200, 63)])
def test_strips_too_narrow_are_left_alone(watermark, shape):
    narrow = np.full((1, *shape, 3), 90, np.uint8)
    watermark.embed(narrow, HASHES[:1])
    assert (narrow == 90).all()


def test_a_whole_photograph_is_marked_more_strongly(watermark):
    """It has more detail than a face by itself, in which a mark would drown."""
    photo = cv2.resize(data.astronaut(), (600, 900), interpolation=cv2.INTER_AREA)
    made = photo[None].copy()
    watermark.embed(made, HASHES[:1])
    scores = watermark.recipe_scores(watermark.read(made[0])[None], watermark.codes(HASHES))[0]
    assert scores.argmax() == 0
    assert chance(float(scores[0]), len(HASHES)) < 2.5e-5
    assert peak_signal_noise_ratio(photo, made[0]) > 30


def test_chance_is_a_bound():
    """On noise with random signs the share above a score stays below what is promised."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (20_000, 64))
    scores = signs.sum(1) / 8
    for score in (1, 2, 3):
        assert (scores >= score).mean() <= chance(score)
    assert chance(-5) == chance(0) == 1
    assert chance(6, looks=1000) == pytest.approx(1000 * chance(6))
