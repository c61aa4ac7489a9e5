"""Consent, as requests state it, and the page of terms."""

import base64
import io
import zipfile

import pytest
from web_client import OTHER, PHOTO, files, problem, running

from facemix.safety import terms
from facemix.web.consent import HEADER

STATED = {HEADER: terms.VERSION}
IMAGE = {"image": base64.b64encode(PHOTO).decode()}
PAIR = {"parents": [IMAGE, {"sample": 1}]}


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("pairs.csv", "a,b\na.png,b.png\n")
        made.writestr("a.png", PHOTO)
        made.writestr("b.png", OTHER)
    return buffer.getvalue()


WITH_PHOTOS = {
    "mix, form": ("/api/v1/mix", {"files": files(face_a=PHOTO, face_b=OTHER)}),
    "mix, one photo": ("/api/v1/mix", {"files": files(face_a=PHOTO), "data": {"sample_b": "1"}}),
    "mix, JSON": ("/api/v1/mix", {"json": PAIR}),
    "strip, form": ("/api/v1/strip", {"files": files(face_a=PHOTO, face_b=OTHER)}),
    "strip, JSON": ("/api/v1/strip", {"json": PAIR}),
    "faces": ("/api/v1/faces", {"files": files(image=PHOTO)}),
    "grid": ("/api/v1/grids", {"json": {"kind": "weights", **PAIR}}),
    "animation": ("/api/v1/animations", {"json": {**PAIR, "seconds": 0.5, "fps": 10, "size": 128}}),
    "batch, JSON": ("/api/v1/batches", {"json": {"items": [{"parents": [{"sample": 1}, {"sample": 2}]}, PAIR]}}),
    "batch, archive": ("/api/v1/batches", {"files": files(archive=archive())}),
    "page": ("/", {"files": files(face_a=PHOTO, face_b=OTHER)}),
}
WITHOUT = {
    "mix": ("/api/v1/mix", {"json": {"parents": [{"sample": 1}, {"sample": 2}]}}),
    "mix, form": ("/api/v1/mix", {"files": {"sample_a": (None, "1"), "sample_b": (None, "2")}}),
    "strip": ("/api/v1/strip", {"json": {"parents": [{"sample": 1}, {"sample": 2}]}}),
    "grid": ("/api/v1/grids", {"json": {"kind": "weights", "parents": [{"sample": 1}, {"sample": 2}]}}),
    "batch": ("/api/v1/batches", {"json": {"items": [{"parents": [{"sample": 1}, {"sample": 2}]}]}}),
}


@pytest.fixture(scope="module")
def strict():
    with running(consent="require") as made:
        yield made


@pytest.mark.parametrize("name", WITH_PHOTOS)
def test_a_server_that_requires_consent_refuses_photos_without_it_and_takes_them_with_it(strict, name):
    path, request = WITH_PHOTOS[name]
    refused = strict.post(path, **request, headers={"accept": "*/*"})
    assert refused.status_code == 422
    if path == "/":
        assert "Consent has not been stated" in refused.text
    else:
        assert terms.VERSION in problem(refused, 422, "consent_missing")["hint"]
    taken = strict.post(path, **request, headers={"accept": "*/*", **STATED})
    assert taken.status_code in (200, 202), taken.text


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_photos_needs_no_consent(strict, name):
    path, request = WITHOUT[name]
    answer = strict.post(path, **request)
    assert answer.status_code in (200, 202), answer.text


def test_a_field_of_the_form_says_the_same_as_the_header(strict):
    for path, given in (
        ("/api/v1/mix", files(face_a=PHOTO, face_b=OTHER)),
        ("/api/v1/strip", files(face_a=PHOTO, face_b=OTHER)),
        ("/api/v1/faces", files(image=PHOTO)),
        ("/api/v1/batches", files(archive=archive())),
        ("/", files(face_a=PHOTO, face_b=OTHER)),
    ):
        answer = strict.post(path, files=given, data={"consent": terms.VERSION})
        assert answer.status_code in (200, 202), answer.text


@pytest.mark.parametrize("stated", ["yes", "2020-01-1", terms.VERSION + "0", "x" * 900])
def test_consent_to_another_text_is_none(strict, stated):
    refused = strict.post("/api/v1/faces", files=files(image=PHOTO), headers={HEADER: stated})
    assert stated[:20] in problem(refused, 422, "consent_missing")["detail"]


@pytest.mark.parametrize("mode", ["ask", "off"])
def test_otherwise_nobody_is_refused(mode):
    with running(consent=mode) as client:
        for headers in ({}, STATED, {HEADER: "nonsense"}):
            assert client.post("/api/v1/faces", files=files(image=PHOTO), headers=headers).status_code == 200


def test_the_version_and_nothing_else_goes_to_those_who_account():
    noted = []

    class Watching:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)
            noted.append(scope.get("state", {}).get("consent"))

    with running() as client:
        client.app = Watching(client.app)
        client.post("/api/v1/faces", files=files(image=PHOTO), headers=STATED)
        client.post("/api/v1/faces", files=files(image=PHOTO))
        client.post("/api/v1/faces", files=files(image=PHOTO), headers={HEADER: "Anna Muster"})
        client.post("/api/v1/mix", json={"parents": [{"sample": 1}, {"sample": 2}]}, headers=STATED)
    assert noted == [terms.VERSION, None, None, None]


def test_the_page_asks_only_where_the_operator_wants_it():
    with running(consent="ask") as client:
        page = client.get("/").text
    assert f'data-consent="{terms.VERSION}"' in page
    assert '<dialog id="consent"' in page
    assert f'name="consent" value="{terms.VERSION}"' in page
    with running(consent="off") as client:
        page = client.get("/").text
    assert "data-consent" not in page
    assert 'id="consent"' not in page
    assert 'name="consent"' not in page


def test_the_terms_are_a_page_that_every_page_leads_to(client):
    page = client.get("/terms")
    assert page.status_code == 200
    assert terms.VERSION in page.text
    for section in terms.TERMS:
        assert f'<h2 id="{section.name}">' in page.text
    assert page.text.count("<li>") == sum(len(section.points) for section in terms.TERMS)
    assert 'href="/terms"' in client.get("/about").text
