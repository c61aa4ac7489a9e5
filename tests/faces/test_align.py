import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.faces.align import DETAIL, TEMPLATE, Alignment, apply, native_side, similarity

# An upright face with eyes 44 pixels apart.
FACE = np.array([[203, 102], [247, 104], [226, 126], [207, 144], [243, 145]], np.float64)
angles = st.floats(-180, 180)
scales = st.floats(0.02, 50)
shifts = st.floats(-5000, 5000)


def transform_of(angle, scale, x, y):
    cos, sin = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return np.array([[cos, -sin, x], [sin, cos, y]])


def turned(points, degrees, centre=(256, 256)):
    matrix = transform_of(degrees, 1, 0, 0)
    return apply(matrix, np.asarray(points) - centre) + centre


def dotted(points, shape, radius=1.5):
    """A black picture with a soft white dot at each point; continuous coordinates, pixel centres at halves."""
    height, width = shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    light = np.zeros(shape)
    for px, py in points:
        light = np.maximum(light, np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2)))
    return np.repeat((light[..., None] * 255).round().astype(np.uint8), 3, axis=2)


def centroid(crop, place, reach):
    """Centre of the light within `reach` pixels of a place, in continuous coordinates."""
    light = crop.mean(2)
    x, y = np.meshgrid(np.arange(crop.shape[1]) + 0.5, np.arange(crop.shape[0]) + 0.5)
    light = np.where(np.hypot(x - place[0], y - place[1]) <= reach, light, 0)
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


@given(angle=angles, scale=scales, x=shifts, y=shifts)
def test_a_known_similarity_is_recovered(angle, scale, x, y):
    expected = transform_of(angle, scale, x, y)
    np.testing.assert_allclose(similarity(FACE, apply(expected, FACE)), expected, rtol=1e-7, atol=1e-6)


@given(angle=angles, scale=scales, x=shifts, y=shifts, noise=st.integers(0, 2**32 - 1))
def test_no_other_similarity_fits_better(angle, scale, x, y, noise):
    """Least squares: whatever small change of the result brings the points further apart."""
    generator = np.random.default_rng(noise)
    target = apply(transform_of(angle, scale, x, y), FACE) + generator.normal(0, 5 * scale, FACE.shape)
    found = similarity(FACE, target)

    def error(matrix):
        return ((apply(matrix, FACE) - target) ** 2).sum()

    for change in ((0.01, 0, 0, 0), (0, 0.01, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)):
        for sign in (1, -1):
            a, b, dx, dy = sign * scale * np.array(change)
            assert error(found + np.array([[a, -b, dx], [b, a, dy]])) >= error(found)


def test_a_mirror_image_is_not_mirrored_back():
    mirrored = FACE * [-1, 1]
    linear = similarity(FACE, mirrored)[:, :2]
    assert np.linalg.det(linear) >= 0


@pytest.mark.parametrize("points", [np.full((4, 2), 7.0), np.full((4, 2), np.nan), np.full((4, 2), np.inf)])
def test_points_without_a_spread_define_nothing(points):
    with pytest.raises(ValueError, match="no transform is defined"):
        similarity(points, TEMPLATE)


def test_coincident_landmarks_define_no_alignment():
    with pytest.raises(ValueError, match="coincide"):
        Alignment.from_landmarks(np.full((5, 2), 30.0), 128)


@given(angle=angles, scale=scales, x=shifts, y=shifts, size=st.integers(16, 512))
def test_the_inverse_leads_back(angle, scale, x, y, size):
    landmarks = apply(transform_of(angle, scale, x, y), FACE)
    alignment = Alignment.from_landmarks(landmarks, size)
    there = apply(alignment.matrix, landmarks)
    np.testing.assert_allclose(apply(alignment.inverse, there), landmarks, rtol=1e-6, atol=1e-4)
    assert alignment.scale == pytest.approx(1 / np.hypot(*alignment.inverse[:, 0]), rel=1e-6)


@given(size=st.integers(16, 512), other=st.integers(16, 512))
def test_another_size_is_the_same_view(size, other):
    resized = Alignment.from_landmarks(FACE, size).resized(other)
    np.testing.assert_allclose(resized.matrix, Alignment.from_landmarks(FACE, other).matrix, rtol=1e-9, atol=1e-7)
    assert resized.size == other


@given(angle=angles, scale=scales, x=shifts, y=shifts)
def test_the_native_side_is_that_of_the_square_that_the_crop_covers(angle, scale, x, y):
    landmarks = apply(transform_of(angle, scale, x, y), FACE)
    corners = apply(Alignment.from_landmarks(landmarks, 100).inverse, np.array([[0, 0], [100, 0], [100, 100]]))
    sides = np.hypot(*np.diff(corners, axis=0).T)
    np.testing.assert_allclose(sides, native_side(landmarks), rtol=1e-6)
    native = native_side(landmarks)
    assert Alignment.from_landmarks(landmarks, round(native) or 1).scale == pytest.approx((round(native) or 1) / native)


def test_coincident_landmarks_have_no_native_side():
    with pytest.raises(ValueError, match="coincide"):
        native_side(np.full((5, 2), 30.0))


def test_the_nose_has_no_say():
    moved = FACE.copy()
    moved[2] += [20, -5]
    assert np.array_equal(Alignment.from_landmarks(moved, 64).matrix, Alignment.from_landmarks(FACE, 64).matrix)


@pytest.mark.parametrize("degrees", [0, 33, -90, 170])
@pytest.mark.parametrize(("size", "zoom"), [(64, 1.0), (128, 1.0), (128, 0.74), (200, 0.5), (320, 1.2)])
def test_eyes_and_mouth_come_to_their_places(size, zoom, degrees):
    # A face that is exactly the template, of 110 pixels, so that no residual hides an error of half a pixel.
    face = TEMPLATE * 110 + [200.3, 190.8]
    face = turned(np.insert(face, 2, face.mean(0), axis=0), degrees)
    alignment = Alignment.from_landmarks(face, size, zoom=zoom)
    crop = alignment.crop(dotted(face[[0, 1, 3, 4]], (512, 512)))
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    for place in ((TEMPLATE - 0.5) * zoom + 0.5) * size:
        assert np.abs(centroid(crop, place, 7 * alignment.scale) - place).max() < 0.6


def test_the_left_stays_left(astronaut):
    crop = Alignment.from_landmarks(FACE, 128).crop(astronaut)
    image = astronaut[60:170, 170:280]
    small = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA).astype(float)
    likeness = [np.corrcoef(crop.mean(2).ravel(), other.mean(2).ravel())[0, 1] for other in (small, small[:, ::-1])]
    assert likeness[0] > likeness[1]


@pytest.mark.parametrize("pattern", ["checkerboard", "stripes", "rows"])
@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_fine_texture_of_a_large_photograph_becomes_flat_grey(pattern, degrees):
    y, x = np.mgrid[:1600, :1600]
    light = {"checkerboard": (x + y) % 2, "stripes": x % 2, "rows": y % 2}[pattern] * 255
    image = np.repeat(light[..., None].astype(np.uint8), 3, axis=2)
    face = turned(FACE * 5 - [350, 0], degrees, (800, 600))
    crop = Alignment.from_landmarks(face, 64).crop(image)
    assert np.abs(crop.astype(int) - 127.5).max() < 6


@pytest.mark.parametrize("size", [16, 64, 300])
def test_a_constant_photograph_stays_constant(size):
    image = np.full((300, 400, 3), (10, 120, 250), np.uint8)
    assert (Alignment.from_landmarks(FACE, size).crop(image) == (10, 120, 250)).all()


@pytest.mark.parametrize("shift", [(-203, -100), (200, 0), (0, 220), (-600, 0), (0, 4000), (-230, -120)])
def test_what_lies_outside_is_the_mirrored_edge_or_black(shift):
    image = np.full((256, 256, 3), 200, np.uint8)
    alignment = Alignment.from_landmarks(FACE + shift, 96)
    assert (alignment.crop(image) == 200).all()
    corners = apply(alignment.inverse, np.array([[0, 0], [96, 0], [0, 96], [96, 96]]))
    black = alignment.crop(image, outside="black")
    inside = apply(alignment.inverse, np.stack(np.meshgrid(*[np.arange(96) + 0.5] * 2), -1).reshape(-1, 2))
    distance = np.minimum(inside, 256 - inside).min(1).reshape(96, 96)  # from the edge, inwards
    assert (black[distance > 2] == 200).all()
    assert (black[distance < -2] == 0).all()
    assert (corners < 0).any() or (corners > 256).any()


def test_the_edge_is_mirrored_where_the_photograph_ends():
    image = np.zeros((300, 300, 3), np.uint8)
    image[:, :, 0] = np.minimum(np.arange(300), 255)[None, :]  # red grows to the right, from the left edge
    crop = Alignment.from_landmarks(FACE - [215, 0], 110).crop(image).astype(int)
    alignment = Alignment.from_landmarks(FACE - [215, 0], 110)
    row = np.stack([np.arange(110) + 0.5, np.full(110, 55.5)], axis=1)
    expected = np.abs(apply(alignment.inverse, row)[:, 0])
    assert np.abs(crop[55, :, 0] - expected).max() < 2.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 3)])
def test_the_thinnest_photographs_do_no_harm(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    for size in (16, 128):
        assert (Alignment.from_landmarks(FACE, size).crop(image) == 77).all()


def test_a_large_face_is_cut_like_the_same_face_reduced(astronaut):
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    from_small = Alignment.from_landmarks(FACE, 64).crop(astronaut).astype(int)
    from_large = Alignment.from_landmarks(FACE * 4, 64).crop(large).astype(int)
    assert np.abs(from_small - from_large).mean() < 1.5


def test_the_photograph_is_not_changed(astronaut):
    before = astronaut.copy()
    Alignment.from_landmarks(FACE, 128).crop(astronaut)  # read-only: writing would also raise
    assert np.array_equal(astronaut, before)


def test_a_crop_of_a_photograph_asks_for_the_pixels_it_needs(astronaut):
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)

    class Asked:
        width = height = 2048

        def pixels(self, side):
            self.side = side
            return astronaut if side <= 512 else large

    photo, alignment = Asked(), Alignment.from_landmarks(FACE * 4, 64)
    crop = alignment.crop_of(photo)
    assert photo.side == alignment.needed(photo) == pytest.approx(2048 * alignment.scale * DETAIL)
    assert np.array_equal(crop, Alignment.from_landmarks(FACE, 64).crop(astronaut))
    assert np.abs(crop.astype(int) - alignment.crop(large)).mean() < 1.5
    alignment.resized(256).crop_of(photo)
    assert photo.side > 512
    alignment.crop_of(photo, detail=float("inf"))
    assert photo.side == 2048
