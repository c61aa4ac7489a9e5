import hashlib
from datetime import UTC, datetime, timedelta
from io import BytesIO

import cv2
import numpy as np
import pytest
from marked_faces import faces
from PIL import Image
from signing import camera, signer_in
from skimage import data

from facemix.errors import ImageCorrupt, ImageError, ImageTooManyPixels, ImageUnsupported
from facemix.governance.secrets import Secrets
from facemix.imaging.animate import encode_animation
from facemix.imaging.decode import DecodeLimits
from facemix.imaging.encode import encode_image
from facemix.safety.known import Uses, known_recipes, uses_of
from facemix.safety.marking import Facts, Marker
from facemix.safety.verify import ERROR_RATES, verify
from facemix.storage.ledger import Ledger, LedgerRow

HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
LIMITS = DecodeLimits()


@pytest.fixture(scope="module")
def marker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    return Marker(label=True, mark=True, credentials=signer_in(folder), secrets=Secrets(b"s" * 32))


@pytest.fixture(scope="module")
def result(marker):
    return marker.file(marker.pixels(faces(1)[0], HASHES[:1]), "image/png", Facts(HASHES[0], "facemix-128@01"))


def look(data, marker, known=HASHES, **limits):
    return verify(data, marker, lambda: known, DecodeLimits(**limits))


def saved_anew(data, kind="JPEG", **options):
    buffer = BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_result_is_known_by_its_signature(marker, result):
    verdict = look(result, marker)
    assert (verdict.kind, verdict.signed.state, verdict.mark.how) == ("signed", "ours", "whole")
    assert verdict.recipe_hash == HASHES[0]
    text = " ".join(verdict.sentences())
    assert "signed by this installation" in text
    assert "facemix-128@01" in text


def test_a_result_that_was_saved_anew_is_known_by_its_mark(marker, result):
    verdict = look(saved_anew(result, quality=60), marker)
    assert (verdict.kind, verdict.signed, verdict.recipe_hash) == ("marked", None, HASHES[0])
    assert ERROR_RATES in verdict.sentences()
    unknown = look(saved_anew(result), marker, known=[])
    assert (unknown.kind, unknown.recipe_hash) == ("marked", None)
    assert "fits none of the recipes" in " ".join(unknown.sentences())


@pytest.mark.parametrize("size", [(900, 600), (600, 900), (1600, 700)])
@pytest.mark.parametrize("photograph", [False, True])
def test_a_result_that_is_not_square_is_known_by_its_mark(marker, size, photograph):
    """Made smaller by half and saved as JPEG of quality 50."""
    given = data.astronaut() if photograph else faces(1)[0]
    given = cv2.resize(given, size, interpolation=cv2.INTER_AREA if photograph else cv2.INTER_CUBIC)
    made = marker.file(marker.pixels(given, HASHES[:1]), "image/jpeg", Facts(HASHES[0], "facemix-128@01"))
    verdict = look(made, marker)
    assert (verdict.kind, verdict.mark.how, verdict.recipe_hash) == ("signed", "whole", HASHES[0])
    with Image.open(BytesIO(made)) as image:
        buffer = BytesIO()
        image.convert("RGB").reduce(2).save(buffer, "JPEG", quality=50)
    verdict = look(buffer.getvalue(), marker)
    assert (verdict.kind, verdict.mark.how, verdict.recipe_hash) == ("marked", "whole", HASHES[0])
    assert look(encode_image(given, "image/jpeg"), marker).mark is None


def test_a_result_that_was_changed_is_said_to_be(marker, result):
    place = result.index(b"IDAT") + 5000
    with Image.open(BytesIO(result)) as image:
        assert image.size == (128, 128)
    changed = result[:-12] + b"\0\0\0\x04tEXta\0bc\x9b\x8f\x1c\xfa" + result[-12:]
    verdict = look(changed, marker)
    assert (verdict.kind, verdict.signed.claims_ours) == ("changed", True)
    assert verdict.mark is not None
    assert "does not fit any more" in verdict.sentences()[0]
    torn = bytearray(result)
    torn[place] ^= 0xFF
    assert look(bytes(torn), marker).kind == "changed", "even where the picture cannot be decoded any more"


def test_somebody_elses_signature_is_somebody_elses(marker, tmp_path):
    verdict = look(camera(tmp_path), marker)
    assert (verdict.kind, verdict.mark, verdict.recipe_hash) == ("signed_elsewhere", None, None)
    assert "cannot be told here" in verdict.sentences()[0]


def test_nothing_is_nothing_and_proves_nothing(marker):
    verdict = look(encode_image(faces(2)[1], "image/png"), marker)
    assert (verdict.kind, verdict.signed, verdict.mark) == ("nothing", None, None)
    assert verdict.sentences()[-1].startswith("That proves nothing")


def test_films_are_known_by_their_signatures_and_gifs_by_their_marks(marker):
    frames = marker.pixels(faces(3), HASHES)
    for kind in ("image/gif", "image/webp"):
        film = encode_animation(frames, media_type=kind, fps=10, loop=True, side=128, count=3)
        signed = marker.sign(film, kind, Facts(HASHES[0], "m"))
        assert look(signed, marker).kind == "signed"
    film = encode_animation(frames, media_type="image/gif", fps=10, loop=True, side=256, count=3)
    assert look(film, marker).recipe_hash == HASHES[0]


def test_of_an_mp4_only_the_signature_is_read(marker):
    verdict = look(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100), marker)
    assert (verdict.kind, verdict.looked) == ("nothing", False)
    assert "not looked for" in verdict.sentences()[1]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", ImageError),
        (b"some text", ImageUnsupported),
        (b"%PDF-1.7", ImageUnsupported),
        (b"\xff\xd8\xff\xe0" + bytes(200), ImageCorrupt),
        (b"GIF89a" + bytes(3), ImageCorrupt),
        (b"GIF89a\xff\xff\xff\xff\0\0\0", ImageCorrupt),
    ],
)
def test_what_is_no_picture_is_refused(marker, data, refusal):
    with pytest.raises(refusal):
        look(data, marker)


def test_bombs_are_refused_before_they_are_decoded(marker):
    film = encode_animation(faces(1, 300), media_type="image/gif", fps=10, loop=False, side=300, count=1)
    for large in (encode_image(np.zeros((300, 300, 3), np.uint8), "image/png"), film):
        with pytest.raises(ImageTooManyPixels):
            look(large, marker, max_pixels=50_000)


def test_without_mark_and_signer_others_are_still_read(tmp_path, result):
    plain = Marker.off()
    assert look(camera(tmp_path), plain).kind == "signed_elsewhere"
    assert look(result, plain).kind == "signed_elsewhere"
    assert look(encode_image(faces(1)[0], "image/png"), plain).kind == "nothing"
    with pytest.raises(ImageUnsupported):
        look(b"some text", plain)


# --- the ledger --------------------------------------------------------------------------------------------


def row(number, recipe_hash, at):
    fields = {"request_id": "r", "route": "POST /api/v1/mix", "status": 200, "recipe_hash": recipe_hash, "at": at}
    return LedgerRow(id=f"{number:032x}", **fields)


def test_the_ledger_tells_recipes_and_their_dates(database):
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    used = [HASHES[0], HASHES[1], None, HASHES[0]]
    Ledger(database).append_many(row(n, one, start + timedelta(hours=n)) for n, one in enumerate(used))
    assert known_recipes(database) == [HASHES[0], HASHES[1]]
    assert known_recipes(database, most=1) == [HASHES[0]]
    assert uses_of(database, HASHES[0]) == Uses(2, start, start + timedelta(hours=3))
    assert uses_of(database, HASHES[2]) is None


def test_a_verdict_says_when(marker, result, database):
    start = datetime(2026, 11, 21, 12, tzinfo=UTC)
    verdict = look(result, marker)
    said = " ".join(verdict.dated(lambda one: uses_of(database, one)).sentences())
    assert "no row with its recipe: what the command line makes leaves none" in said
    Ledger(database).append_many([row(1, HASHES[0], start)])
    verdict = verdict.dated(lambda one: uses_of(database, one))
    assert "This server made it on 21 November 2026." in verdict.sentences()
