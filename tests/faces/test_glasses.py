import cv2
import numpy as np
import pytest

from facemix.errors import InstallationError
from facemix.faces import glasses as module
from facemix.faces.align import TEMPLATE, Alignment
from facemix.faces.glasses import COUNT, THRESHOLD, eyewear_mask, features, glasses, wears_glasses


@pytest.fixture(scope="module")
def alignment(finder, astronaut):
    return Alignment.from_landmarks(finder.find(astronaut)[0].landmarks, 128)


@pytest.fixture(scope="module")
def crop(alignment, astronaut):
    return alignment.crop(astronaut)


def with_frames(crop, colour=(25, 20, 20)):
    """A pair of oval frames with bridge and temples, drawn over the eyes of an aligned crop at four times its size."""
    side = crop.shape[0] * 4
    drawn = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
    thick = round(side * 0.02)
    (left, y), (right, _) = (TEMPLATE[:2] * side + [0, 0.02 * side]).round().astype(int)
    reach, height = round(0.155 * side), round(0.115 * side)
    for x, end in ((left, 0), (right, side)):
        cv2.ellipse(drawn, (int(x), int(y)), (reach, height), 0, 0, 360, colour, thick, cv2.LINE_AA)
        hinge = (int(x + np.sign(end - x) * reach), int(y - height // 4))
        cv2.line(drawn, hinge, (end, int(y - height // 3)), colour, thick, cv2.LINE_AA)
    cv2.line(drawn, (int(left + reach), int(y)), (int(right - reach), int(y)), colour, thick, cv2.LINE_AA)
    return cv2.resize(drawn, crop.shape[:2], interpolation=cv2.INTER_AREA)


def test_the_astronaut_wears_none_until_they_are_drawn(crop):
    assert glasses(crop) < THRESHOLD
    assert not wears_glasses(crop)
    for colour in ((25, 20, 20), (150, 60, 30)):
        assert glasses(with_frames(crop, colour)) > THRESHOLD
        assert wears_glasses(with_frames(crop, colour))


@pytest.mark.parametrize("side", [96, 256, 512])
def test_other_sizes_of_the_crop_say_the_same(alignment, astronaut, side):
    larger = alignment.resized(side).crop(astronaut)
    assert not wears_glasses(larger)
    assert wears_glasses(with_frames(larger))


def test_a_mirrored_face_and_a_view_of_it_are_judged_alike(crop):
    worn = with_frames(crop)
    for face in (crop, worn):
        assert glasses(face[:, ::-1]) == pytest.approx(glasses(face), abs=1e-5)
        assert glasses(face) == glasses(face.copy())


def test_light_and_contrast_hardly_count(crop):
    for face in (crop, with_frames(crop)):
        for gain, offset in ((0.6, 10), (0.8, 50)):
            changed = (face * gain + offset).clip(0, 255).astype(np.uint8)
            assert wears_glasses(changed) == wears_glasses(face)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_crop_wears_none(level):
    flat = np.full((128, 128, 3), level, np.uint8)
    assert np.isfinite(features(flat)).all()
    assert not wears_glasses(flat)


@pytest.mark.parametrize("side", [1, 2, 7])
def test_a_tiny_crop_has_an_answer(crop, side):
    tiny = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    assert features(tiny).shape == (COUNT,)
    assert 0 <= glasses(tiny) <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((128, 96, 3), np.uint8),
        np.zeros((128, 128), np.uint8),
        np.zeros((128, 128, 4), np.uint8),
        np.zeros((128, 128, 3), np.float32),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_what_is_no_crop_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"aligned crop is \(S, S, 3\) uint8; this is \(" + str(wrong.shape[0])):
        glasses(wrong)


@pytest.mark.parametrize(
    "weights", [np.zeros(3, np.float32), np.full(COUNT + 1, np.nan, np.float32), b"not an array", None]
)
def test_missing_or_damaged_weights_say_where_they_should_be(crop, tmp_path, monkeypatch, weights):
    path = tmp_path / "glasses.npy"
    if isinstance(weights, bytes):
        path.write_bytes(weights)
    elif weights is not None:
        np.save(path, weights)
    monkeypatch.setattr(module, "WEIGHTS", path)
    module._weights.cache_clear()
    try:
        with pytest.raises(InstallationError, match=r"glasses\.npy"):
            glasses(crop)
    finally:
        module._weights.cache_clear()


@pytest.mark.parametrize("side", [16, 128, 129, 512])
def test_the_mask_holds_a_whole_pair_and_no_more(side):
    mask = eyewear_mask(side)
    assert mask.shape == (side, side)
    assert mask.dtype == np.float32
    assert mask.min() == 0
    assert mask.max() == 1
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=1e-5)
    at = lambda x, y: mask[int(y * side), int(x * side)]  # noqa: E731
    bridge = (TEMPLATE[0] + TEMPLATE[1]) / 2
    for inside in (*TEMPLATE[:2], bridge, (0.02, 0.28), (0.98, 0.28)):
        assert at(*inside) == 1
    for outside in (*TEMPLATE[2:], (0.5, 0.6), (0.5, 0.05), (0.03, 0.6), (0.03, 0.05)):
        assert at(*outside) == 0


def test_the_mask_covers_the_frames_that_are_drawn(crop):
    changed = np.abs(with_frames(crop).astype(int) - with_frames(crop, (250, 250, 250))).sum(-1)
    assert (changed * eyewear_mask(128)).sum() > 0.97 * changed.sum()


def test_the_mask_is_shared_and_cannot_be_changed():
    assert eyewear_mask(64) is eyewear_mask(64)
    with pytest.raises(ValueError, match="read-only"):
        eyewear_mask(64)[0, 0] = 1
