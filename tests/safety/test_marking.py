import hashlib

import cv2
import numpy as np
import pytest
from marked_faces import faces

from facemix.governance.secrets import Secrets, open_secrets
from facemix.imaging.encode import encode_image
from facemix.safety.detection import find_mark
from facemix.safety.marking import Facts, Marker, open_marker
from facemix.safety.xmp import SOURCE_TYPE
from facemix.settings import Settings

HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
SECRETS = Secrets(b"s" * 32)
FACTS = Facts(HASHES[0], "facemix-128@0123456789ab")


def marker(**on):
    return Marker(**{"label": False, "mark": False, "credentials": None, "secrets": SECRETS, **on})


def test_off_does_nothing():
    frames = faces(2)
    off = Marker.off()
    assert off.pixels(frames, HASHES[:1]) is frames
    assert off.file(frames[0], "image/png", FACTS) == encode_image(frames[0], "image/png")
    assert off.sign(b"a film", "video/mp4", FACTS) == b"a film"


def test_frames_are_marked_and_what_was_given_is_not_touched():
    frames = faces(3)
    both = marker(label=True, mark=True)
    made = both.pixels(frames, HASHES)
    np.testing.assert_array_equal(frames, faces(3))
    assert (made[:, -20:, -50:] >= 240).any(), "the label's letters"
    for frame, given, recipe_hash in zip(made, frames, HASHES, strict=True):
        assert find_mark(both.watermark, frame, HASHES).recipe_hash == recipe_hash
        np.testing.assert_array_equal(both.pixels(given, [recipe_hash]), frame)
    same = both.pixels(frames, HASHES[:1])
    np.testing.assert_array_equal(same[0], made[0])
    assert find_mark(both.watermark, same[2], HASHES).recipe_hash == HASHES[0]


@pytest.mark.parametrize(
    ("side", "pixels"), [(64, "8b5290d0ac120476"), (128, "effb36b9518b4960"), (511, "e652c3e4d1a834b4")]
)
def test_square_frames_bear_what_they_always_bore(side, pixels):
    """What leaves without being put onto a photograph has not changed by a bit since results had to be square."""
    y, x = np.mgrid[:side, :side] / side
    wave = (128 + 80 * np.sin(9 * x + 4 * y) * np.cos(5 * y))[..., None] + np.array([0, 10, -20])
    noise = np.random.default_rng(side).normal(0, 6, (side, side, 3))
    frame = np.clip(wave + noise, 0, 255).astype(np.uint8)
    made = marker(label=True, mark=True).pixels(frame, HASHES[:1])
    assert hashlib.sha256(made.tobytes()).hexdigest()[:16] == pixels


@pytest.mark.parametrize("shape", [(600, 900), (900, 600), (100, 310)])
def test_frames_that_are_not_square_are_marked_too(shape):
    frames = np.stack([cv2.resize(one, shape[::-1], interpolation=cv2.INTER_CUBIC) for one in faces(2)])
    both = marker(label=True, mark=True)
    made = both.pixels(frames, HASHES[:2])
    assert made.shape == frames.shape
    for frame, given, recipe_hash in zip(made, frames, HASHES, strict=False):
        assert find_mark(both.watermark, frame, HASHES).recipe_hash == recipe_hash
        np.testing.assert_array_equal(both.pixels(given, [recipe_hash]), frame)
    assert (made[:, -min(shape) // 8 :, -min(shape) // 3 :] >= 240).any(), "the label's letters"


def test_each_can_be_switched_off():
    frame = faces(1)[0]
    changed = [(marker(**on).pixels(frame, HASHES[:1]) != frame).any(-1) for on in ({"label": True}, {"mark": True})]
    assert 0.01 < changed[0].mean() < 0.05
    assert changed[1].mean() > 0.5


@pytest.mark.parametrize("side", [16, 32, 63])
def test_frames_too_small_for_either_leave_as_they_are(side):
    frames = faces(2, side)
    np.testing.assert_array_equal(marker(label=True, mark=True).pixels(frames, HASHES[:2]), faces(2, side))


@pytest.mark.parametrize(
    ("frames", "hashes"),
    [
        (np.zeros((2, 8, 9, 4), np.uint8), HASHES[:1]),
        (np.zeros((2, 0, 9, 3), np.uint8), HASHES[:1]),
        (np.zeros((8, 8), np.uint8), HASHES[:1]),
        (np.zeros((8, 8, 3), np.float32), HASHES[:1]),
        (np.zeros((3, 8, 8, 3), np.uint8), HASHES[:2]),
        (np.zeros((3, 8, 8, 3), np.uint8), []),
        (np.zeros((64, 8, 8, 3), np.uint8), HASHES[0]),
    ],
)
def test_mistakes_of_the_program_are_said(frames, hashes):
    with pytest.raises(ValueError, match=r"frames must be|recipes for"):
        marker(label=True).pixels(frames, hashes)


def test_a_mark_needs_a_secret():
    with pytest.raises(ValueError, match="secrets"):
        Marker(label=False, mark=True, credentials=None, secrets=None)


def test_settings_decide(tmp_path):
    settings = Settings(data_dir=tmp_path)
    full = open_marker(settings, open_secrets(settings))
    assert (full.label, full.mark) == (True, True)
    signed = full.file(full.pixels(faces(1)[0], HASHES[:1]), "image/jpeg", FACTS)
    assert SOURCE_TYPE.encode() in signed
    assert full.credentials.read(signed, "image/jpeg").facts == FACTS
    settings = settings.model_copy(update={"label": False, "mark": False, "credentials": False})
    off = open_marker(settings, open_secrets(settings))
    assert off.pixels(faces(1)[0], HASHES[:1]).tobytes() == faces(1)[0].tobytes()
    assert off.file(faces(1)[0], "image/jpeg", FACTS) == encode_image(faces(1)[0], "image/jpeg")
    assert off.watermark is not None, "what was marked before is known again"


def test_quality_is_passed_on():
    assert len(marker().file(faces(1)[0], "image/jpeg", FACTS, quality=20)) < len(
        marker().file(faces(1)[0], "image/jpeg", FACTS, quality=95)
    )
