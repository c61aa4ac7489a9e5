import asyncio
import http.client
import json
from contextlib import closing

import pytest
from fake_mixer import FakeMixer
from live_server import PATIENCE, live, until
from web_client import OTHER, PHOTO, files, running

from facemix.errors import Busy
from facemix.settings import Settings
from facemix.web.app import create_app
from facemix.web.limits import Buffered
from facemix.web.middleware import CONTENT_SECURITY_POLICY, BodyLimitMiddleware, HeadMiddleware, RequestIdMiddleware

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
    assert headers["referrer-policy"] == ("same-origin" if path == "/" else "no-referrer")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert ("camera=(self)" if path == "/" else "camera=()") in headers["permissions-policy"]
    assert "microphone=()" in headers["permissions-policy"]
    assert headers["x-request-id"]


def test_the_studio_may_use_the_camera_under_a_prefix_too():
    with running() as client:
        client.app.root_path = "/faces"
        for path, camera in (("/faces/", "camera=(self)"), ("/faces/about", "camera=()")):
            assert camera in client.get(path).headers["permissions-policy"]


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


def test_head_leaves_a_real_connection_as_good_as_new():
    app = create_app(Settings(), lambda observer: FakeMixer())
    with (
        live(app) as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection,
    ):
        until(lambda: app.state.facemix.loaded is not None)  # the studio says otherwise that it is still loading
        for path in ("/", "/static/facemix.css", "/nowhere"):
            announced = []
            for method in ("HEAD", "GET", "HEAD"):
                connection.request(method, path)
                answer = connection.getresponse()
                body = answer.read()
                announced.append((answer.status, answer.headers["content-length"], answer.headers["connection"]))
                assert len(body) == (int(announced[-1][1]) if method == "GET" else 0)
            assert announced == [announced[0]] * 3
            assert announced[0][2] is None


def test_the_method_is_head_for_all_that_stands_outside():
    methods = []

    async def app(scope, receive, send):
        methods.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        methods.append(scope["method"])
        await send({"type": "http.response.body", "body": b"body"})

    scope = {"type": "http", "method": "HEAD"}

    async def send(message):
        assert scope["method"] == "HEAD"
        assert not message.get("body")

    asyncio.run(HeadMiddleware(app)(scope, None, send))
    assert methods == ["GET", "GET"]
    assert scope["method"] == "HEAD"


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


def test_an_answer_that_breaks_off_is_logged_as_a_failure(caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with caplog.at_level("INFO", logger="facemix.web.access"), pytest.raises(ZeroDivisionError):
        asyncio.run(RequestIdMiddleware(app)(scope, None, send))
    assert [record.status for record in caplog.records] == [500]


def test_one_address_may_not_fill_the_memory_for_bodies():
    buffered = Buffered(400)
    done = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await done.wait()

    async def receive():
        return {"type": "http.request", "body": b"x" * 100, "more_body": False}

    def asked(address):
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (address, 1)}
        return BodyLimitMiddleware(app, 150, buffered)(scope, receive, None)

    async def go():
        held = asyncio.create_task(asked("192.0.2.1"))
        await asyncio.sleep(0)
        assert buffered.bytes == 100
        with pytest.raises(Busy, match="150"):  # a quarter is less than one body may have
            await asked("192.0.2.1")
        others = [asyncio.create_task(asked(f"192.0.2.{number}")) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        assert buffered.bytes == 400
        done.set()
        await asyncio.gather(held, *others)
        await asked("192.0.2.1")
        assert buffered.bytes == 0

    asyncio.run(asyncio.wait_for(go(), PATIENCE))
