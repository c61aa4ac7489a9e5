import math
import pickle
from dataclasses import astuple

import cv2
import files
import numpy as np
import portraits
import pytest

from facemix.errors import FacePlacementInvalid, FaceTooBlurred, FaceTooSmall, ImageCorrupt
from facemix.faces.align import TEMPLATE, Alignment, apply
from facemix.faces.finder import eye_distance, roll_degrees
from facemix.faces.look import look
from facemix.faces.placed import LEAST_ANGLE, MARGIN, Placed
from facemix.imaging.decode import DecodeLimits, Photograph

LIMITS = DecodeLimits(max_side=4096)
UPRIGHT = Placed((80.0, 90.0), (120.0, 90.0), (100.0, 128.0))
CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


class NoFinder:
    """Nobody looks for faces where one was placed."""

    def find(self, photo):
        raise AssertionError("a face was looked for")


def by_hand(landmarks):
    """What a person with a steady hand would place."""
    mouth = (landmarks[3] + landmarks[4]) / 2
    return Placed(*(tuple(map(float, point)) for point in (landmarks[0], landmarks[1], mouth)))


def moved(placed, matrix):
    return Placed(*(tuple(point) for point in apply(matrix, np.array(astuple(placed))).tolist()))


def turned(placed, degrees):
    """About the middle of a photograph of 200 x 200 pixels."""
    return moved(placed, cv2.getRotationMatrix2D((100, 100), -degrees, 1))


def seen(pixels, placed, size=128, **options):
    (found,) = look(files.png(pixels), LIMITS, NoFinder(), size, placed=placed, **options).faces
    return found


# --- what is estimated -------------------------------------------------------------------------------------


def test_points_of_the_template_come_to_lie_where_the_template_has_them():
    points = TEMPLATE * 300 + 40
    landmarks = Placed(*map(tuple, (points[0], points[1], points[2:].mean(0)))).landmarks()
    assert landmarks.shape == (5, 2)
    np.testing.assert_allclose(landmarks[[0, 1, 3, 4]], points, atol=1e-3)
    np.testing.assert_allclose(Alignment.from_landmarks(landmarks, 300).matrix, [[1, 0, -40], [0, 1, -40]], atol=1e-3)
    assert landmarks[2, 0] == pytest.approx(points[:, 0].mean(), abs=1e-3)
    assert points[0, 1] < landmarks[2, 1] < points[2, 1]


@pytest.mark.parametrize("degrees", [-179, -120, -90, -30, 0, 15, 90, 179, 180])
def test_a_leaning_face_has_the_landmarks_of_the_upright_one_turned(degrees):
    leaning = turned(UPRIGHT, degrees)
    landmarks = leaning.checked(200, 200).landmarks()
    back = cv2.getRotationMatrix2D((100, 100), degrees, 1)
    np.testing.assert_allclose(apply(back, landmarks), UPRIGHT.landmarks(), atol=1e-3)
    assert math.cos(math.radians(roll_degrees(landmarks) - degrees)) == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0, 90, 137, 180])
def test_it_makes_no_difference_which_eye_is_given_first(degrees):
    """Left in the picture is another eye when a face stands on its head, but the mouth tells the two apart."""
    face = turned(UPRIGHT, degrees)
    other = Placed(face.right_eye, face.left_eye, face.mouth)
    np.testing.assert_array_equal(face.landmarks(), other.checked(200, 200).landmarks())


def test_the_crop_is_no_mirror_image():
    for degrees in range(0, 360, 30):
        alignment = Alignment.from_landmarks(turned(UPRIGHT, degrees).landmarks(), 64)
        assert np.linalg.det(alignment.matrix[:, :2]) > 0
        eyes = apply(alignment.matrix, turned(UPRIGHT, degrees).landmarks()[:2])
        assert eyes[0, 0] < eyes[1, 0]


def test_a_mouth_to_the_side_is_followed_by_its_corners_and_the_nose():
    landmarks = Placed((80, 90), (120, 90), (110, 128)).landmarks()
    np.testing.assert_allclose(landmarks[3:].mean(0), [110, 128], atol=1e-4)
    np.testing.assert_allclose(landmarks[3:, 1], 128, atol=1e-4)
    assert 100 < landmarks[2, 0] < 110


@pytest.mark.parametrize("turns", range(4))
def test_the_box_is_about_where_the_detector_has_it(finder, turns):
    (found,) = finder.find(np.rot90(portraits.head(), turns).copy())
    estimated = by_hand(found.landmarks).face()
    assert np.abs(np.array(estimated.box) - found.box).max() < 0.3 * eye_distance(found)
    assert estimated.size == pytest.approx(found.size, rel=0.15)


def test_the_box_of_a_leaning_face_is_no_larger_than_that_of_the_upright_one():
    for degrees in range(0, 360, 15):
        x0, y0, x1, y1 = turned(UPRIGHT, degrees).face().box
        assert (x1 - x0) * (y1 - y0) == pytest.approx(UPRIGHT.face().size ** 2, rel=0.01)
        points = turned(UPRIGHT, degrees).landmarks()
        assert (points > [x0, y0]).all()
        assert (points < [x1, y1]).all()


# --- in a photograph ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(4))
def test_the_crop_is_nearly_that_of_the_face_that_is_found(finder, turns):
    photo = np.rot90(portraits.head(), turns).copy()
    (found,) = look(files.png(photo), LIMITS, finder, 128).faces
    placed = seen(photo, by_hand(found.face.landmarks))
    aligned = [Alignment.from_landmarks(one.face.landmarks, 128) for one in (found, placed)]
    inside = apply(aligned[0].inverse, CORNERS * 128)
    assert np.abs(apply(aligned[1].matrix, inside) - CORNERS * 128).max() < 3
    assert np.abs(placed.crop.astype(int) - found.crop).mean() < 6
    assert placed.index == found.index == 0
    assert placed.refusal is None


def test_the_crop_of_points_placed_by_eye_is_near_enough(finder):
    (found,) = look(files.png(portraits.portrait()), LIMITS, finder, 128).faces
    placed = seen(portraits.portrait(), by_hand(portraits.LANDMARKS))
    assert np.abs(placed.crop.astype(int) - found.crop).mean() < 6


def test_what_is_not_known_of_a_placed_face_is_not_made_up(finder):
    (found,) = look(files.png(portraits.head()), LIMITS, finder, 128).faces
    placed = seen(portraits.head(), by_hand(found.face.landmarks))
    assert math.isnan(placed.face.score)
    assert math.isnan(placed.quality.score)
    assert math.isnan(placed.quality.yaw)
    assert placed.quality.face_pixels == pytest.approx(found.quality.face_pixels, rel=0.01)
    assert placed.quality.roll == pytest.approx(found.quality.roll, abs=0.1)
    assert placed.quality.sharpness == pytest.approx(found.quality.sharpness, rel=0.2)


def test_a_face_that_is_not_found_can_be_placed(finder):
    """A cat's will do."""
    photo = portraits.cat()
    assert finder.find(photo) == []
    found = seen(photo, Placed((178, 108), (238, 110), (206, 160)))
    assert found.crop.shape == (128, 128, 3)
    assert found.refusal is None


def test_the_gates_close_on_a_placed_face_as_well():
    small = seen(portraits.portrait(), Placed((200, 100), (210, 100), (205, 109)))
    assert isinstance(small.refusal, FaceTooSmall)
    flat = seen(np.full((200, 200, 3), 90, np.uint8), UPRIGHT)
    assert isinstance(flat.refusal, FaceTooBlurred)
    warned = seen(portraits.portrait() // 8, by_hand(portraits.LANDMARKS))
    assert "face_dark" in dict(warned.quality.warnings)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_coordinates_are_of_the_upright_photograph(orientation):
    photo = portraits.head()[:240]
    placed = by_hand(portraits.LANDMARKS - [80, 0])
    expected = seen(photo, placed)
    data = files.sideways_png(photo, orientation)
    stored = look(data, LIMITS, NoFinder(), 128, placed=placed)
    assert (stored.width, stored.height) == (300, 240)
    np.testing.assert_array_equal(stored.faces[0].crop, expected.crop)
    np.testing.assert_array_equal(stored.faces[0].face.landmarks, expected.face.landmarks)


def test_coordinates_are_of_the_file_however_far_it_is_reduced():
    photo = cv2.resize(portraits.head(), (1800, 1500), interpolation=cv2.INTER_CUBIC)
    placed = by_hand((portraits.LANDMARKS - [80, 0]) * [6, 5])
    whole, reduced = (
        look(files.sideways_png(photo, 6), DecodeLimits(max_side=side), NoFinder(), 64, placed=placed)
        for side in (None, 600)
    )
    assert (whole.width, whole.height) == (reduced.width, reduced.height) == (1800, 1500)
    (one,), (other,) = whole.faces, reduced.faces
    np.testing.assert_allclose(other.face.landmarks, one.face.landmarks, atol=0.01)
    np.testing.assert_allclose(other.face.box, one.face.box, atol=0.05)
    assert np.abs(one.crop.astype(int) - other.crop).mean() < 3
    # What there was to work with, which the gates are about.
    assert other.quality.face_pixels == pytest.approx(one.quality.face_pixels / 3, rel=0.01)


def test_no_more_is_decoded_than_the_crop_needs(monkeypatch):
    decoded = []
    original = Photograph.pixels

    def pixels(self, side=float("inf")):
        decoded.append(original(self, side))
        return decoded[-1]

    monkeypatch.setattr(Photograph, "pixels", pixels)
    large = files.jpeg(cv2.resize(portraits.head(), (2400, 2400)))
    placed = by_hand((portraits.LANDMARKS - [80, 0]) * 8)
    (found,) = look(large, LIMITS, NoFinder(), 64, placed=placed).faces
    assert [image.shape for image in decoded] == [(300, 300, 3)]
    monkeypatch.undo()
    whole = Alignment.from_landmarks(found.face.landmarks, 64).crop(cv2.resize(portraits.head(), (2400, 2400)))
    assert np.abs(found.crop.astype(int) - whole).mean() < 2


def test_bytes_that_are_no_photograph_are_refused_as_ever():
    with pytest.raises(ImageCorrupt) as caught:
        look(files.jpeg(portraits.head())[:5000], LIMITS, NoFinder(), 64, placed=UPRIGHT, where="face_a")
    assert caught.value.where == "face_a"


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["left_eye", "right_eye", "mouth"])
@pytest.mark.parametrize("axis", [0, 1])
def test_points_that_are_nowhere_are_refused(value, name, axis):
    points = {"left_eye": (80.0, 90.0), "right_eye": (120.0, 90.0), "mouth": (100.0, 128.0)}
    point = list(points[name])
    point[axis] = value
    with pytest.raises(FacePlacementInvalid, match="the " + name.replace("_", " ")) as caught:
        Placed(**{**points, name: tuple(point)}).checked(200, 200)
    assert str(value) in caught.value.message


@pytest.mark.parametrize(
    ("far", "shown"),
    [((-11, 90), "(-11, 90)"), ((80, -10.5), "(80, -10.5)"), ((1e308, -1e308), "1e+308"), ((-1e6, 5), "-1e+06")],
)
def test_points_outside_are_refused_with_their_place_and_the_size(far, shown):
    with pytest.raises(FacePlacementInvalid) as caught:
        Placed(far, (120, 90), (100, 128)).checked(200, 150)
    error = caught.value
    assert shown in error.message
    assert "200 x 150" in error.message
    assert error.details["left_eye"] == list(far)
    assert (error.details["width"], error.details["height"]) == (200, 150)
    assert (error.status, error.code) == (422, "face_placement_invalid")


def test_a_face_may_be_cut_by_the_edge():
    margin = MARGIN * 200
    Placed((-margin, 90), (60, 90), (20, 150 + margin)).checked(200, 150)
    for outside in ((-margin - 0.1, 90), (20, 150 + margin + 0.1)):
        with pytest.raises(FacePlacementInvalid, match="outside"):
            Placed(outside, (60, 90), (20, 20)).checked(200, 150)
    cut = seen(portraits.head()[:, 130:], by_hand(portraits.LANDMARKS - [210, 0]))
    assert cut.crop.shape == (128, 128, 3)


@pytest.mark.parametrize(
    "points",
    [
        ((50, 50), (50, 50), (60, 90)),
        ((50, 50), (90, 50), (50.5, 50.5)),
        ((50, 50), (90, 50), (90, 50)),
        ((50, 50), (50, 50), (50, 50)),
    ],
)
def test_points_in_one_place_are_refused(points):
    with pytest.raises(FacePlacementInvalid, match="pixels apart, at"):
        Placed(*points).checked(200, 200)


@pytest.mark.parametrize("degrees", [0, 33, 90, 180])
@pytest.mark.parametrize(
    ("eyes_apart", "mouth"),
    [(40, (100, 90)), (40, (100, 94)), (40, (100, 86)), (40, (140, 90)), (40, (190, 99)), (20, (100, 190))],
)
def test_points_nearly_in_line_are_refused(eyes_apart, mouth, degrees):
    placed = Placed((100 - eyes_apart / 2, 90), (100 + eyes_apart / 2, 90), mouth)
    with pytest.raises(FacePlacementInvalid, match="in line") as caught:
        turned(placed, degrees).checked(200, 200)
    assert f"{LEAST_ANGLE:.0f} are needed" in caught.value.message


@pytest.mark.parametrize("degrees", [-60, 0, 60])
def test_a_head_that_is_turned_far_is_not_in_line(degrees):
    across = math.cos(math.radians(degrees))
    Placed((100 - 20 * across, 90), (100 + 20 * across, 90), (100 + degrees / 10, 128)).checked(200, 200)


def test_a_refusal_says_which_input_it_is_about():
    with pytest.raises(FacePlacementInvalid) as caught:
        seen(portraits.head(), Placed((10, 10), (10, 10), (20, 30)), where="parents.1")
    assert caught.value.where == "parents.1"


def test_a_photograph_is_not_decoded_for_a_refusal(monkeypatch):
    monkeypatch.setattr(Photograph, "pixels", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FacePlacementInvalid, match="outside the photo of 512 x 512"):
        seen(portraits.portrait(), Placed((10, 10), (2000, 10), (20, 30)))


def test_it_can_be_a_key_and_sent_to_a_process():
    assert pickle.loads(pickle.dumps(UPRIGHT)) == UPRIGHT
    assert len({UPRIGHT, Placed((80, 90), (120, 90), (100, 128)), turned(UPRIGHT, 3)}) == 2
