import asyncio
import contextlib
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from web_client import problem

from facemix.errors import ImageTooLarge, MediaTypeUnsupported, RequestInvalid
from facemix.web.forms import MAX_HEADER_BYTES, Form, read_form, too_large
from facemix.web.inputs_form import RECIPE_FILES

BOUNDARY = "xyz"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CAP = 100_000


def part(name: str | None, data: bytes, filename: str | None = None, extra: str = "") -> bytes:
    disposition = "form-data" + (f'; name="{name}"' if name is not None else "")
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{extra}\r\n".encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, content_type: str | None = CONTENT_TYPE, chunk: int = 65536) -> Form:
    async def go() -> Form:
        pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)] or [b""]

        async def receive():
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        return await read_form(request, files=("face_a", "face_b"), fields=("weight", "seed"), max_file_bytes=CAP)

    return asyncio.run(go())


@pytest.mark.parametrize("chunk", [1, 7, 65536])
def test_files_and_fields_arrive_however_the_body_is_cut(chunk):
    data = bytes(range(256)) * 3 + b"\r\n--xy not the boundary"
    body = part("face_a", data, "a.jpg", "Content-Type: image/jpeg\r\n") + part("weight", b" 0.25 ") + END
    form = read(body, chunk=chunk)
    assert form.files == {"face_a": data}
    assert form.fields == {"weight": "0.25"}


def test_nothing_touches_the_disk(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a temporary file was made")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, forbidden)
    assert len(read(part("face_a", b"x" * CAP, "a.jpg") + END).files["face_a"]) == CAP


def test_inputs_left_empty_count_as_absent():
    form = read(part("face_a", b"", "") + part("weight", b"") + part("face_b", b"", "empty.jpg") + END)
    assert form.fields == {}
    assert form.files == {"face_b": b""}  # an empty file was chosen; the reader of images refuses it


def test_a_file_beyond_the_cap_is_refused_by_name_before_the_rest_arrives():
    with pytest.raises(ImageTooLarge) as caught:
        read(part("face_b", b"x" * (CAP + 1), "b.jpg"))  # no closing boundary: it is never looked for
    assert caught.value.where == "face_b"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (part("face_c", b"x", "c.jpg") + END, "face_c"),
        (part("weight", b"0.1") + part("weight", b"0.2") + END, "weight"),
        (part("face_a", b"x", "a") + part("face_a", b"x", "a") + END, "face_a"),
        (part("face_a", b"text, not a file") + END, "face_a"),
        (part("weight", b"\xff\xfe") + END, "weight"),
        (part("weight", b"1" * 2000) + END, "weight"),
        (part(None, b"x") + END, None),
        (part("face_a", b"x", "a.jpg"), None),  # cut off
        (b"", None),
        (b"garbage", None),
        (END, None),
        (part("face_a", b"x", "a.jpg", "X-Long: " + "y" * MAX_HEADER_BYTES + "\r\n") + END, None),
    ],
)
def test_malformed_bodies_are_refused(body, where):
    if body == END:  # a form without parts is well-formed; that fields are missing is found later
        assert read(body) == Form()
        return
    with pytest.raises(RequestInvalid) as caught:
        read(body)
    assert caught.value.where == where
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        (None, MediaTypeUnsupported),
        ("text/plain", MediaTypeUnsupported),
        ("application/x-www-form-urlencoded", MediaTypeUnsupported),
        ("multipart/mixed; boundary=xyz", MediaTypeUnsupported),
        ("multipart/form-data", RequestInvalid),
        ("multipart/form-data; boundary=", RequestInvalid),
        ("multipart/form-data; boundary=" + "b" * 5000, RequestInvalid),
        ("multipart/form-data; boundary=\xff\xfe", RequestInvalid),
        ("multipart/form-data; boundary=other", RequestInvalid),
    ],
)
def test_content_types(content_type, error):
    with pytest.raises(error):
        read(part("weight", b"0.5") + END, content_type)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_random_bytes_give_a_form_or_a_refusal(noise, chunk):
    for body in (
        noise,
        part("weight", noise) + END,
        part("face_a", noise, "a"),
        f"--{BOUNDARY}\r\n".encode() + noise,
    ):
        with contextlib.suppress(RequestInvalid):
            assert isinstance(read(body, chunk=chunk), Form)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "the photo face_a is larger than 10 MB, and at most that much is taken"),
        (10 * 1024**2 + 1, "the photo face_a has 10.1 MB; at most 10 MB are taken"),
        (35 * 1024**2, "the photo face_a has 35 MB; at most 10 MB are taken"),
    ],
)
def test_how_large_a_photo_is_and_may_be_is_told_in_one_unit(size, said):
    assert too_large("face_a", 10 * 1024**2, size).message == said


def test_fields_that_are_only_counted_are_named_together(client):
    answer = client.post("/api/v1/mix", files={"photo": b"x"})
    said = problem(answer, 422, "request_invalid", "photo")
    assert said["hint"].startswith("the fields are face_a, face_b, weight, face_a_index,")
    assert said["hint"].endswith(f", photo_0 to {RECIPE_FILES[-1]}")
    assert "photo_1," not in said["hint"]
