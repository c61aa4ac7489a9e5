import threading

import cv2
import files
import numpy as np
import portraits
import pytest

from facemix.errors import ImageCorrupt, ImageTooManyPixels
from facemix.faces.align import Alignment, native_side
from facemix.faces.cuts import cut, whole
from facemix.faces.look import look
from facemix.faces.placed import Placed
from facemix.faces.types import Face
from facemix.imaging.decode import DecodeLimits, Photograph, decode_image

LIMITS = DecodeLimits(max_side=4096)
PLACED = Placed((123.0, 103.0), (168.0, 104.0), (143.0, 144.5))  # in `portraits.head()`


def enlarged(image, side):
    return cv2.resize(image, (side, side * image.shape[0] // image.shape[1]), interpolation=cv2.INTER_CUBIC)


def by_hand(factor=1.0):
    """The face of `portraits.head()` as it was placed, in a photograph `factor` times as large."""
    return PLACED.scaled(factor, factor).face()


def levels(one, other):
    """Mean absolute difference."""
    return np.abs(one.astype(int) - other).mean()


@pytest.fixture(scope="module")
def large():
    """1800 x 1800; the crop of its one face covers 640 pixels."""
    return files.jpeg(enlarged(portraits.head(), 1800), quality=90)


@pytest.fixture
def decoded(monkeypatch):
    """The shapes that photographs are decoded to, in turn."""
    shapes, original = [], Photograph._decode

    def decode(self, side):
        pixels, notes = original(self, side)
        shapes.append(pixels.shape)
        return pixels, notes

    monkeypatch.setattr(Photograph, "_decode", decode)
    return shapes


# --- cuts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 128, 300])
@pytest.mark.parametrize("build", [files.jpeg, files.png])
def test_a_cut_at_the_side_of_the_crop_is_the_crop(finder, build, side):
    data = build(portraits.crowd())
    seen = look(data, LIMITS, finder, side)
    assert len(seen.faces) == 2
    for found in seen.faces:
        np.testing.assert_array_equal(cut(data, LIMITS, found.face, side), found.crop)


@pytest.mark.parametrize("side", [64, 128, 512])
def test_so_it_is_where_no_more_of_a_jpeg_is_decoded_than_is_needed(finder, large, decoded, side):
    (found,) = look(large, LIMITS, finder, side).faces
    sharpest = decoded[-1]
    decoded.clear()
    np.testing.assert_array_equal(cut(large, LIMITS, found.face, side), found.crop)
    assert decoded == [sharpest]  # at once, and no more of it


@pytest.mark.parametrize("side", [32, 128, 512])
def test_a_face_placed_by_hand_is_cut_like_one_that_was_found(finder, large, side):
    for data, factor in ((files.png(portraits.head()), 1), (large, 6)):
        (found,) = look(data, LIMITS, finder, side, placed=PLACED.scaled(factor, factor)).faces
        np.testing.assert_array_equal(cut(data, LIMITS, found.face, side), found.crop)


def test_a_larger_cut_is_the_same_view_with_more_in_it(large):
    face = by_hand(6)
    assert native_side(face.landmarks) > 512
    small, sharp = (cut(large, LIMITS, face, side) for side in (128, 512))
    assert sharp.shape == (512, 512, 3)
    assert sharp.dtype == np.uint8
    assert levels(cv2.resize(sharp, (128, 128), interpolation=cv2.INTER_AREA), small) < 1.5
    image = decode_image(large, LIMITS).pixels
    np.testing.assert_array_equal(sharp, Alignment.from_landmarks(face.landmarks, 512).crop(image))


def test_a_cut_larger_than_the_face_enlarges_what_is_there():
    data, face = files.png(portraits.head()), by_hand()
    native = round(native_side(face.landmarks))
    here, enlarged_cut = (cut(data, LIMITS, face, side) for side in (native, 4 * native))
    assert levels(cv2.resize(enlarged_cut, (native, native), interpolation=cv2.INTER_AREA), here) < 2


@pytest.mark.parametrize(("side", "pixels"), [(32, 225), (100, 450), (128, 900), (200, 900), (230, 1800), (640, 1800)])
def test_no_more_is_decoded_than_a_pixel_and_a_half_for_one_of_the_cut(large, decoded, side, pixels):
    cut(large, LIMITS, by_hand(6), side)
    assert decoded == [(pixels, pixels, 3)]


def test_past_the_working_side_only_what_would_be_enlarged_is_decoded(large, decoded):
    reduced = DecodeLimits(max_side=600)  # stands for 4096: the face's crop covers 218 pixels of that
    face = by_hand(6)
    cut(large, reduced, face, 200)
    assert decoded == [(600, 600, 3)]
    decoded.clear()
    np.testing.assert_array_equal(cut(large, reduced, face, 400), cut(large, LIMITS, face, 400))
    assert decoded == [(1800, 1800, 3)] * 2


def test_the_face_is_in_pixels_of_what_was_sent_whatever_that_is_reduced_to(large):
    face, reduced = by_hand(6), DecodeLimits(max_side=600)
    assert levels(cut(large, reduced, face, 200), cut(large, LIMITS, face, 200)) < 2


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
def test_a_photograph_that_lies_on_its_side_is_cut_upright(orientation):
    upright = portraits.head()[:240]
    turned = cut(files.sideways_png(upright, orientation), LIMITS, by_hand(), 96)
    np.testing.assert_array_equal(turned, cut(files.png(upright), LIMITS, by_hand(), 96))


@pytest.mark.parametrize("side", [64, 300])
def test_where_the_face_leaves_the_photograph_its_edge_is_mirrored(side):
    image = np.ascontiguousarray(portraits.head()[80:, 100:])
    face = Placed(*((x - 100, y - 80) for x, y in (PLACED.left_eye, PLACED.right_eye, PLACED.mouth))).face()
    beyond = 60
    mirrored = cv2.copyMakeBorder(image, beyond, 0, beyond, 0, cv2.BORDER_REFLECT_101)
    moved = Face(face.box, face.landmarks + np.float32(beyond), face.score)
    assert Alignment.from_landmarks(face.landmarks, side).inverse[:, 2].min() < -5  # the crop's corner lies outside
    made = cut(files.png(image), LIMITS, face, side)
    assert levels(made, cut(files.png(mirrored), LIMITS, moved, side)) < 0.5


def test_bytes_that_are_no_photograph_say_where(large):
    with pytest.raises(ImageCorrupt) as short:
        cut(large[:5000], LIMITS, by_hand(6), 64, where="face_a")
    with pytest.raises(ImageTooManyPixels) as many:
        cut(large, DecodeLimits(max_pixels=1000), by_hand(6), 64, where="face_a")
    assert short.value.where == many.value.where == "face_a"


# --- whole photographs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "shape"), [(1000, (300, 490, 3)), (490, (300, 490, 3)), (245, (150, 245, 3))])
def test_a_whole_photograph_is_reduced_and_never_enlarged(side, shape):
    crowd = portraits.crowd()
    made = whole(files.png(crowd), LIMITS, side)
    assert made.shape == shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, cv2.resize(crowd, shape[1::-1], interpolation=cv2.INTER_AREA))


def test_fine_texture_of_a_whole_photograph_becomes_flat_grey():
    y, x = np.mgrid[:400, :600]
    image = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert np.abs(whole(files.png(image), LIMITS, 150).astype(int) - 127.5).max() < 1


@pytest.mark.parametrize(("side", "pixels"), [(100, 225), (225, 225), (450, 450), (700, 900), (1000, 1800)])
def test_no_more_of_a_jpeg_is_decoded_than_the_side(large, decoded, side, pixels):
    made = whole(large, LIMITS, side)
    assert decoded == [(pixels, pixels, 3)]
    assert made.shape == (side, side, 3)
    image = decode_image(large, LIMITS).pixels
    assert levels(made, cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)) < 1.5


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
def test_a_whole_photograph_stands_upright(orientation):
    upright = portraits.head()[:240]
    made = whole(files.sideways_png(upright, orientation), LIMITS, 150)
    np.testing.assert_array_equal(made, whole(files.png(upright), LIMITS, 150))
    assert made.shape == (120, 150, 3)


def test_a_whole_photograph_has_no_more_than_the_working_side(large):
    assert whole(large, DecodeLimits(max_side=600), 1500).shape == (600, 600, 3)


@pytest.mark.parametrize("shape", [(33, 2000), (2000, 33), (32, 32)])
def test_the_thinnest_photographs_keep_a_pixel(shape):
    made = whole(files.png(np.full((*shape, 3), 77, np.uint8)), LIMITS, 16)
    assert max(made.shape) == 16
    assert min(made.shape[:2]) >= 1
    assert (made == 77).all()


# --- both ----------------------------------------------------------------------------------------------------


def test_every_decoding_waits_at_the_gate(large):
    class Gate:
        entered = 0

        def __enter__(self):
            self.entered += 1

        def __exit__(self, *_):
            self.entered += 10

    for work in (
        lambda gate: cut(large, LIMITS, by_hand(6), 512, gate=gate),
        lambda gate: whole(large, LIMITS, 90, gate=gate),
    ):
        gate = Gate()
        work(gate)
        assert gate.entered == 11
    gate = threading.BoundedSemaphore(1)
    with pytest.raises(ImageCorrupt):
        cut(large[:-20000], LIMITS, by_hand(6), 512, gate=gate)
    assert gate.acquire(blocking=False)
