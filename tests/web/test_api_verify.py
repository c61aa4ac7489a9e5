import re
from io import BytesIO

import pytest
from marked_faces import faces
from PIL import Image
from verifying import HASH, verifying
from web_client import problem, running

from facemix.imaging.encode import encode_image

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with verifying(tmp_path_factory.mktemp("verify"), max_upload_bytes=200_000) as made:
        yield made


@pytest.fixture(scope="module")
def client(served):
    return served[0]


@pytest.fixture(scope="module")
def result(served):
    return served[1]


def jpeg(data):
    buffer = BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


PLAIN = encode_image(faces(2)[1], "image/png")


def as_form(data):
    return {"files": {"file": ("whatever.bin", data)}}


def as_body(data, kind="image/png"):
    return {"content": data, "headers": {"Content-Type": kind}}


def test_a_result_is_known(client, result):
    for sent in (as_form(result), as_body(result), as_body(result, "application/octet-stream")):
        answer = client.post("/api/v1/verify", **sent)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["verdict"], found["signature"]["state"], found["mark"]["how"]) == ("signed", "ours", "whole")
        assert found["signature"]["model"] == "facemix-128@01"
        assert found["recipe_sha256"] == HASH
        assert found["ledger"] == {"rows": 1, "first": "2026-11-21T12:00:00Z", "last": "2026-11-21T12:00:00Z"}


def test_what_was_saved_anew_is_known_by_its_mark(client, result):
    found = client.post("/api/v1/verify", **as_body(jpeg(result), "image/jpeg")).json()
    assert (found["verdict"], found["signature"], found["recipe_sha256"]) == ("marked", None, HASH)


def test_nothing_is_an_answer(client):
    found = client.post("/api/v1/verify", **as_form(PLAIN)).json()
    assert (found["verdict"], found["mark"], found["recipe_sha256"], found["ledger"]) == ("nothing", None, None, None)


@pytest.mark.parametrize(
    ("sent", "status", "code", "where"),
    [
        (as_form(b"some text"), 415, "image_unsupported", "file"),
        (as_form(PLAIN[:500]), 422, "image_corrupt", "file"),
        (as_form(b""), 422, "image_empty", "file"),
        (as_body(b""), 422, "image_empty", "file"),
        ({"files": {"other": ("a.png", PLAIN)}}, 422, "request_invalid", "other"),
        ({"data": {}, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "request_invalid", None),
        ({"json": {"file": "x"}}, 415, "media_type_unsupported", None),
        (as_form(bytes(200_001)), 413, "image_too_large", "file"),
        (as_body(bytes(200_001)), 413, "image_too_large", "file"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(client, sent, status, code, where):
    problem(client.post("/api/v1/verify", **sent), status, code, where)


def test_a_server_that_marks_nothing_says_so():
    with running() as client:
        problem(client.post("/api/v1/verify", **as_form(PLAIN)), 404, "not_found")
        assert client.get("/verify").status_code == 200
        assert client.post("/verify", **as_form(PLAIN)).status_code == 404


def test_the_page_works_without_scripts(client, result):
    page = client.get("/verify", headers=HTML)
    assert page.status_code == 200
    assert 'enctype="multipart/form-data"' in page.text
    assert "Finding nothing proves nothing" in page.text
    answer = client.post("/verify", **as_form(result), headers=HTML)
    assert answer.status_code == 200
    assert re.search(r'<h2 id="verdict">Made here, and unchanged</h2>', answer.text)
    assert HASH in answer.text
    assert "whatever.bin" not in answer.text
    assert 'href="/verify"' in client.get("/about", headers=HTML).text


def test_a_refusal_stays_on_the_page(client):
    answer = client.post("/verify", **as_form(b"some text"), headers=HTML)
    assert answer.status_code == 415
    assert 'role="alert"' in answer.text
    assert '<form class="verify-form"' in answer.text
    assert client.post("/verify", **as_form(b""), headers=HTML).status_code == 422


def test_what_a_file_says_of_itself_is_escaped(client, tmp_path, monkeypatch):
    from facemix.safety import credentials

    monkeypatch.setattr(credentials, "generator_of", lambda manifest: "<script>alert(1)</script>")
    with verifying(tmp_path) as (_, foreign):
        answer = client.post("/verify", **as_form(foreign), headers=HTML)
    assert "Signed, but not here" in answer.text
    assert "<script>alert" not in answer.text


def test_looking_counts_as_work(tmp_path):
    with verifying(tmp_path, rate_per_address="2/minute") as (client, result):
        assert [client.post("/verify", **as_form(result)).status_code for _ in range(3)] == [200, 200, 429]
        problem(client.post("/api/v1/verify", **as_form(result)), 429, "rate_limited")


def test_files_do_not_queue_without_end(client, result, monkeypatch):
    from facemix.web import api_verify

    monkeypatch.setattr(api_verify, "MOST_WAITING", 0)
    refused = client.post("/api/v1/verify", **as_form(result))
    problem(refused, 503, "busy")
    assert int(refused.headers["retry-after"]) > 0
