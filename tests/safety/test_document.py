import cv2
import numpy as np
import portraits
import pytest

from facemix.errors import DocumentStyle
from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.safety.document import (
    document_style,
    document_word,
    maybe_document,
    refuse_document,
    refuse_document_words,
)

SIDE = 192


@pytest.fixture(scope="module")
def detector():
    return CenterFace(threads=1)


@pytest.fixture(scope="module")
def crop():
    return Alignment.from_landmarks(portraits.LANDMARKS, 128).crop(portraits.portrait())


def page(crop, *, side=SIDE, inner=0.52, left=0.24, top=0.34, colour=245):
    """The oval of a face on a plain page."""
    y, x = (np.mgrid[:128, :128] + 0.5) / 128
    oval = np.clip((1.06 - np.hypot((x - 0.5) / 0.46, (y - 0.5) / 0.55)) / 0.12, 0, 1)[..., None]
    pixels = round(inner * side)
    found = np.broadcast_to(np.array(colour, np.uint8), (side, side, 3)).copy()
    made = (crop * oval + np.array(colour) * (1 - oval)).astype(np.uint8)
    x0, y0 = round(left * side), round(top * side)
    found[y0 : y0 + pixels, x0 : x0 + pixels] = cv2.resize(made, (pixels, pixels), interpolation=cv2.INTER_AREA)
    return found


@pytest.mark.parametrize("side", [128, 192, 512])
@pytest.mark.parametrize("colour", [245, 215, (200, 220, 240)])
def test_a_whole_head_on_a_plain_light_page_is_refused(crop, detector, side, colour):
    with pytest.raises(DocumentStyle) as refused:
        refuse_document(page(crop, side=side, colour=colour)[None], detector)
    assert refused.value.status == 422
    assert refused.value.details["frame"] == 0
    assert "background" in refused.value.hint


def test_the_frame_that_is_refused_is_named(crop, detector):
    plain = page(crop)
    with pytest.raises(DocumentStyle) as refused:
        refuse_document(np.stack([np.zeros_like(plain), plain]), detector)
    assert refused.value.details["frame"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": 60},  # dark
        {"inner": 1.0, "left": 0, "top": 0},  # the head fills the picture
        {"top": 0.05},  # no room above
    ],
)
def test_what_fits_no_document_passes(crop, detector, changes):
    refuse_document(page(crop, **changes)[None], detector)


def test_a_head_that_the_side_cuts_off_passes(crop, detector):
    cut = page(crop)[:, : round(0.72 * SIDE)]
    assert maybe_document(cut[None])[0]
    refuse_document(np.ascontiguousarray(cut)[None], detector)


def test_an_uneven_background_passes(crop, detector):
    found = page(crop)
    noise = np.random.default_rng(0).integers(120, 256, found.shape, dtype=np.uint8)
    refuse_document(np.where(found == 245, noise, found)[None], detector)


def test_a_leaning_head_passes(crop, detector):
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE * 0.58), 20, 1)
    leaning = cv2.warpAffine(page(crop), turn, (SIDE, SIDE), borderValue=(245, 245, 245))
    refuse_document(leaning[None], detector)


def test_an_aligned_crop_shows_no_whole_head(crop, detector):
    refuse_document(crop[None], detector)
    assert not maybe_document(crop[None])[0]
    figures = document_style(np.full_like(crop, 250))  # even if all around the face were white
    assert (figures.room < 0, figures.document) == (True, False)


def test_a_page_without_a_face_is_no_document(detector):
    refuse_document(np.full((2, 128, 128, 3), 250, np.uint8), detector)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({2: (20, 0)}, False),  # the nose to one side: turned
        ({3: (-12, 0), 4: (12, 0)}, False),  # a broad grin
        ({3: (-20, 0), 4: (-20, 0)}, False),  # leaning
    ],
)
def test_pose_and_expression_decide_on_a_plain_page(change, expected):
    points = np.array([[80, 100], [120, 100], [100, 119], [84, 138], [116, 138]], np.float64)
    for index, shift in change.items():
        points[index] += shift
    assert document_style(np.full((200, 200, 3), 240, np.uint8), points).document is expected


def test_landmarks_that_coincide_are_no_crash():
    assert not document_style(np.full((50, 50, 3), 240, np.uint8), np.zeros((5, 2))).document


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a PASSPORT photo, smiling", "passport"),
        ("passport", "passport"),
        ("my driver\u2019s license", "driver's license"),
        ("driver's-license", "driver's license"),
        ("ID card", "id card"),
        ("id_card.png", "id card"),
        ("Fuehrerschein", "fuehrerschein"),
        ("FÜHRERSCHEIN", "führerschein"),
        ("pièce  d\u2019identité", "pièce d'identité"),
        ("KİMLİK KARTI", "kimlik kartı"),
        ("для паспорта", "паспорта"),
        ("我的护照照片", "护照"),
        ("パスポート写真", "パスポート"),
        ("여권 사진", "여권"),
        ("पासपोर्ट फोटो", "पासपोर्ट"),
        ("pass\u200bport", "passport"),
        ("ｐａｓｓｐｏｒｔ", "passport"),
    ],
)
def test_words_for_documents_are_known(text, word):
    assert document_word(text) == word


@pytest.mark.parametrize("text", ["", "older, smiling", "compass port", "televisa", "passing by", "idea card", "Pass"])
def test_other_words_are_not(text):
    assert document_word(text) is None


def test_what_asks_for_a_document_is_refused_by_its_place():
    refuse_document_words(["older", ""], where="prompt")
    with pytest.raises(DocumentStyle, match="passport") as refused:
        refuse_document_words(["older", "for my Passport"], where="prompt")
    assert (refused.value.where, refused.value.details) == ("prompt", {"word": "passport"})
