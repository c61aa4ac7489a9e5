import hashlib

import cv2
import numpy as np
import pytest
from marked_faces import faces

from facemix.imaging.sheet import labelled_sheet
from facemix.safety.detection import find_mark
from facemix.safety.watermark import Watermark

HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(6)]
KNOWN = [*(hashlib.sha256(f"other {number}".encode()).hexdigest() for number in range(500)), *HASHES]
WATERMARK = Watermark(b"k" * 32)


@pytest.fixture(scope="module")
def marked():
    made = faces(6)
    WATERMARK.embed(made, HASHES)
    return made


def through(kind, quality):
    flag = cv2.IMWRITE_JPEG_QUALITY if kind == ".jpg" else cv2.IMWRITE_WEBP_QUALITY

    def change(pixels):
        return cv2.imdecode(cv2.imencode(kind, pixels, [flag, quality])[1], cv2.IMREAD_COLOR)

    return change


def half(pixels):
    return cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)


CHANGES = {
    "whole": [
        lambda pixels: pixels,
        through(".jpg", 50),
        half,
        lambda pixels: through(".jpg", 50)(half(pixels)),
        through(".webp", 60),
        lambda pixels: cv2.resize(pixels, (300, 300), interpolation=cv2.INTER_CUBIC),
        lambda pixels: np.clip(pixels * 1.2, 0, 255).astype(np.uint8),
    ],
    "mirrored": [lambda pixels: np.ascontiguousarray(pixels[:, ::-1])],
    "cropped": [lambda pixels: np.ascontiguousarray(pixels[5:-2, 1:-6])],
}


@pytest.mark.parametrize(("how", "change"), [(how, change) for how, changes in CHANGES.items() for change in changes])
def test_it_survives(marked, how, change):
    for recipe_hash, frame in list(zip(HASHES, marked, strict=True))[: 2 if how == "cropped" else 6]:
        mark = find_mark(WATERMARK, change(frame), KNOWN)
        assert mark is not None
        assert (mark.recipe_hash, mark.how) == (recipe_hash, how)
        assert mark.chance < 3e-5


def test_without_its_recipe_it_is_found_all_the_same(marked):
    for known in ((), KNOWN[:500]):
        mark = find_mark(WATERMARK, marked[0], known)
        assert mark is not None
        assert mark.recipe_hash is None


def test_pictures_without_a_mark_have_none(marked):
    assert find_mark(WATERMARK, faces(1)[0], KNOWN) is None
    assert find_mark(Watermark(b"o" * 32), marked[0], KNOWN) is None


def test_frames_of_a_strip_and_cells_of_a_sheet_are_looked_at(marked):
    sheet = labelled_sheet(marked.reshape(2, 3, 128, 128, 3), ["1", "2"], ["a", "b", "c"], title="Faces")
    for picture in (
        np.concatenate(list(marked), 1),
        np.concatenate(list(marked), 0),
        sheet,
        through(".jpg", 50)(sheet),
    ):
        mark = find_mark(WATERMARK, picture, KNOWN)
        assert mark is not None
        assert mark.recipe_hash in HASHES
        assert mark.how == "part"


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (2, 2), (64, 4096)])
def test_no_shape_is_too_odd(shape):
    picture = np.full((*shape, 3), 90, np.uint8)
    picture[:: max(1, shape[0] // 7)] = 200
    assert find_mark(WATERMARK, picture, KNOWN[:5]) is None
