import cv2
import numpy as np
import pytest

from facemix.faces.align import Alignment, apply
from facemix.faces.paste import mask_in, onto_blurred, onto_photo, onto_plain

LANDMARKS = np.array([[203, 103], [247, 104], [224, 125], [204, 143], [242, 145]], np.float64)


def aligned(side=128, landmarks=LANDMARKS):
    return Alignment.from_landmarks(landmarks, side)


def other(crop, *, shade=0.8):
    """A face that is somebody else's: the crop mirrored, of another complexion."""
    return np.clip(crop[:, ::-1] * [shade, shade, 1.0], 0, 255).astype(np.uint8)


def turned(image, landmarks, degrees):
    """The photograph, larger, with its face leaning, and where the landmarks come to lie."""
    matrix = cv2.getRotationMatrix2D((225, 120), degrees, 2.0)
    matrix[:, 2] += [75, 160]
    return cv2.warpAffine(image, matrix, (600, 500), flags=cv2.INTER_CUBIC), apply(matrix, landmarks)


@pytest.mark.parametrize("side", [64, 106, 128, 512])
@pytest.mark.parametrize("degrees", [0, 25])
def test_its_own_cut_leaves_the_photograph_as_it_was(astronaut, side, degrees):
    photo, landmarks = turned(astronaut, LANDMARKS, degrees) if degrees else (astronaut, LANDMARKS)
    alignment = aligned(side, landmarks)
    made = onto_photo(photo, alignment, alignment.crop(photo))
    assert np.abs(made.astype(int) - photo).max() <= 1


@pytest.mark.parametrize("side", [96, 256])
def test_outside_of_the_mask_nothing_changes(astronaut, side):
    photo, landmarks = turned(astronaut, LANDMARKS, -20)
    alignment = aligned(side, landmarks)
    given = photo.copy()
    made = onto_photo(photo, alignment, other(alignment.crop(photo)))
    np.testing.assert_array_equal(photo, given)
    mask = mask_in(photo.shape, alignment)
    np.testing.assert_array_equal(made[mask == 0], photo[mask == 0])
    assert np.abs(made[mask == 1].astype(int) - photo[mask == 1]).mean() > 5


def test_the_mask_ends_before_the_crop_does(astronaut):
    photo, landmarks = turned(astronaut, LANDMARKS, 35)
    alignment = aligned(100, landmarks)
    rows, columns = np.nonzero(mask_in(photo.shape, alignment))
    places = apply(alignment.matrix, np.stack([columns + 0.5, rows + 0.5], 1))
    assert places.min() > 1
    assert places.max() < 99
    # Eyes, nose and mouth are wholly the new face's.
    inner = apply(alignment.inverse, np.array([[29, 31], [71, 31], [50, 55], [33, 70], [67, 70]])).astype(int)
    assert mask_in(photo.shape, alignment)[inner[:, 1], inner[:, 0]].min() > 0.9


def test_a_face_at_the_edge_of_its_photograph_is_cut_off_there(astronaut):
    photo = np.ascontiguousarray(astronaut[110:200, 190:])
    alignment = aligned(128, LANDMARKS - [190, 110])
    assert np.abs(onto_photo(photo, alignment, alignment.crop(photo)).astype(int) - photo).max() <= 1
    made = onto_photo(photo, alignment, other(alignment.crop(photo)))
    assert made.shape == photo.shape
    assert (made[0, :50] != photo[0, :50]).any()
    assert onto_blurred(photo, alignment, other(alignment.crop(photo))).shape == photo.shape


def test_it_takes_the_light_of_the_photograph(astronaut):
    alignment = aligned()
    cut = alignment.crop(astronaut)
    yellow = np.clip(cut * [0.7, 0.65, 0.4], 0, 255).astype(np.uint8)
    made = onto_photo(astronaut, alignment, yellow)
    inside = mask_in(astronaut.shape, alignment) == 1
    before, after = (np.abs(alignment.crop(one).astype(int) - cut).mean() for one in (astronaut, made))
    assert before == 0
    assert after < 0.25 * np.abs(yellow.astype(int) - cut).mean()
    assert np.abs(made[inside].mean(0) - astronaut[inside].mean(0)).max() < 12


def test_light_from_one_side_stays_there(astronaut):
    """A face lit evenly comes into a photograph whose right half lies in shadow."""
    alignment = aligned()
    shade = np.interp(np.arange(512), [205, 245], [1, 0.45])[None, :, None]
    photo = np.rint(astronaut * shade).astype(np.uint8)
    made = onto_photo(photo, alignment, alignment.crop(astronaut)).astype(float)
    left, right = made[108:122, 205:215].mean(), made[108:122, 235:245].mean()
    assert right < 0.75 * left


def test_grain_of_the_photograph_is_added_and_is_the_same_each_time(astronaut):
    noise = np.random.default_rng(1).normal(0, 8, (512, 512, 1))
    large = cv2.resize(astronaut[50:200, 150:300], (512, 512), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(large + noise, 0, 255).astype(np.uint8)
    alignment = aligned(256, (LANDMARKS - [150, 50]) * 512 / 150)
    smooth = cv2.GaussianBlur(alignment.crop(large), (0, 0), 2)
    made = onto_photo(photo, alignment, smooth)
    np.testing.assert_array_equal(made, onto_photo(photo, alignment, smooth))
    assert (made != onto_photo(photo, alignment, smooth + np.uint8(smooth < 200))).any()
    inside = mask_in(photo.shape, alignment) == 1

    def grain(picture):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1))[inside])

    assert 0.6 < grain(made) / grain(photo) < 1.3
    assert grain(onto_photo(large, alignment, smooth)) < 0.3 * grain(photo), "where there is none, none comes"


def test_a_face_that_is_much_too_sharp_is_softened(astronaut):
    photo = cv2.GaussianBlur(astronaut, (0, 0), 2.0)
    alignment = aligned(106)

    def sharpness(picture):
        return cv2.Laplacian(alignment.crop(picture).mean(-1), cv2.CV_64F)[30:80, 30:80].std()

    made = onto_photo(photo, alignment, alignment.crop(astronaut)[:, ::-1].copy())
    assert sharpness(photo) < sharpness(made) < 0.75 * sharpness(astronaut)


def test_the_old_faces_contours_go_where_the_crop_is_small(astronaut):
    """A crop of 48 pixels cannot hold the photograph's fine contours; they must not stay over the new face."""
    photo, landmarks = turned(astronaut, LANDMARKS, 0)
    alignment = aligned(48, landmarks)
    made = onto_photo(photo, alignment, np.full((48, 48, 3), 150, np.uint8))
    x, y = apply(alignment.inverse, np.array([[24.0, 33.6]]))[0].astype(int)
    teeth = np.s_[y - 14 : y + 14, x - 30 : x + 30]
    # What is left of them is as faint as skin.
    assert made[teeth].mean(-1).std() < 0.35 * photo[teeth].mean(-1).std()


def test_around_the_head_it_is_blurred_and_the_head_is_not(astronaut):
    alignment = aligned()
    face = other(alignment.crop(astronaut))
    pasted, made = onto_photo(astronaut, alignment, face), onto_blurred(astronaut, alignment, face)
    # Face and hair.
    np.testing.assert_allclose(made[60:160, 190:260].astype(int), pasted[60:160, 190:260], atol=1)
    flag, blurred = (cv2.Laplacian(one[200:500, :120].mean(-1), cv2.CV_64F).std() for one in (astronaut, made))
    assert blurred < 0.1 * flag
    # No step anywhere that was none before.
    edges = [np.abs(np.diff(one.mean(-1), axis=0)).max() for one in (pasted, made)]
    assert edges[1] <= edges[0] + 1


def test_a_heads_colours_do_not_shine_around_it():
    photo = np.full((400, 400, 3), (30, 60, 200), np.uint8)
    landmarks = (LANDMARKS - [225, 123]) * 1.6 + [200, 190]
    alignment = aligned(128, landmarks)
    # Red as far as the oval is sharp, which is as a head would lie in it.
    y, x = np.mgrid[:400, :400] + 0.5
    places = apply(alignment.matrix, np.stack([x.ravel(), y.ravel()], 1)).reshape(400, 400, 2) / 128
    head = np.hypot((places[..., 0] - 0.5) / 0.58, (places[..., 1] - 0.32) / 0.62) < 1
    photo[head] = (230, 40, 30)
    made = onto_blurred(photo, alignment, alignment.crop(photo))
    around = ~head & (cv2.dilate(head.astype(np.uint8), np.ones((60, 60))) > 0)
    plain = cv2.GaussianBlur(photo, (0, 0), 0.065 * alignment.size / alignment.scale)
    shine, wanted = (np.abs(one[around].astype(int) - (30, 60, 200)).mean() for one in (plain, made))
    assert wanted < 0.1 * shine


@pytest.mark.parametrize("side", [64, 128, 200])
def test_a_plain_ground_is_of_its_colour_and_the_face_is_whole(astronaut, side):
    face = aligned(side).crop(astronaut)
    made = onto_plain(face, "#20a0E0")
    assert made.shape == face.shape
    for edge in (made[0], made[-1], made[:, 0], made[:, -1]):
        assert (np.abs(edge.astype(int) - (0x20, 0xA0, 0xE0)) <= 1).all()
    inner = np.s_[round(0.2 * side) : round(0.75 * side), round(0.3 * side) : round(0.7 * side)]
    np.testing.assert_array_equal(made[inner], face[inner])
    corner = made[: side // 10, : side // 10].reshape(-1, 3)
    assert (corner == (0x20, 0xA0, 0xE0)).all()


def test_no_step_lies_between_face_and_plain_ground():
    made = onto_plain(np.zeros((200, 200, 3), np.uint8), "#ffffff").astype(int)
    assert max(np.abs(np.diff(made, axis=axis)).max() for axis in (0, 1)) < 25


@pytest.mark.parametrize(
    ("whole", "face", "said"),
    [
        (np.zeros((50, 60), np.uint8), np.zeros((64, 64, 3), np.uint8), "the photograph must be"),
        (np.zeros((50, 60, 3), np.float32), np.zeros((64, 64, 3), np.uint8), "the photograph must be"),
        (np.zeros((50, 60, 3), np.uint8), np.zeros((64, 64, 4), np.uint8), "the face must be"),
        (np.zeros((50, 60, 3), np.uint8), np.zeros((0, 0, 3), np.uint8), "the face must be"),
        (np.zeros((50, 60, 3), np.uint8), np.zeros((64, 65, 3), np.uint8), "square"),
        (np.zeros((50, 60, 3), np.uint8), np.zeros((64, 64, 3), np.uint8), "outside of the photograph"),
    ],
)
@pytest.mark.parametrize("put", [onto_photo, onto_blurred])
def test_mistakes_of_the_program_are_said(put, whole, face, said):
    with pytest.raises(ValueError, match=said):
        put(whole, aligned(), face)


@pytest.mark.parametrize("colour", ["", "red", "#fff", "#12345g", "#1234567", "#123456\n"])
def test_a_colour_is_six_digits(colour):
    with pytest.raises(ValueError, match="colour"):
        onto_plain(np.zeros((64, 64, 3), np.uint8), colour)


def test_a_face_that_is_no_picture_is_said_to_be_none():
    with pytest.raises(ValueError, match="the face must be"):
        onto_plain(np.zeros((64, 64), np.uint8), "#808080")
