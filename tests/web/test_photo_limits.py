"""How often one photograph may be looked at, by whomever."""

import base64
import io
import json
import zipfile

import cv2
import numpy as np
import pytest
from fake_mixer import Fake
from files import jpeg, png
from portraits import head, other
from web_client import CROWD, OTHER, PHOTO, files, problem, running

from facemix.errors import ConfigError, PhotoLimited
from facemix.serving.types import PhotoInput
from facemix.web import photo_limits
from facemix.web.photo_limits import PhotoLimits, sketch


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def found(data, crop_size=128):
    return Fake(crop_size).find_faces(PhotoInput(data, "a"))


def crop_of(picture):
    return cv2.resize(picture[60:190, 70:200], (128, 128), interpolation=cv2.INTER_AREA)


def compressed(crop, quality):
    data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def refusals(limits, digests):
    refused = []
    for digest in digests:
        try:
            limits.arrived(digest)
        except PhotoLimited as error:
            refused.append((digest, error.details["retry_after"]))
    return refused


def test_the_same_file_is_counted_until_its_window_ends_and_others_are_not():
    clock = Clock()
    limits = PhotoLimits("3/minute", clock=clock)
    assert refusals(limits, ["a", "a", "b", "a"]) == []
    clock.now += 20
    assert refusals(limits, ["a", "b"]) == [("a", 40)]
    clock.now += 41
    assert refusals(limits, ["a"]) == []


def test_another_encoding_of_the_same_face_is_the_same():
    crop = crop_of(head())
    again = [compressed(crop, quality) for quality in (95, 70, 40)]
    again.append(cv2.resize(cv2.resize(crop, (90, 90)), (128, 128)))
    for one in again:
        assert (sketch(crop) != sketch(one)).sum() <= photo_limits.NEAR
    assert (sketch(crop) != sketch(crop_of(other()))).sum() > 2 * photo_limits.NEAR

    limits = PhotoLimits("3/minute", clock=Clock())
    names = {limits._known(sketch(one)) for one in (crop, *again)}
    assert len(names) == 1
    assert limits._known(sketch(crop_of(other()))) not in names


def test_what_is_remembered_does_not_show_the_face():
    bits = sketch(crop_of(head()))
    for limits in (PhotoLimits("3/minute"), PhotoLimits("3/minute")):
        limits._known(bits)
        kept = np.unpackbits(limits._sketches[0].view(np.uint8)).astype(bool)
        assert 70 < (kept != bits).sum() < 186  # as unlike as two coins
    limits = PhotoLimits("3/minute")
    limits.arrived("ab" * 32)
    assert "ab" * 32 not in str(limits._storage.counters)


def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch):
    clock = Clock()
    limits = PhotoLimits("2/hour", most=4, clock=clock)
    assert refusals(limits, ["a", "b", "c", "d", "a", "e"]) == []
    assert len(limits._storage.counters) == 4
    assert [digest for digest, _ in refusals(limits, ["a", "b", "b"])] == ["a"]  # b was forgotten, a was not

    monkeypatch.setattr(photo_limits, "MOST_SKETCHES", 3)
    limits = PhotoLimits("2/hour", clock=clock)
    rng = np.random.default_rng(0)
    first, *others = rng.random((4, 256)) < 0.5
    name = limits._known(first)
    assert limits._known(first) == name
    names = [limits._known(bits) for bits in others]
    assert len({name, *names}) == 4  # the last took the place of the first, under another name
    assert limits._known(others[2]) == names[2]
    assert limits._known(first) not in names


def test_a_rate_of_none_sets_no_limit_and_nonsense_is_refused():
    limits = PhotoLimits("none")
    assert refusals(limits, ["a"] * 50) == []
    limits.looked(found(PHOTO))
    assert limits._taken == 0
    with pytest.raises(ConfigError, match="photographs"):
        PhotoLimits("often")


def archive(rows: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("pairs.csv", "a,b\n" + "a.png,sample:1\n" * rows)
        made.writestr("a.png", PHOTO)
    return buffer.getvalue()


IMAGE = {"image": base64.b64encode(PHOTO).decode()}


@pytest.mark.parametrize(
    ("path", "request_of"),
    [
        ("/api/v1/faces", {"files": files(image=PHOTO)}),
        ("/api/v1/mix", {"files": files(face_a=PHOTO), "data": {"sample_b": "1"}}),
        ("/api/v1/mix", {"json": {"parents": [IMAGE, {"sample": 1}]}}),
        ("/api/v1/strip", {"json": {"parents": [IMAGE, {"sample": 1}]}}),
        ("/api/v1/grids", {"json": {"kind": "weights", "parents": [IMAGE, {"sample": 1}]}}),
    ],
)
def test_every_way_in_is_counted_for_all_senders_together(path, request_of):
    with running(rate_photo="2/hour") as client:
        for _ in range(2):
            assert client.post(path, **request_of).status_code == 200
        refused = client.post(path, **request_of)
        assert refused.status_code == 429
        body = refused.json()
        assert body["code"] == "photo_limited"
        assert 0 < body["details"]["retry_after"] <= 3600
        assert refused.headers["retry-after"] == str(body["details"]["retry_after"])
        # Another way in, and not the same file: the same face all the same.
        again = client.post("/api/v1/faces", files=files(image=jpeg_of(PHOTO)))
        problem(again, 429, "photo_limited", where=again.json()["where"])
        assert client.post("/api/v1/faces", files=files(image=CROWD)).status_code == 200


def jpeg_of(data: bytes) -> bytes:
    return jpeg(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def test_mixing_by_id_is_no_look_at_a_photograph():
    with running(rate_photo="1/hour") as client:
        face = client.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"][0]["id"]
        for _ in range(3):
            answer = client.post("/api/v1/mix", json={"parents": [{"face_id": face}, {"sample": 1}]})
            assert answer.status_code == 200


def test_a_row_of_a_batch_beyond_the_limit_fails_at_once_and_alone():
    with running(rate_photo="2/hour") as client:
        job = client.post("/api/v1/batches", files=files(archive=archive(4))).json()["job"]
        while (seen := client.get(f"/api/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
            pass
        assert seen["state"] == "done"
        result = client.get(f"/api/v1/jobs/{job['id']}/result")
        with zipfile.ZipFile(io.BytesIO(result.content)) as made:
            items = json.loads(made.read("manifest.json"))["items"]
    assert [item.get("problem", {}).get("code") for item in items] == [None, None, "photo_limited", "photo_limited"]


def test_a_photo_that_differs_is_not_held_up_by_another():
    with running(rate_photo="1/hour") as client:
        assert client.post("/api/v1/faces", files=files(image=png(head()))).status_code == 200
        assert client.post("/api/v1/faces", files=files(image=png(other()))).status_code == 200
        assert client.post("/api/v1/faces", files=files(image=OTHER)).status_code == 200
