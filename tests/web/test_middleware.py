import json

import pytest
from web_client import OTHER, PHOTO, files, running

from facemix.web.middleware import CONTENT_SECURITY_POLICY

MIX = "/api/v1/mix"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("given", ["abc", "0f-1.2_Z", "x" * 128])
def test_a_well_formed_request_id_is_taken_over(client, given):
    response = client.get("/nowhere", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given
    assert response.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "é", "<b>", "a/b", "a,b"])
def test_any_other_request_id_is_replaced(client, given):
    status, answer, _, _ = client.raw("GET", "/healthz", {"X-Request-Id": given}, [b""])
    assert status == 200
    assert answer["x-request-id"] != given
    assert len(answer["x-request-id"]) == 32


def test_request_ids_differ(client):
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/model"),
        ("GET", "/about"),
        ("GET", "/problems/busy"),
        ("GET", "/nowhere"),
        ("GET", "/healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/static/facemix.css"),
        ("GET", "/static/none.css"),
        ("GET", "/api/v1/samples/1"),
        ("DELETE", "/api/v1/mix"),
        ("POST", "/"),
        ("POST", "/api/v1/faces"),
        ("HEAD", "/"),
    ],
)
def test_security_headers_are_on_every_answer(client, method, path):
    headers = client.request(method, path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["x-request-id"]


def test_caching(client):
    assert client.get("/").headers["cache-control"] == "no-store"
    assert client.post(MIX, files=files(face_a=PHOTO, face_b=OTHER)).headers["cache-control"] == "no-store"
    style = client.get("/static/facemix.css")
    assert style.headers["cache-control"] == "no-cache"
    again = client.get("/static/facemix.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status_code == 304


def test_head_is_get_without_a_body(client):
    got, head = client.get("/about"), client.request("HEAD", "/about")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert client.request("HEAD", MIX).status_code == 405


@pytest.mark.parametrize("length", ["5001", "9" * 18, "9" * 30, "-1", "x", "1e3", "٣"])
def test_a_declared_length_beyond_the_cap_is_refused_before_reading(length):
    with running(max_body_bytes=5000) as client:
        for path in (MIX, "/api/v1/strip", "/api/v1/faces"):
            headers = {**MULTIPART, "Content-Length": length.encode().decode("latin-1")}
            status, _, body, taken = client.raw("POST", path, headers, [b"x" * 100] * 3)
            assert (status, json.loads(body)["code"], taken) == (413, "body_too_large", 0)


@pytest.mark.parametrize("content_type", [MULTIPART["Content-Type"], "application/json"])
def test_a_longer_body_than_the_cap_is_refused_while_it_arrives(content_type):
    head = b'--b\r\nContent-Disposition: form-data; name="face_a"; filename="a"\r\n\r\n'
    with running(max_body_bytes=5000, max_upload_bytes=1_000_000) as client:
        chunks = [head] + [b"x" * 1000] * 20
        status, _, body, taken = client.raw("POST", MIX, {"Content-Type": content_type}, chunks)
        assert (status, json.loads(body)["code"]) == (413, "body_too_large")
        assert taken == 6


def test_a_page_says_too_large_as_a_page():
    with running(max_body_bytes=5000) as client:
        response = client.post("/", files=files(face_a=b"x" * 6000), headers={"Accept": "text/html"})
        assert response.status_code == 413
        assert response.headers["content-type"].startswith("text/html")
        assert "The request is too large" in response.text


def test_a_client_that_goes_away_is_no_defect(client, caplog):
    # More is announced than comes: after the first piece the server sees the connection close.
    status, _, _, taken = client.raw("POST", MIX, MULTIPART, [b"--b\r\n"], hang_up=True)
    assert (status, taken) == (None, 1)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert client.app.state.facemix.admission.inside == 0


def test_an_address_with_line_breaks_stays_on_one_line_of_the_log(client, caplog):
    with caplog.at_level("INFO", logger="facemix.web"):
        client.get("/x%0Arequest%20forged:%20GET%20/%20200")
    assert caplog.messages
    assert not [message for message in caplog.messages if "\n" in message]
