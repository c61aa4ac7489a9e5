import cv2
import numpy as np
import pytest
from skimage import data

from facemix.faces import finder as module
from facemix.faces.align import TEMPLATE
from facemix.faces.finder import ACCEPT, MAX_FACES, THOROUGH, FaceFinder, Search, eye_distance, roll_degrees
from facemix.faces.types import Face

EYES = np.array([[203, 102], [247, 104]])


@pytest.fixture(scope="module")
def upright(finder, astronaut):
    (face,) = finder.find(astronaut)
    return face


def test_the_astronaut_is_found_once(upright):
    assert upright.score >= module.SURE
    assert np.abs(upright.landmarks[:2] - EYES).max() < 4
    assert upright.landmarks.dtype == np.float32
    assert abs(roll_degrees(upright.landmarks)) < 10


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photograph_on_its_side_or_head(finder, astronaut, upright, turns):
    (face,) = finder.find(np.ascontiguousarray(np.rot90(astronaut, turns)))
    points = face.landmarks.astype(float) - 256
    for _ in range(turns):  # undo the counter-clockwise quarter turns: (x, y) -> (-y, x) about the middle
        points = np.stack([-points[:, 1], points[:, 0]], axis=1)
    assert np.linalg.norm(points + 256 - upright.landmarks, axis=1).max() < 3
    corners = np.array(face.box).reshape(2, 2)
    assert (face.landmarks > corners.min(0)).all()
    assert (face.landmarks < corners.max(0)).all()


@pytest.mark.parametrize("turns", [1, 3])
def test_a_photograph_on_its_side_that_is_not_square(finder, astronaut, upright, turns):
    image = astronaut[:300]
    (face,) = finder.find(np.ascontiguousarray(np.rot90(image, turns)))
    x, y = face.landmarks.astype(float).T
    undone = np.stack([512 - y, x] if turns == 1 else [y, 300 - x], axis=1)
    assert np.linalg.norm(undone - upright.landmarks, axis=1).max() < 3


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_leaning_head(finder, astronaut, upright, degrees):
    matrix = cv2.getRotationMatrix2D((225, 120), -degrees, 1)
    image = cv2.warpAffine(astronaut, matrix, (512, 512))
    (face,) = finder.find(image)
    expected = upright.landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(face.landmarks - expected, axis=1).max() < 4
    # Positive is clockwise as seen.
    assert roll_degrees(face.landmarks) - roll_degrees(upright.landmarks) == pytest.approx(degrees, abs=5)


def test_a_small_face_in_a_large_photograph(finder, astronaut):
    canvas = np.full((3000, 4000, 3), 110, np.uint8)
    head = astronaut[:256, 96:352]
    canvas[2000:2256, 3000:3256] = head
    (face,) = finder.find(canvas)
    assert np.abs(face.landmarks[:2] - (EYES - [96, 0] + [3000, 2000])).max() < 4


def test_a_face_that_fills_its_frame(finder, astronaut):
    (face,) = finder.find(np.ascontiguousarray(astronaut[70:170, 180:275]))
    assert np.abs(face.landmarks[:2] - (EYES - [180, 70])).max() < 4


def test_an_enlarged_face(finder, astronaut, upright):
    (face,) = finder.find(cv2.resize(astronaut, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    assert np.linalg.norm(face.landmarks / 3 - upright.landmarks, axis=1).max() < 2


def test_faces_come_largest_first(finder, astronaut):
    head = astronaut[20:220, 120:320]
    image = np.full((420, 700, 3), 110, np.uint8)
    image[100:300, 20:220] = head
    image[20:380, 320:680] = cv2.resize(head, (360, 360), interpolation=cv2.INTER_CUBIC)
    large, small = finder.find(image)
    assert large.size > small.size
    eyes = EYES - [120, 20]
    assert np.abs(large.landmarks[:2] - (eyes * 1.8 + [320, 20])).max() < 6
    assert np.abs(small.landmarks[:2] - (eyes + np.array([20, 100]))).max() < 4


@pytest.mark.parametrize("name", ["cat", "coffee", "rocket"])
def test_no_face_where_there_is_none(finder, name):
    assert finder.find(getattr(data, name)()) == []


@pytest.mark.parametrize("level", [0, 128, 255])
def test_no_face_in_a_flat_picture(finder, level):
    assert finder.find(np.full((240, 320, 3), level, np.uint8)) == []


@pytest.mark.parametrize("shape", [(32, 32), (1, 1), (32, 2000), (2000, 32)])
def test_the_oddest_shapes_do_no_harm(finder, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert finder.find(noise) == []


def test_no_face_in_noise(finder):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert finder.find(noise) == []


# --- with detectors of our own: what the finder makes of their answers -------------------------------------


def face_at(x, y, eyes=40.0, score=0.9):
    """An upright frontal face whose middle is at (x, y)."""
    side = eyes / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    points = (np.insert(TEMPLATE, 2, [0.5, 0.52], axis=0) - 0.5) * side + [x, y]
    half = side * 0.5
    return Face((x - half, y - half, x + half, y + half), points.astype(np.float32), score)


class Marks:
    """A detector that takes every white blob for a face, as large as the blob."""

    def __init__(self, score=0.9):
        self.calls = 0
        self.score = score

    def detect(self, image):
        self.calls += 1
        white = (image.mean(2) > 128).astype(np.uint8)
        count, _, stats, centres = cv2.connectedComponentsWithStats(white)
        found = []
        for index in range(1, count):
            width = stats[index, cv2.CC_STAT_WIDTH]
            if width >= 4:
                # Continuous coordinates: the centre of the first pixel is at a half.
                found.append(face_at(*(centres[index] + 0.5), eyes=float(width), score=self.score))
        return found


def with_marks(*places, shape=(400, 500)):
    image = np.zeros((*shape, 3), np.uint8)
    for x, y, radius in places:
        cv2.circle(image, (x, y), radius, (255, 255, 255), -1)
    return image


def test_any_detector_will_do():
    detector = Marks()
    (face,) = FaceFinder(detector).find(with_marks((120, 200, 20)))
    assert np.linalg.norm(face.landmarks[[0, 1, 3, 4]].mean(0) - np.array([120.5, 200.5])) < 1.5
    assert face.score == pytest.approx(0.9)


def test_nothing_found_is_an_empty_list_after_every_view():
    detector = Marks()
    assert FaceFinder(detector).find(np.zeros((300, 1000, 3), np.uint8)) == []
    assert detector.calls > 4  # the turned and the larger views were tried too


def test_a_sure_face_ends_the_search():
    sure, unsure = Marks(score=0.9), Marks(score=(module.SURE + ACCEPT) / 2)
    image = with_marks((120, 200, 20))
    assert len(FaceFinder(sure).find(image)) == len(FaceFinder(unsure).find(image)) == 1
    assert sure.calls < unsure.calls


def test_a_face_below_the_threshold_is_not_believed():
    assert FaceFinder(Marks(score=ACCEPT - 0.01)).find(with_marks((120, 200, 20))) == []


def test_at_most_so_many_faces_and_the_largest_of_them():
    places = [(60 + 110 * (i % 6), 60 + 110 * (i // 6), 8 + i) for i in range(18)]
    faces = FaceFinder(Marks()).find(with_marks(*places, shape=(400, 720)))
    assert len(faces) == MAX_FACES
    sizes = [face.size for face in faces]
    assert sizes == sorted(sizes, reverse=True)


def test_a_face_that_only_one_side_of_the_mirror_shows_is_none():
    class OneSided(Marks):
        """Sees faces only where red, green and blue go round clockwise, which no rotation changes."""

        def detect(self, image):
            vivid = image.max(2).astype(int) - image.min(2) > 90
            red, green, blue = (np.argwhere(vivid & (image.argmax(2) == i)).mean(0) for i in range(3))
            (dy, dx), (ey, ex) = green - red, blue - green
            return super().detect(image) if dx * ey - dy * ex > 0 else []

    image = with_marks((120, 200, 20))
    for (x, y), colour in zip(((120, 150), (165, 225), (75, 225)), np.eye(3) * 255, strict=True):
        cv2.circle(image, (x, y), 6, colour.tolist(), -1)
    assert OneSided().detect(image) != []
    assert FaceFinder(Marks()).find(image) != []
    assert FaceFinder(OneSided()).find(image) == []


def test_landmarks_that_coincide_are_no_face():
    class Point:
        def detect(self, image):
            return [Face((10, 10, 50, 50), np.full((5, 2), 30, np.float32), 0.99)]

    assert FaceFinder(Point()).find(np.zeros((100, 100, 3), np.uint8)) == []


@pytest.mark.parametrize("degrees", [0, 30, 90, 179, -45, -135])
def test_roll_is_the_angle_from_the_eyes_to_the_mouth(degrees):
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert roll_degrees(face_at(0, 0).landmarks @ matrix.T) == pytest.approx(degrees, abs=1e-3)


# --- what is not looked at ---------------------------------------------------------------------------------


class Shapes(Marks):
    """Remembers how large the views were; sees no face with eyes closer than 12 pixels."""

    def __init__(self):
        super().__init__()
        self.views = []

    def detect(self, image):
        self.views.append(max(image.shape[:2]))
        return [face for face in super().detect(image) if eye_distance(face) >= 12]


QUICK = Search()


def views_of(image, search=QUICK):
    """The views of the whole photograph, without the looks at candidates, and what was found."""
    detector = Shapes()
    faces = FaceFinder(detector, search).find(image)
    return [side for side in detector.views if side >= 256], faces


def test_one_large_face_is_found_in_the_small_view_alone():
    views, faces = views_of(with_marks((400, 300, 60), shape=(600, 900)))
    assert len(faces) == 1
    assert views == [320]


def test_a_face_that_may_have_company_is_looked_at_in_the_large_view_too():
    views, faces = views_of(with_marks((400, 300, 30), (700, 300, 9), shape=(600, 900)))
    assert len(faces) == 2
    assert views == [320, 640]


def test_several_faces_are_a_group_and_looked_at_again_without_doubling_them():
    places = [(200, 300, 60), (600, 300, 55), (800, 500, 10)]
    views, faces = views_of(with_marks(*places, shape=(600, 900)))
    assert [round(eye_distance(face) / 10) for face in faces] == [12, 11, 2]
    assert views == [320, 640]


def test_in_a_small_photograph_nothing_worth_finding_is_missed_in_the_small_view():
    views, faces = views_of(with_marks((150, 150, 10), shape=(300, 370)))
    assert len(faces) == 1
    assert views == [320]


def test_the_thorough_search_begins_with_the_large_view():
    views, faces = views_of(with_marks((400, 300, 60), shape=(600, 900)), THOROUGH)
    assert len(faces) == 1
    assert views == [640]


def test_a_photograph_is_asked_for_no_more_pixels_than_are_looked_at(astronaut):
    class Asked:
        width = height = 512
        sides = ()

        def pixels(self, side):
            self.sides += (side,)
            return astronaut

    photo, whole = Asked(), Asked()
    detector = Marks()
    FaceFinder(detector).find(photo)
    FaceFinder(detector, THOROUGH).find(whole)
    assert photo.sides[0] == 320
    assert whole.sides[0] == 512


@pytest.mark.parametrize("factor", [2, 3])
def test_landmarks_do_not_depend_on_how_the_pixels_are_had(finder, astronaut, factor):
    large = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)

    class Reduced:
        width = height = 512 * factor

        def pixels(self, side):
            return astronaut if side <= 512 else large

    (found,), (expected,) = finder.find(Reduced()), finder.find(large)
    assert np.abs(found.landmarks - expected.landmarks).max() < 0.03 * eye_distance(expected)


def test_eyes_of_a_turned_head_count_by_their_distance_to_the_mouth():
    frontal = face_at(0, 0)
    turned = Face(frontal.box, frontal.landmarks * np.float32([0.4, 1]), 0.9)
    assert eye_distance(frontal) == pytest.approx(40, abs=0.1)
    assert eye_distance(turned) == pytest.approx(40, abs=0.5)
