import base64
import json
import threading

import numpy as np
import pytest
from fake_mixer import CROP, FakeMixer
from web_client import CAT, CROWD, DARK, DEFECT, OTHER, PHOTO, files, opened, problem, running

from facemix.errors import CheckpointMissing
from facemix.safety import terms

MIX = "/api/v1/mix"
B64 = base64.b64encode(PHOTO).decode()
B64_OTHER = base64.b64encode(OTHER).decode()


# --- mix ---------------------------------------------------------------------------------------------------


def test_two_photos_give_json_with_everything(client):
    response = client.post(MIX, files=files(face_a=PHOTO, face_b=DARK), data={"weight": "0.25"})
    assert response.status_code == 200
    body = response.json()
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["model"]["id"] == response.headers["x-facemix-model"] == "fake-32@abababababab"
    assert [parent["weight"] for parent in body["recipe"]["parents"]] == [0.75, 0.25]
    first, second = body["faces"]
    assert first["where"] == "face_a"
    assert first["box"] == {"x0": 16.0, "y0": 12.0, "x1": 56.0, "y1": 48.0}
    assert set(first["landmarks"]) == {"left_eye", "right_eye", "nose", "left_mouth", "right_mouth"}
    assert first["quality"]["score"] == 0.9
    assert (first["index"], first["count"], first["warnings"]) == (0, 1, [])
    assert second["warnings"][0]["code"] == "face_dark"
    assert (second["width"], second["height"]) == (400, 20)
    image = body["image"]
    assert opened(base64.b64decode(image["base64"])).shape == (image["height"], image["width"], 3)
    assert "dur=" in response.headers["server-timing"]


def test_the_weight_is_the_share_of_the_second_face(client):
    def mixed(weight):
        data = {} if weight is None else {"weight": weight}
        answer = client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER), data=data, headers={"Accept": "image/png"})
        return opened(answer.content).astype(int)

    first, second, half = mixed("0"), mixed("1"), mixed(None)
    assert abs(first - second).max() > 50
    assert abs(half - (first + second) / 2).max() <= 1


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_accept_gives_the_picture_itself(client, kind):
    response = client.post(
        MIX,
        data={"sample_a": 1, "sample_b": 2},
        files={"face_a": ("", b"")},
        headers={"Accept": f"image/{kind}"},
    )
    assert response.headers["content-type"] == f"image/{kind}"
    assert response.headers["x-facemix-model"] == "fake-32@abababababab"
    assert response.headers["x-request-id"]
    assert "Accept" in response.headers["vary"]
    assert opened(response.content).shape == (CROP, CROP, 3)


def test_json_and_form_give_the_same_pixels(client):
    png = {"Accept": "image/png"}
    by_form = client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER), data={"weight": "0.3"}, headers=png)
    parents = [{"image": B64, "weight": 0.7}, {"image": f"data:image/png;base64,{B64_OTHER}", "weight": 0.3}]
    by_json = client.post(MIX, json={"parents": parents}, headers=png)
    assert by_json.status_code == 200
    assert np.array_equal(opened(by_form.content), opened(by_json.content))


def test_json_with_three_parents_samples_and_format(client):
    parents = [{"image": B64}, {"sample": 5}, {"sample": 6}]
    body = client.post(MIX, json={"parents": parents, "image_format": "image/webp", "interpolation": "slerp"}).json()
    assert body["image"]["media_type"] == "image/webp"
    assert body["recipe"]["interpolation"] == "slerp"
    assert [face["source"] for face in body["faces"]] == ["photo", "sample", "sample"]
    assert [face["sample"] for face in body["faces"]] == [None, 5, 6]
    assert body["faces"][1]["count"] is None


@pytest.mark.parametrize("path", [MIX, "/api/v1/strip"])
def test_vividness_reaches_the_face_and_the_recipe_by_form_and_json(client, path):
    def picture(body):
        return body.get("image", body.get("frames"))["base64"]

    pair = {"parents": [{"sample": 1}, {"sample": 2}]}
    plain = client.post(path, json=pair).json()
    by_json = client.post(path, json={**pair, "vividness": 0.25}).json()
    form = {"sample_a": 1, "sample_b": 2, "vividness": "0.25"}
    by_form = client.post(path, data=form, files={"face_a": ("", b"")}).json()
    assert [body["recipe"]["vividness"] for body in (plain, by_json, by_form)] == [0, 0.25, 0.25]
    assert picture(by_json) == picture(by_form) != picture(plain)
    problem(client.post(path, json={**pair, "vividness": 0.6}), 422, "request_invalid", "vividness")


def test_face_choice(client):
    chosen = client.post(MIX, files=files(face_a=CROWD), data={"face_a_index": 1, "sample_b": 1}).json()
    assert (chosen["faces"][0]["index"], chosen["faces"][0]["count"]) == (1, 3)
    response = client.post(MIX, files=files(face_a=CROWD), data={"face_a_index": 9, "sample_b": 1})
    problem(response, 422, "face_choice_invalid", "face_a")
    response = client.post(MIX, files=files(face_b=CROWD), data={"face_b_index": 2, "sample_a": 1})
    problem(response, 422, "face_too_small", "face_b")


def test_problems_name_the_photo(client):
    problem(client.post(MIX, files=files(face_a=PHOTO, face_b=CAT)), 422, "face_not_found", "face_b")
    problem(client.post(MIX, files=files(face_a=b"text", face_b=PHOTO)), 415, "image_unsupported", "face_a")
    problem(client.post(MIX, files=files(face_a=b"", face_b=PHOTO)), 422, "image_empty", "face_a")
    problem(client.post(MIX, files=files(face_a=PHOTO)), 422, "request_invalid", "face_b")
    cat = base64.b64encode(CAT).decode()
    response = client.post(MIX, json={"parents": [{"image": B64}, {"image": cat}]})
    problem(response, 422, "face_not_found", "parents.1")


def test_problems_stay_problems_whatever_is_accepted(client):
    response = client.post(MIX, files=files(face_a=PHOTO, face_b=CAT), headers={"Accept": "image/png"})
    problem(response, 422, "face_not_found", "face_b")
    response = client.post(MIX, files=files(face_a=PHOTO, face_b=CAT), headers={"Accept": "text/html"})
    problem(response, 406, "not_acceptable")


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        (None, b"", 415, "media_type_unsupported"),
        ("text/plain", b"x", 415, "media_type_unsupported"),
        ("application/x-www-form-urlencoded", b"sample_a=1&sample_b=2", 415, "media_type_unsupported"),
        ("image/jpeg", PHOTO, 415, "media_type_unsupported"),
        ("\xff/\xfe", b"x", 415, "media_type_unsupported"),
        ("multipart/form-data", b"x", 422, "request_invalid"),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\n", 422, "request_invalid"),
        ("application/json", b"", 422, "request_invalid"),
        ("application/json", b"\xff\xfe", 422, "request_invalid"),
        ("application/json", b"[" * 200_000, 422, "request_invalid"),
        ("application/json", b'{"parents": [{"image": "\\udfff"}, {"sample": 1}]}', 422, "request_invalid"),
        ("application/json; charset=utf-8", b'{"\\u0000": 1}', 422, "request_invalid"),
    ],
)
def test_no_input_is_a_500(client, content_type, body, status, code):
    headers = {} if content_type is None else {"Content-Type": content_type}
    reply, answer, content, _ = client.raw("POST", MIX, headers, [body])
    assert (reply, json.loads(content)["code"]) == (status, code)
    assert answer["content-type"] == "application/problem+json"


def test_a_defect_is_a_500_that_tells_nothing(client, caplog):
    response = client.post(MIX, files=files(face_a=DEFECT), data={"sample_b": 1})
    problem(response, 500, "internal")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text
    assert response.headers["x-request-id"] in caplog.text
    assert "secret inner workings" in caplog.text


def test_file_and_body_caps():
    with running(max_upload_bytes=2000, max_body_bytes=6000) as client:
        response = client.post(MIX, files=files(face_a=b"x" * 2001), data={"sample_b": 1})
        problem(response, 413, "image_too_large", "face_a")
        image = base64.b64encode(b"x" * 2001).decode()
        response = client.post(MIX, json={"parents": [{"sample": 1}, {"image": image}]})
        problem(response, 413, "image_too_large", "parents.1")
        response = client.post(MIX, json={"parents": [{"sample": 1}, {"image": "A" * 6000}]})
        problem(response, 413, "body_too_large")


# --- strip -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [True, False])
def test_strip_lays_frames_out_in_order(client, as_json):
    if as_json:
        body = client.post("/api/v1/strip", json={"parents": [{"sample": 1}, {"sample": 2}], "steps": 5}).json()
    else:
        form = {"sample_a": 1, "sample_b": 2, "steps": 5}
        body = client.post("/api/v1/strip", data=form, files={"face_a": ("", b"")}).json()
    assert body["weights"] == [0, 0.25, 0.5, 0.75, 1]
    assert [parent["weight"] for parent in body["recipe"]["parents"]] == [0.5, 0.5]
    assert len(body["faces"]) == 2
    sheet = body["frames"]
    pixels = opened(base64.b64decode(sheet["base64"])).astype(int)
    assert pixels.shape == (sheet["rows"] * CROP, sheet["columns"] * CROP, 3)
    assert sheet["count"] == 5
    mixer = FakeMixer()
    first, last = mixer.draw(1, 0).astype(int), mixer.draw(2, 0).astype(int)
    expected = [first * (1 - weight) + last * weight for weight in body["weights"]]
    for index in range(5):
        row, column = divmod(index, sheet["columns"])
        frame = pixels[row * CROP : (row + 1) * CROP, column * CROP : (column + 1) * CROP]
        # The sheet is lossy; each frame is still nearest to the mix it stands for.
        distances = [abs(frame - candidate).mean() for candidate in expected]
        assert int(np.argmin(distances)) == index


def test_strip_refusals(client):
    form = {"sample_a": 1, "sample_b": 2}
    empty = {"face_a": ("", b"")}
    problem(
        client.post("/api/v1/strip", data={**form, "steps": 1000}, files=empty),
        422,
        "request_invalid",
        "steps",
    )
    problem(
        client.post("/api/v1/strip", data={**form, "weight": 1}, files=empty),
        422,
        "request_invalid",
        "weight",
    )
    problem(client.post("/api/v1/strip", files=files(face_a=CAT, face_b=PHOTO)), 422, "face_not_found", "face_a")
    problem(client.post("/api/v1/strip", headers={"Accept": "image/png"}), 406, "not_acceptable")


# --- faces -------------------------------------------------------------------------------------------------


def test_faces_are_listed_with_crops_and_refusals(client):
    body = client.post("/api/v1/faces", files=files(image=CROWD)).json()
    assert body["image"] == {"width": 80, "height": 60, "notes": []}
    assert body["count"] == 3
    assert [face["index"] for face in body["faces"]] == [0, 1, 2]
    assert body["faces"][0]["refusal"] is None
    assert body["faces"][2]["refusal"]["code"] == "face_too_small"
    crop = body["faces"][0]["crop"]
    assert crop["media_type"] == "image/jpeg"
    assert opened(base64.b64decode(crop["base64"])).shape == (CROP, CROP, 3)


def test_faces_refusals(client):
    problem(client.post("/api/v1/faces", files=files(image=CAT)), 422, "face_not_found", "image")
    problem(client.post("/api/v1/faces", files=files(photo=PHOTO)), 422, "request_invalid", "photo")
    problem(client.post("/api/v1/faces", files={"image": ("", b"")}), 422, "request_invalid", "image")
    problem(client.post("/api/v1/faces", json={}), 415, "media_type_unsupported")


# --- samples -----------------------------------------------------------------------------------------------


def test_samples_are_drawn_once_and_cached():
    made = FakeMixer()
    with running(lambda: made) as client:
        first = client.get("/api/v1/samples/7?format=png")
        assert first.headers["content-type"] == "image/png"
        assert "max-age" in first.headers["cache-control"]
        assert np.array_equal(opened(first.content), made.draw(7, 0))
        assert client.get("/api/v1/samples/7?format=png").content == first.content
        assert made.samples_drawn == [(7, 0)]
        tag = first.headers["etag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            again = client.get("/api/v1/samples/7?format=png", headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
        tags = {tag}
        for other in ("7?format=webp", "8?format=png", "7?format=png&seed=1"):
            response = client.get(f"/api/v1/samples/{other}", headers={"If-None-Match": tag})
            assert response.status_code == 200
            tags.add(response.headers["etag"])
        assert len(tags) == 4
        assert client.request("HEAD", "/api/v1/samples/7").content == b""


def test_samples_negotiate_and_refuse(client):
    assert client.get("/api/v1/samples/1").headers["content-type"] == "image/webp"
    jpeg = client.get("/api/v1/samples/1", headers={"Accept": "image/jpeg"})
    assert jpeg.headers["content-type"] == "image/jpeg"
    problem(client.get("/api/v1/samples/1", headers={"Accept": "text/html"}), 406, "not_acceptable")
    problem(client.get("/api/v1/samples/-1"), 422, "request_invalid", "number")
    problem(client.get("/api/v1/samples/" + "9" * 5000), 422, "request_invalid", "number")
    problem(client.get("/api/v1/samples/x"), 422, "request_invalid", "number")
    problem(client.get("/api/v1/samples/1?seed=-1"), 422, "request_invalid", "seed")
    problem(client.get("/api/v1/samples/1?format=gif"), 422, "request_invalid", "format")


# --- model, health, readiness ------------------------------------------------------------------------------


def test_model_tells_card_and_terms(client):
    body = client.get("/api/v1/model").json()
    assert body["licence"] == "non-commercial research"
    assert body["limitations"] == ["Hats are <not> kept."]
    assert body["crop_size"] == CROP
    assert body["card"]["metrics"] == {"lpips": 0.25, "nan": None}


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["model"]["name"] == "fake-32"


def test_before_the_mixer_is_loaded_everything_else_waits_politely():
    release = threading.Event()

    def slow():
        release.wait(60)
        return FakeMixer()

    with running(slow, wait=False) as client:
        try:
            assert client.get("/healthz").status_code == 200
            for path in ("/readyz", "/api/v1/model", "/api/v1/samples/1"):
                response = client.get(path)
                problem(response, 503, "not_ready")
                assert int(response.headers["retry-after"]) > 0
            problem(client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)), 503, "not_ready")
            assert client.get("/").status_code == 200
        finally:
            release.set()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CheckpointMissing("there is no checkpoint", hint="train one"), "checkpoint_missing"),
        (ZeroDivisionError("secret"), "internal"),
    ],
)
def test_a_failed_load_is_told_by_readiness_and_leaves_the_process_alive(error, code):
    def broken():
        raise error

    with running(broken) as client:
        assert client.get("/healthz").status_code == 200
        for response in (client.get("/readyz"), client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER))):
            assert "secret" not in problem(response, 503, code)["detail"]
        page = client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert "secret" not in page.text


# --- overload ----------------------------------------------------------------------------------------------


def test_beyond_the_limit_a_request_is_refused_before_its_body_is_read():
    entered, release = threading.Event(), threading.Event()

    def hold():
        entered.set()
        release.wait(60)

    with running(lambda: FakeMixer(hook=hold), max_queue=1) as client:
        answers = []
        first = threading.Thread(
            target=lambda: answers.append(client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)))
        )
        first.start()
        try:
            assert entered.wait(60)
            for path in (MIX, "/api/v1/strip", "/api/v1/faces"):
                headers = {"Content-Type": "multipart/form-data; boundary=b"}
                status, answer, body, taken = client.raw("POST", path, headers, [b"x"] * 3)
                assert (status, json.loads(body)["code"], taken) == (503, "busy", 0)
                assert int(answer["retry-after"]) > 0
            page = client.post(
                "/",
                files=files(face_a=PHOTO, face_b=OTHER),
                data={"consent": terms.VERSION},
                headers={"Accept": "text/html"},
            )
            assert page.status_code == 503
            assert client.get("/healthz").status_code == 200
        finally:
            release.set()
            first.join()
        assert answers[0].status_code == 200
        assert client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)).status_code == 200


def test_a_refused_request_gives_its_ticket_back():
    with running(max_queue=1) as client:
        for _ in range(3):
            problem(client.post(MIX, files=files(face_a=CAT, face_b=PHOTO)), 422, "face_not_found", "face_a")
            problem(client.post(MIX, files=files(face_a=DEFECT, face_b=PHOTO)), 500, "internal")
        assert client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)).status_code == 200


def test_samples_do_not_take_the_place_of_mixing():
    with running(max_queue=1) as client:
        state = client.app.state.facemix
        with state.admission.ticket(1):
            assert client.get("/api/v1/samples/3").status_code == 200
