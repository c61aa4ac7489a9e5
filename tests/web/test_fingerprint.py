from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.web.fingerprint import BodyHash

BOUNDARIES = st.text("abcdefAB0123456789'()+_,-./:=?", min_size=1, max_size=70).filter(lambda text: text[-1] != " ")
# Bytes that look like a delimiter's beginning, and whole ones of others.
PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n", b"\r\n--", b"a", b"ab", b"\0", b"\r\n--a"]))


def digest(content_type: str, *chunks: bytes, query: bytes = b"") -> bytes:
    body = BodyHash(content_type, query)
    for chunk in chunks:
        body.update(chunk)
    return body.digest()


def form(boundary: str, *parts: bytes) -> tuple[str, bytes]:
    """Content type and body of a form whose parts are these bytes."""
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b'\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + part + b"\r\n" for part in parts)
    return f'multipart/form-data; boundary="{boundary}"', body + mark + b"--\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(BOUNDARIES, st.lists(PIECES.map(b"".join), max_size=4), st.lists(st.integers(0, 10_000)))
def test_it_is_the_same_however_the_body_is_cut(boundary, parts, places):
    content_type, body = form(boundary, *parts)
    assert digest(content_type, *cut(body, places)) == digest(content_type, body)
    assert digest("application/json", *cut(body, places)) == digest("application/json", body)


def test_it_is_the_same_byte_by_byte():
    content_type, body = form("a", b"\r\n--b\r\n-\r\n--", b"")
    assert digest(content_type, *(body[i : i + 1] for i in range(len(body)))) == digest(content_type, body)


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_another_boundary_says_the_same(parts):
    first, second = form("-----9f86d081884c7d65", *parts), form("b" * 70, *parts)
    assert digest(*first) == digest(*second)


@given(
    BOUNDARIES,
    BOUNDARIES,
    st.lists(PIECES.map(b"".join), max_size=3),
    st.lists(PIECES.map(b"".join), max_size=3),
)
def test_other_parts_never_say_the_same(first, second, parts, others):
    """Provided that no part holds its own delimiter, which would end it."""
    for boundary, given_parts in ((first, parts), (second, others)):
        if any(b"\r\n--" + boundary.encode() in b"\r\n" + part + b"\r\n" for part in given_parts):
            return
    assert (digest(*form(first, *parts)) == digest(*form(second, *others))) == (parts == others)


def test_a_letter_of_the_boundary_inside_of_a_part_is_no_boundary():
    assert digest(*form("a", b"cat")) != digest(*form("u", b"cut"))
    assert digest(*form("a", b"x--a")) != digest(*form("u", b"x--u"))


def test_what_is_beside_the_body_counts():
    base = digest("application/json", b"{}")
    assert digest("text/plain", b"{}") != base
    assert digest("application/json; charset=utf-8", b"{}") != base
    assert digest("application/json", b"{}", query=b"x=1") != base
    assert digest("application/json", b"") != base
    assert digest("multipart/form-data", b"{}") != digest("multipart/form-data; boundary=x", b"{}")


def test_a_client_that_builds_its_form_anew_says_the_same():
    """httpx draws a boundary for each request that is built."""

    def built(photo: bytes) -> httpx.Request:
        fields = {"data": {"left_eye": "1,2"}, "files": {"image": ("photo.jpg", photo, "image/jpeg")}}
        return httpx.Request("POST", "http://facemix.test", **fields)

    def of(request: httpx.Request) -> bytes:
        return digest(request.headers["content-type"], request.read())

    first, second = built(b"\xff\xd8 photo"), built(b"\xff\xd8 photo")
    assert first.read() != second.read()
    assert of(first) == of(second)
    assert of(first) != of(built(b"\xff\xd8 other"))


@pytest.mark.parametrize(
    "content_type", ["", "\0", "multipart/form-data; boundary=", "multipart/form-data;;;=", "é" * 50, "a" * 10_000]
)
def test_any_content_type_can_be_hashed(content_type):
    assert len(digest(content_type, b"\r\n--", b"x")) == 32


def test_it_may_be_asked_before_the_end():
    body = BodyHash("text/plain")
    assert body.digest() == body.digest()
    before = body.digest()
    body.update(b"x")
    assert body.digest() != before
