import threading

import cv2
import files
import numpy as np
import portraits
import pytest

from facemix.errors import FaceNotFound, FaceTooSmall, ImageCorrupt, ImageTooManyPixels
from facemix.faces.align import Alignment
from facemix.faces.finder import eye_distance
from facemix.faces.look import look
from facemix.faces.quality import measure
from facemix.imaging.decode import DecodeLimits, Photograph, decode_image

LIMITS = DecodeLimits(max_side=4096)


def enlarged(image, side):
    return cv2.resize(image, (side, side * image.shape[0] // image.shape[1]), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def large():
    """1800 x 1800, one face whose eyes are 270 pixels apart."""
    return files.jpeg(enlarged(portraits.head(), 1800), quality=90)


@pytest.mark.parametrize("build", [files.jpeg, files.png])
def test_a_small_photograph_is_what_its_parts_make_of_it(finder, build):
    data = build(portraits.crowd())
    seen = look(data, LIMITS, finder, 64)
    image = decode_image(data, LIMITS).pixels
    faces = finder.find(image)
    assert (seen.width, seen.height) == (490, 300)
    assert [each.index for each in seen.faces] == [0, 1]
    for each, face in zip(seen.faces, faces, strict=True):
        np.testing.assert_array_equal(each.face.landmarks, face.landmarks)
        crop = Alignment.from_landmarks(face.landmarks, 64).crop(image)
        np.testing.assert_array_equal(each.crop, crop)
        assert each.quality == measure(face, crop)
        assert each.refusal is None


def test_a_large_photograph_looks_the_same_and_is_not_decoded_whole(finder, large, monkeypatch):
    decoded = []
    original = Photograph.pixels

    def pixels(self, side=float("inf")):
        decoded.append(original(self, side))
        return decoded[-1]

    monkeypatch.setattr(Photograph, "pixels", pixels)
    seen = look(large, LIMITS, finder, 128)
    assert {image.shape for image in decoded} == {(900, 900, 3)}
    monkeypatch.undo()
    assert (seen.width, seen.height) == (1800, 1800)
    (found,) = seen.faces
    image = decode_image(large, LIMITS).pixels
    (face,) = finder.find(image)
    assert np.abs(found.face.landmarks - face.landmarks).max() < 0.03 * eye_distance(face)
    # Figures are in pixels of the photograph, not of what was decoded of it.
    assert found.quality.face_pixels == pytest.approx(eye_distance(face), rel=0.02)
    # The pixels themselves, at the same place.
    whole = Alignment.from_landmarks(found.face.landmarks, 128).crop(image)
    assert np.abs(found.crop.astype(int) - whole).mean() < 1.5


def test_larger_crops_decode_more(finder, large):
    small, detailed = (look(large, LIMITS, finder, size).faces[0] for size in (128, 512))
    np.testing.assert_array_equal(small.face.landmarks, detailed.face.landmarks)
    whole = Alignment.from_landmarks(detailed.face.landmarks, 512).crop(decode_image(large, LIMITS).pixels)
    np.testing.assert_array_equal(detailed.crop, whole)


def test_a_small_face_in_a_large_photograph_has_all_its_pixels(finder, astronaut):
    canvas = np.full((2000, 2600, 3), 110, np.uint8)
    canvas[1000:1256, 2000:2256] = astronaut[:256, 96:352]
    data = files.jpeg(canvas)
    (found,) = look(data, LIMITS, finder, 64).faces
    assert np.abs(found.face.landmarks[:2] - (np.array([[203, 102], [247, 104]]) - [96, 0] + [2000, 1000])).max() < 4
    whole = Alignment.from_landmarks(found.face.landmarks, 64).crop(decode_image(data, LIMITS).pixels)
    np.testing.assert_array_equal(found.crop, whole)


def test_the_same_bytes_look_the_same(finder, large):
    first, second = (look(large, LIMITS, finder, 64).faces[0] for _ in range(2))
    np.testing.assert_array_equal(first.face.landmarks, second.face.landmarks)
    np.testing.assert_array_equal(first.crop, second.crop)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_coordinates_are_of_the_upright_photograph(finder, large, orientation):
    stored = files.sideways_jpeg(enlarged(portraits.head()[:240], 1800), orientation)
    upright = look(files.jpeg(enlarged(portraits.head()[:240], 1800)), LIMITS, finder, 64)
    turned = look(stored, LIMITS, finder, 64)
    assert (turned.width, turned.height) == (upright.width, upright.height) == (1800, 1440)
    moved = turned.faces[0].face.landmarks - upright.faces[0].face.landmarks
    assert np.abs(moved).max() < 0.03 * upright.faces[0].quality.face_pixels
    assert any("upright" in note for note in turned.notes)


@pytest.mark.parametrize("orientation", [1, 6])
def test_coordinates_are_of_the_file_and_figures_of_what_it_is_reduced_to(finder, orientation):
    data = files.sideways_png(portraits.head()[:240], orientation)
    whole, reduced = (look(data, DecodeLimits(max_side=side), finder, 64) for side in (None, 150))
    assert (whole.width, whole.height) == (reduced.width, reduced.height) == (300, 240)
    (one,), (other,) = whole.faces, reduced.faces
    assert np.abs(one.face.landmarks - other.face.landmarks).max() < 3
    assert np.abs(np.array(one.face.box) - other.face.box).max() < 12
    assert other.quality.face_pixels == pytest.approx(one.quality.face_pixels / 2, rel=0.05)
    assert any("reduced from" in note for note in reduced.notes)


def test_a_face_that_the_gates_refuse_is_still_shown(finder):
    (found,) = look(files.png(portraits.far_away()), LIMITS, finder, 64).faces
    assert isinstance(found.refusal, FaceTooSmall)


def test_no_face_is_an_error_that_says_where_and_how_large(finder):
    with pytest.raises(FaceNotFound, match="451 x 300") as refused:
        look(files.jpeg(portraits.cat()), LIMITS, finder, 64, where="face_b")
    assert refused.value.where == "face_b"


def test_bytes_that_are_no_photograph_say_where(finder, large):
    with pytest.raises(ImageCorrupt) as cut:
        look(large[:5000], LIMITS, finder, 64, where="face_a")
    with pytest.raises(ImageTooManyPixels) as many:
        look(large, DecodeLimits(max_pixels=1000), finder, 64, where="face_a")
    assert cut.value.where == many.value.where == "face_a"


def test_every_decoding_waits_at_the_gate(finder, large):
    gate = threading.BoundedSemaphore(1)
    look(large, LIMITS, finder, 512, gate=gate)  # decodes twice: a gate that is not left would wait for ever
    assert gate.acquire(blocking=False)
