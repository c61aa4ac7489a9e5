import base64
import re
import threading
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_mixer import FakeMixer
from web_client import CAT, CROWD, DARK, DEFECT, OTHER, PHOTO, files, opened, running

from facemix.resources import resource_dir
from facemix.safety import terms
from facemix.web.pages import as_duration, as_moment, as_sentence

AGREED = {"consent": terms.VERSION}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = ("/", "/gallery", "/models", "/docs", "/about", "/problems/face_not_found", "/r/AAAAAAAAAAAAAAAA", "/nowhere")


class Page(HTMLParser):
    """Collects the elements of a page; `inside(id)` is the text within one."""

    VOID = frozenset({"img", "input", "link", "meta", "br", "circle", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[dict] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(dict(attrs))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            if element.get("id"):
                self.texts[element["id"]] = self.texts.get(element["id"], "") + data

    def find(self, **wanted) -> list[dict]:
        return [a for _, a in self.elements if all(a.get(k.rstrip("_")) == v for k, v in wanted.items())]

    def inside(self, identity: str) -> str:
        return " ".join(self.texts.get(identity, "").split())


def submit(client, expect=200, data=None, **photos):
    posted = files(**photos) or {"face_a": ("", b"")}
    response = client.post("/", files=posted, data={**AGREED, **(data or {})}, headers=HTML)
    assert response.status_code == expect
    assert response.headers["content-type"].startswith("text/html")
    return Page(response.text)


# --- all pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_nothing_inline_and_nothing_foreign(client, path):
    response = client.get(path, headers=HTML)
    page = Page(response.text)
    for tag, attributes in page.elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["src"].startswith("/static/")
        for name in ("src", "href", "action"):
            assert not re.match(r"(https?:)?//", attributes.get(name) or "")
    assert page.open == []  # every element is closed
    assert "fake-32@abababababab" in response.text
    assert "weights: non-commercial research" in response.text


@pytest.mark.parametrize("path", PAGES)
def test_links_and_files_of_a_page_are_there(client, path):
    for _, attributes in Page(client.get(path, headers=HTML).text).elements:
        for name in ("src", "href"):
            target = (attributes.get(name) or "").partition("#")[0]
            if target:
                assert client.get(target).status_code == 200, target


def test_scripts_import_only_what_ships():
    folder = resource_dir("static")
    imports = 0
    for script in folder.glob("*.js"):
        source = script.read_text("utf-8")
        for target in re.findall(r'from "([^"]+)"', source):
            assert (folder / target).is_file(), (script.name, target)
            imports += 1
        assert "innerHTML" not in source
        assert "eval(" not in source
        assert "http:" not in source.replace("http://www.w3.org/2000/svg", "")
    assert imports


def test_a_page_under_a_prefix_keeps_to_it():
    with running() as client:
        client.app.root_path = "/faces"
        page = Page(client.get("/faces/", headers=HTML).text)
        for tag, attributes in page.elements:
            if tag in ("link", "script", "form") or "data-sample" in attributes:
                assert (
                    attributes.get("href") or attributes.get("src") or attributes.get("action") or "/faces"
                ).startswith("/faces")


# --- the studio --------------------------------------------------------------------------------------------


def test_the_studio_has_what_scripts_and_tests_hold_on_to(client):
    page = Page(client.get("/", headers=HTML).text)
    slots = ["file-a", "file-b", "message-a", "message-b"]
    for identity in [*slots, "result", "weight", "download", "swap", "play", "status", "share"]:
        assert len(page.find(id=identity)) == 1, identity
    assert len([a for _, a in page.elements if "data-sample" in a]) == 12
    form = page.find(id="studio")[0]
    assert (form["method"], form["action"], form["enctype"]) == ("post", "/#result", "multipart/form-data")
    labelled = {a["for"] for tag, a in page.elements if tag == "label" and "for" in a}
    assert {"file-a", "file-b", "weight"} <= labelled
    assert [a["data-slot"] for _, a in page.elements if "data-slot" in a] == list("abcdefgh")


def test_ids_of_the_studio_are_unique_and_every_reference_finds_one(client):
    page = Page(client.get("/", headers=HTML).text)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    references = 0
    for tag, attributes in page.elements:
        for name in ("for", "aria-controls", "aria-labelledby", "aria-describedby", "popovertarget"):
            for target in (attributes.get(name) or "").split():
                assert target in ids, (tag, name, target)
                references += 1
        if tag == "use":
            assert attributes["href"].removeprefix("#") in ids
    assert references > 50


def test_the_form_without_scripts_sends_the_two_faces_and_nothing_else(client):
    """What the scripts add to the page, further places and panels among it, is no part of the form."""
    text = client.get("/", headers=HTML).text
    form = Page(text[text.index('<form id="studio"') : text.index("</form>")] + "</form>")
    named = {a["name"] for tag, a in form.elements if tag in ("input", "select", "textarea") and "name" in a}
    assert named == {f"{name}_{letter}" for letter in "ab" for name in ("face", "sample")} | {
        "face_a_index",
        "face_b_index",
        "consent",
        "weight",
    }


def test_the_form_without_scripts_gives_the_mix(client):
    page = submit(client, face_a=PHOTO, face_b=DARK, data={"weight": "0.3"})
    (result,) = page.find(class_="plain-result")
    assert result["alt"] == "The mix: 70 % A, 30 % B"
    shown = opened(base64.b64decode(result["src"].removeprefix("data:image/png;base64,")))
    api = client.post(
        "/api/v1/mix",
        files=files(face_a=PHOTO, face_b=DARK),
        data={"weight": "0.3", "detail": "1"},
        headers={"Accept": "image/png"},
    )
    assert np.array_equal(shown, opened(api.content))
    (link,) = page.find(download="facemix-30.png")
    assert link["href"] == result["src"]
    assert page.find(id="weight")[0]["value"] == "0.3"
    assert page.inside("message-a") == page.inside("message-b") == ""
    assert page.open == []


def test_the_form_takes_vividness(client):
    def mixed(**more):
        (result,) = submit(client, face_a=PHOTO, face_b=DARK, data=more).find(class_="plain-result")
        return opened(base64.b64decode(result["src"].removeprefix("data:image/png;base64,")))

    api = client.post(
        "/api/v1/mix",
        files=files(face_a=PHOTO, face_b=DARK),
        data={"vividness": "0.5", "detail": "0.5"},
        headers={"Accept": "image/png"},
    )
    assert np.array_equal(mixed(vividness="0.5", detail="0.5"), opened(api.content))
    assert not np.array_equal(mixed(vividness="0.5", detail="0.5"), mixed(detail="0.5"))


def test_the_form_gives_the_photos_detail_and_samples_none(client):
    (result,) = submit(client, face_a=PHOTO, face_b=DARK).find(class_="plain-result")
    api = client.post(
        "/api/v1/mix", files=files(face_a=PHOTO, face_b=DARK), data={"detail": "1"}, headers={"Accept": "image/png"}
    )
    shown = opened(base64.b64decode(result["src"].removeprefix("data:image/png;base64,")))
    assert np.array_equal(shown, opened(api.content))
    assert (result["width"], result["height"]) == (str(shown.shape[1]), str(shown.shape[0]))
    (drawn,) = submit(client, data={"sample_a": "1", "sample_b": "2"}).find(class_="plain-result")
    assert int(drawn["width"]) < shown.shape[1]


def test_the_form_tells_what_was_found():
    with running() as client:
        text = client.post("/", files=files(face_a=CROWD, face_b=DARK), data=AGREED, headers=HTML).text
        assert "3 faces found; number 1 is used." in text
        assert "The face is dark; more light keeps more likeness." in text


def test_the_form_takes_samples_and_a_photo_outranks_one(client):
    page = submit(client, data={"sample_a": "3", "sample_b": "4", "weight": "1"})
    shown = page.find(class_="plain-result")[0]["src"].removeprefix("data:image/png;base64,")
    assert np.array_equal(opened(base64.b64decode(shown)), FakeMixer().draw(4, 0))
    text = client.post(
        "/", files=files(face_a=PHOTO), data={**AGREED, "sample_a": "3", "sample_b": "4"}, headers=HTML
    ).text
    assert "One face found." in text


@pytest.mark.parametrize(
    ("photos", "status", "letter", "title"),
    [
        ({"face_a": PHOTO, "face_b": CAT}, 422, "b", "No face was found"),
        ({"face_a": b"text", "face_b": PHOTO}, 415, "a", "This kind of file is not supported"),
        ({"face_a": b"", "face_b": PHOTO}, 422, "a", "The file is empty"),
        ({"face_a": PHOTO}, 422, "b", "The request is not valid No face was chosen here."),
    ],
)
def test_a_refusal_stands_beside_the_photo_it_is_about(client, photos, status, letter, title):
    page = submit(client, status, data={"weight": "0.2"}, **photos)
    other = "b" if letter == "a" else "a"
    assert page.inside(f"message-{letter}").startswith(title)
    assert page.inside(f"message-{other}") == ""
    assert page.find(class_="plain-result") == []
    assert page.find(id="weight")[0]["value"] == "0.2"


@pytest.mark.parametrize(
    "data", [{"weight": "nan"}, {"weight": "2"}, {"seed": "x"}, {"vividness": "1"}, {"colour": "red"}]
)
def test_a_refusal_about_the_form_stands_above_it(client, data):
    page = submit(client, 422, face_a=PHOTO, face_b=OTHER, data=data)
    assert page.inside("message-a") == page.inside("message-b") == ""
    assert page.find(role="alert")
    assert page.find(id="weight")[0]["value"] == "0.5"


def test_a_refusal_puts_the_chosen_sample_back(client):
    page = submit(client, 422, face_a=CAT, data={"sample_b": "4"})
    chosen = [a.get("value") for tag, a in page.elements if tag == "option" and "selected" in a]
    assert chosen.count("4") == 1


def test_a_defect_is_a_page_that_tells_nothing(client):
    response = client.post("/", files=files(face_a=DEFECT, face_b=PHOTO), data=AGREED, headers=HTML)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Something went wrong on the server" in response.text


def test_broken_posts_are_refused_as_pages(client):
    for headers, body in (
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "text/plain"}, b"x"),
        ({}, b""),
    ):
        status, answer, content, _ = client.raw("POST", "/", {**HTML, **headers}, [body])
        assert status in (415, 422)
        assert answer["content-type"].startswith("text/html")
        assert b'role="alert"' in content


def test_names_from_outside_are_escaped(client):
    form = {"<script>alert(1)</script>": "x"}
    response = client.post("/", files=files(face_a=PHOTO), data=form, headers=HTML)
    assert response.status_code == 422
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text


def test_while_loading_the_studio_says_so():
    release = threading.Event()

    def slow():
        release.wait(60)
        return FakeMixer()

    with running(slow, wait=False) as client:
        try:
            for path in ("/", "/gallery", "/models", "/about", "/docs"):
                response = client.get(path, headers=HTML)
                assert response.status_code == 200
                assert "No model is loaded" in response.text
            assert "still being loaded" in client.get("/", headers=HTML).text
            response = client.post("/", files=files(face_a=PHOTO, face_b=OTHER), data=AGREED, headers=HTML)
            assert response.status_code == 503
            assert response.headers["retry-after"]
        finally:
            release.set()


# --- reading matter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/gallery", "/models", "/about", "/docs"])
def test_the_navigation_says_where_one_is(client, path):
    page = Page(client.get(path, headers=HTML).text)
    (current,) = [a for _, a in page.elements if a.get("aria-current") == "page"]
    assert current["href"] == path


def test_as_sentence():
    assert as_sentence("the file is empty") == "The file is empty."
    assert as_sentence("Really?") == "Really?"
    assert as_sentence(" ") == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (600, "10 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (30 * 86400, "30 days"),
        (0.5, "0.5 seconds"),
    ],
)
def test_as_duration(seconds, words):
    assert as_duration(seconds) == words


def test_as_moment():
    moment = datetime(2026, 3, 4, 23, 5, tzinfo=timezone(timedelta(hours=1)))
    assert as_moment(moment) == "4 March 2026, 22:05 UTC"
