import io
import json
from concurrent.futures import ThreadPoolExecutor

import c2pa
import numpy as np
import pytest
from marked_faces import faces
from PIL import Image
from signing import camera, signer_in

from facemix.imaging.animate import encode_animation
from facemix.imaging.encode import encode_image
from facemix.safety import credentials, manifests
from facemix.safety.credentials import Facts, UploadCredentials, read_credentials, read_signature

FACTS = Facts("ab" * 32, "facemix-128@0123456789ab")
FRAMES = faces(3)
FILES = {kind: encode_image(FRAMES[0], kind) for kind in ("image/png", "image/jpeg", "image/webp")}
FILES |= {
    f"film of {kind}": encode_animation(FRAMES, media_type=kind, fps=10, loop=True, side=128, count=3)
    for kind in ("image/gif", "image/webp")
}


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return signer_in(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


def told(data, media_type):
    with c2pa.Reader(media_type, io.BytesIO(data)) as reader:
        return json.loads(reader.json())


@pytest.mark.parametrize("name", FILES)
def test_what_is_signed_is_known_again_until_a_byte_changes(signer, name):
    media_type = name.removeprefix("film of ")
    signed = signer.sign(FILES[name], media_type, FACTS)
    found = signer.read(signed, media_type)
    assert (found.state, found.facts, found.claims_ours) == ("ours", FACTS, True)
    assert found.source_type == "compositeWithTrainedAlgorithmicMedia"
    assert 2000 < len(signed) - len(FILES[name]) < 4096
    with Image.open(io.BytesIO(signed)) as one, Image.open(io.BytesIO(FILES[name])) as other:
        np.testing.assert_array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))
    place = len(signed) * 2 // 3 if media_type != "image/webp" else signed.index(b"VP8 ") + 40
    changed = bytearray(signed)
    changed[place] ^= 1
    found = signer.read(bytes(changed), media_type)
    assert found is None or (found.state, found.facts) == ("changed", None)


def test_the_manifest_says_what_it_should_and_shows_nothing(signer):
    active = told(signer.sign(FILES["image/png"], "image/png", FACTS), "image/png")
    active = active["manifests"][active["active_manifest"]]
    assert "thumbnail" not in active
    by_label = {one["label"]: one["data"] for one in active["assertions"]}
    (action,) = by_label["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert by_label[credentials.RESULT] == {"recipe": FACTS.recipe_hash, "model": FACTS.model}


def test_another_installation_is_somebody_else(signer, tmp_path):
    signed = signer_in(tmp_path).sign(FILES["image/png"], "image/png", FACTS)
    found = signer.read(signed, "image/png")
    assert (found.state, found.facts, found.claims_ours) == ("theirs", None, False)
    assert read_signature(signed, "image/png", None).state == "theirs"
    assert read_signature(FILES["image/png"], "image/png", signer) is None


def test_many_threads_sign_at_once(signer):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: signer.sign(FILES["image/jpeg"], "image/jpeg", FACTS), range(24)))
    assert {signer.read(one, "image/jpeg").state for one in made} == {"ours"}


def test_nothing_is_fetched():
    settings = manifests.SETTINGS
    assert settings["core"]["allowed_network_hosts"] == []
    assert not any(settings["verify"][name] for name in ("ocsp_fetch", "remote_manifest_fetch"))
    assert "trust" not in settings, "no list of whom to trust"


# --- uploads -----------------------------------------------------------------------------------------------


def test_credentials_of_uploads_are_carried_on_without_their_pictures(signer, elsewhere):
    first = camera(elsewhere, stds_exif={"@context": {}, "exif:GPSLatitude": "39,21.102N"})
    second = camera(elsewhere, media_type="image/png", number=1)
    found = [read_credentials(one) for one in (first, second)]
    assert [one.intact for one in found] == [True, True]
    assert found[0].generator.startswith("Camera 1")
    for one in found:
        assert 0 < len(one.archive) < 16_384
        assert any(address.endswith("c2pa.thumbnail.claim") for address in one.redacted)
        assert b"JFIF" not in one.archive
        assert b"IHDR" not in one.archive
        assert b"GPSLatitude" not in one.archive
    facts = Facts(FACTS.recipe_hash, FACTS.model, (*found, found[0]))
    signed = signer.sign(FILES["image/webp"], "image/webp", facts)
    assert signer.read(signed, "image/webp").state == "ours"
    assert signer.read(signed, "image/webp").ingredients == 2, "the same twice is carried on once"
    for shown in (b"JFIF", b"IHDR", b"39,21"):
        assert shown not in signed
    document = told(signed, "image/webp")
    assert len(document["manifests"]) == 3
    for ingredient in document["manifests"][document["active_manifest"]]["ingredients"]:
        assert ingredient["title"] == "photograph"
        assert ingredient["relationship"] == "inputTo"
        assert "thumbnail" not in ingredient


def test_credentials_of_what_the_upload_was_made_of_are_carried_on_too(signer, elsewhere):
    edited = camera(elsewhere, parent=camera(elsewhere), number=2)
    found = read_credentials(edited)
    assert found.archive
    signed = signer.sign(FILES["image/png"], "image/png", Facts("cd" * 32, "m", (found,)))
    assert signer.read(signed, "image/png").state == "ours"
    assert b"JFIF" not in signed
    assert len(told(signed, "image/png")["manifests"]) == 3


def test_credentials_that_are_too_large_are_mentioned(signer, elsewhere, monkeypatch):
    from facemix.safety import uploads

    monkeypatch.setattr(uploads, "MOST_CARRIED", 1000)
    found = read_credentials(camera(elsewhere))
    assert found == UploadCredentials("image/jpeg", intact=True, generator=found.generator)
    signed = signer.sign(FILES["image/png"], "image/png", Facts("cd" * 32, "m", (found,)))
    assert signer.read(signed, "image/png").ingredients == 1


def test_credentials_that_cannot_be_carried_on_do_not_keep_a_result_from_being_signed(signer, elsewhere):
    found = read_credentials(camera(elsewhere))
    broken = UploadCredentials(found.media_type, found.archive[:-100], found.redacted)
    signed = signer.sign(FILES["image/png"], "image/png", Facts("cd" * 32, "m", (broken,)))
    assert (signer.read(signed, "image/png").state, signer.read(signed, "image/png").ingredients) == ("ours", 1)


def test_they_travel_as_text(elsewhere):
    found = read_credentials(camera(elsewhere))
    assert UploadCredentials.from_json(found.to_json()) == found
    for text in ("{}", "[]", "null", '{"archive": 3}', '{"archive": "", "what": 1, "redacted": []}', "no"):
        with pytest.raises(ValueError, match=r".*"):
            UploadCredentials.from_json(text)


def test_without_the_marks_of_credentials_nothing_is_parsed(monkeypatch):
    from facemix.safety import uploads

    monkeypatch.setattr(uploads, "library", None)
    for data in (*FILES.values(), b"", b"jumb", b"c2pa", b"no picture: jumb c2pa"):
        assert read_credentials(data) is None


def test_damage_is_never_an_error(elsewhere):
    whole = camera(elsewhere)
    start = whole.index(b"jumb")
    chance = np.random.default_rng(0)
    for number in range(60):
        data = bytearray(whole)
        if number % 3 == 0:
            data = data[: int(chance.integers(start, len(data)))]
        else:
            for place in chance.integers(start, start + 3000, 1 + number % 7):
                data[place] = int(chance.integers(0, 256))
        found = read_credentials(bytes(data))
        assert found is None or len(found.archive) < 65_536
        assert found is None or b"JFIF" not in found.archive
