"""The gallery, the page behind a link, its preview, and deleting by link."""

import json
import logging
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_mixer import FakeMixer
from web_client import PHOTO, files, opened, running

from facemix.imaging.preview import PREVIEW_SIZE
from facemix.mixing.recipe import LatentParent, ModelIdentity, Recipe, SampleParent, Variation
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web.shared_views import recipe_view
from facemix.web.stores import Stores

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}
UNKNOWN = "A" * 16


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def said(self):
        return " ".join(" ".join(self.words).split())

    def meta(self, name):
        (found,) = [
            a["content"] for tag, a in self.elements if tag == "meta" and name in (a.get("property"), a.get("name"))
        ]
        return found

    def links(self):
        return [a["href"] for tag, a in self.elements if tag == "a"]

    def images(self):
        return [a["src"] for tag, a in self.elements if tag == "img"]


@contextmanager
def storing(folder, factory=FakeMixer, **settings):
    """The application with somewhere to save recipes."""
    settings["data_dir"] = folder
    database = Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}")
    database.upgrade()
    with running(factory, stores=Stores.open(Settings(**settings), database), **settings) as client:
        client.folder = folder
        yield client
    database.close()


@pytest.fixture
def store(tmp_path):
    with storing(tmp_path) as client:
        yield client


def face_id(client):
    return client.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"][0]["id"]


def save(client, *parents, **body):
    answer = client.post("/api/v1/recipes", json={"parents": list(parents) or [{"sample": 3}, {"sample": 7}], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def shown(client, identity, status=200, headers=HTML):
    answer = client.get(f"/r/{identity}", headers=headers)
    assert answer.status_code == status
    return Page(answer.text)


def change(client, identity, **columns):
    """Edits the row of a saved recipe behind the application's back."""
    with sqlite3.connect(client.folder / "facemix.sqlite3") as database:
        for name, value in columns.items():
            database.execute(f"UPDATE recipes SET {name} = ? WHERE id = ?", (value, identity))


def make_older(client, identity):
    """As if another model had drawn it."""
    recipe = client.get(f"/api/v1/recipes/{identity}").json()["recipe"]
    recipe["model"] = {"name": "former-64", "weights": "5e" * 32, "latent_schema": 1}
    change(client, identity, recipe=json.dumps(recipe), model_weights="5e" * 32)


# The page behind a link


def test_a_link_shows_the_face_and_what_it_was_mixed_of(store):
    first = save(store, {"face_id": face_id(store), "weight": 0.25}, {"sample": 7, "weight": 0.75}, vividness=0.5)
    second = save(store, {"recipe": first["id"]}, {"sample": 3}, regions={"eyes": [1, 0]})
    page = shown(store, first["id"])
    assert f"/api/v1/recipes/{first['id']}/picture" in page.images()
    for words in ("A mix of two faces", "A photo or mix, not kept 25 %", "Sample face 8 75 %", "Vividness 0.5"):
        assert words in page.said
    assert "/api/v1/samples/7" in page.images()
    assert f"/?recipe={first['id']}" in page.links()
    page = shown(store, second["id"])
    assert f"/r/{first['id']}" in page.links()
    assert "Eyes 100 % of face 1" in page.said
    for source in page.images():
        assert store.get(source).status_code == 200


def test_a_link_is_told_to_other_sites_with_absolute_addresses(store):
    saved = save(store, expires_in=3600)
    page = shown(store, saved["id"])
    assert page.meta("og:url") == saved["url"] == f"http://facemix.test/r/{saved['id']}"
    assert page.meta("og:image") == page.meta("twitter:image") == f"{saved['url']}/preview.png"
    assert page.meta("og:title") == page.meta("twitter:title") == "A mix of two faces"
    assert (page.meta("og:image:width"), page.meta("og:image:height")) == tuple(map(str, PREVIEW_SIZE))
    assert "nobody's photograph" in page.meta("og:image:alt")
    assert page.meta("robots") == "noindex"
    assert store.get(f"/r/{saved['id']}").headers["x-robots-tag"] == "noindex"


def test_the_addresses_keep_to_the_prefix_and_to_the_host_that_was_asked(store):
    saved = save(store)
    store.app.root_path = "/faces"
    page = Page(store.get(f"/faces/r/{saved['id']}", headers={**HTML, "Host": "mix.example:8443"}).text)
    assert page.meta("og:image") == f"http://mix.example:8443/faces/r/{saved['id']}/preview.png"
    assert all(link.startswith(("/faces", "#")) for link in page.links())


@pytest.mark.parametrize("host", ["[::", "a b", '"><script>', "mix.example/evil", "x:99999999"])
def test_a_host_that_is_none_is_not_repeated(store, host):
    saved = save(store)
    status, _, body, _ = store.raw("GET", f"/r/{saved['id']}", {**HTML, "Host": host}, [b""])
    assert status == 200
    assert Page(body.decode()).meta("og:url") == f"http://facemix.test/r/{saved['id']}"


def test_a_link_says_when_it_ends(store):
    saved = save(store, expires_in=86400)
    page = shown(store, saved["id"])
    ends = datetime.fromisoformat(saved["expires_at"])
    assert f"ends {ends.day} {ends:%B %Y, %H:%M} UTC" in page.said
    with sqlite3.connect(store.folder / "facemix.sqlite3") as database:
        database.execute("UPDATE recipes SET expires_at = NULL")
    assert "ends when it is deleted" in shown(store, saved["id"]).said


def test_a_face_of_another_model_is_shown_and_offered_as_a_picture(store):
    saved = save(store)
    make_older(store, saved["id"])
    page = shown(store, saved["id"])
    assert "drawn by former-64@5e5e5e5e5e5e , and this server now runs fake-32@abababababab" in page.said
    assert f"/?picture={saved['id']}" in page.links()
    assert not any("?recipe=" in link or "?parent=" in link for link in page.links())
    assert not any("/samples/" in source for source in page.images())  # they would be somebody else's faces
    assert f"/api/v1/recipes/{saved['id']}/picture" in page.images()
    assert page.meta("og:image").endswith("/preview.png")


def test_without_a_model_the_face_is_shown_all_the_same(tmp_path):
    with storing(tmp_path) as client:
        saved = save(client)

    def broken():
        raise ValueError("no weights")

    with storing(tmp_path, broken) as client:
        page = shown(client, saved["id"])
        assert "No model is loaded at the moment" in page.said
        assert not any("?recipe=" in link or "?picture=" in link for link in page.links())


def test_a_parent_that_was_deleted_is_said_to_be_gone(store):
    first = save(store)
    second = save(store, {"recipe": first["id"]}, {"sample": 3})
    store.post(f"/r/{first['id']}/delete", content=f"token={first['delete_token']}", headers=FORM)
    page = shown(store, second["id"])
    assert "A saved face that is gone" in page.said
    assert f"/r/{first['id']}" not in page.links()


def test_a_face_that_is_opened_and_saved_again_keeps_its_lineage(store):
    first = save(store)
    second = store.get(f"/api/v1/recipes/{save(store, {'recipe': first['id']}, {'sample': 3})['id']}").json()["recipe"]
    latent = {"model": second["model"], **{name: second["parents"][0][name] for name in ("z", "origin")}}
    third = save(store, {"latent": latent, "weight": 0.5}, {"sample": 3, "weight": 0.5})
    assert store.get(f"/api/v1/recipes/{third['id']}").json()["recipe"] == second
    assert f"/r/{first['id']}" in shown(store, third["id"]).links()
    answer = store.post("/api/v1/recipes", json={"parents": [{"latent": {**latent, "origin": "../x"}}]})
    assert answer.status_code == 422


def test_a_link_that_leads_nowhere_is_a_page_with_advice_and_a_problem_for_programs(store):
    saved = save(store, expires_in=3600)
    change(store, saved["id"], expires_at="2020-01-01 00:00:00.000000")
    for identity in (saved["id"], UNKNOWN, "x", "%00", "a" * 4000, "%F0%9F%98%80"):
        page = shown(store, identity, 404)
        assert "There is no face here" in page.said
        assert "Ask for a new link" in page.said
        assert page.meta("robots") == "noindex"
        answer = store.get(f"/r/{identity}", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (404, "record_missing")
        assert store.get(f"/r/{identity}/preview.png").status_code == 404
        assert store.get(f"/r/{identity}/delete?token=x", headers=HTML).status_code == 404


def test_without_storage_links_are_refused_as_an_outage():
    with running() as client:
        answer = client.get(f"/r/{UNKNOWN}", headers=HTML)
        assert answer.status_code == 503
        assert "This server keeps no recipes" in answer.text


# The preview


def test_the_preview_is_a_large_picture_of_the_face(store):
    saved = save(store)
    answer = store.get(f"/r/{saved['id']}/preview.png")
    assert answer.headers["content-type"] == "image/png"
    card = opened(answer.content)
    assert card.shape == (PREVIEW_SIZE[1], PREVIEW_SIZE[0], 3)
    face = opened(store.get(f"/api/v1/recipes/{saved['id']}/picture").content)
    difference = np.abs(card[64:-64, 64 : 64 + 502].mean((0, 1)) - face.mean((0, 1)))
    assert difference.max() < 12  # the face is on it
    other = save(store, {"sample": 40}, {"sample": 41})
    assert store.get(f"/r/{other['id']}/preview.png").content != answer.content


def test_no_cache_keeps_the_preview_without_asking_whether_it_is_still_there(store):
    saved = save(store)
    answer = store.get(f"/r/{saved['id']}/preview.png")
    assert answer.headers["cache-control"] == "private, no-cache"
    again = store.get(f"/r/{saved['id']}/preview.png", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]


def test_a_copy_of_the_preview_does_not_outlive_a_deletion_here(store):
    saved = save(store)
    tag = store.get(f"/r/{saved['id']}/preview.png").headers["etag"]
    store.post(f"/r/{saved['id']}/delete", content=f"token={saved['delete_token']}", headers=FORM)
    assert store.get(f"/r/{saved['id']}/preview.png", headers={"If-None-Match": tag}).status_code == 404


# Deleting by link


def test_opening_the_delete_link_asks_and_deletes_nothing(store):
    saved = save(store)
    address = saved["delete_url"].removeprefix("http://facemix.test")
    for method in ("GET", "HEAD"):
        answer = store.request(method, address, headers=HTML)
        assert answer.status_code == 200
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    page = Page(store.get(address, headers=HTML).text)
    (form,) = [a for tag, a in page.elements if tag == "form"]
    assert (form["method"], form["action"]) == ("post", f"/r/{saved['id']}/delete")
    (token,) = [a for tag, a in page.elements if tag == "input"]
    assert (token["type"], token["name"], token["value"]) == ("hidden", "token", saved["delete_token"])
    assert store.get(f"/api/v1/recipes/{saved['id']}").status_code == 200


def test_the_form_deletes_and_gives_a_receipt(store):
    saved = save(store)
    answer = store.post(f"/r/{saved['id']}/delete", content=f"token={saved['delete_token']}", headers=FORM)
    assert answer.status_code == 200
    page = Page(answer.text)
    assert "It is deleted" in page.said
    assert saved["id"] in page.said
    assert f"deleted {datetime.now(UTC):%-d %B %Y}" in page.said
    for path in (f"/api/v1/recipes/{saved['id']}", f"/api/v1/recipes/{saved['id']}/picture", f"/r/{saved['id']}"):
        assert store.get(path).status_code == 404
    again = store.post(f"/r/{saved['id']}/delete", content=f"token={saved['delete_token']}", headers=FORM)
    assert again.status_code == 404


@pytest.mark.parametrize(
    "body",
    ["token=wrong", "token=", "", "other=1", "token=%00%ff", "&" * 1000, "token=a&token=b", "token=" + "é" * 100],
)
def test_a_wrong_token_deletes_nothing_and_is_said_to_be_wrong(store, body):
    saved = save(store)
    answer = store.post(f"/r/{saved['id']}/delete", content=body.encode(), headers=FORM)
    assert answer.status_code == 404
    assert "It was not deleted" in answer.text
    assert store.get(f"/api/v1/recipes/{saved['id']}").status_code == 200


def test_the_token_of_one_recipe_deletes_no_other(store):
    first, second = save(store), save(store)
    answer = store.post(f"/r/{first['id']}/delete", content=f"token={second['delete_token']}", headers=FORM)
    assert answer.status_code == 404
    assert store.get(f"/r/{first['id']}").status_code == store.get(f"/r/{second['id']}").status_code == 200


def test_a_delete_link_without_its_token_says_so(store):
    saved = save(store, expires_in=3600)
    for query in ("", "?token=", "?x=1"):
        page = Page(store.get(f"/r/{saved['id']}/delete{query}", headers=HTML).text)
        assert "The link to delete it is not complete" in page.said
        assert not [tag for tag, _ in page.elements if tag == "form"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"token=x", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"token=" + b"x" * 4000, 422),
    ],
)
def test_a_body_that_is_no_such_form_is_refused(store, kind, body, status):
    saved = save(store)
    answer = store.post(f"/r/{saved['id']}/delete", content=body, headers={**HTML, "Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert store.get(f"/r/{saved['id']}").status_code == 200


def test_markup_in_a_token_is_escaped(store):
    saved = save(store)
    text = store.get(f"/r/{saved['id']}/delete", params={"token": '"><script>alert(1)</script>'}, headers=HTML).text
    assert "<script>alert" not in text


def test_neither_token_nor_id_gets_into_the_log(store, caplog):
    saved = save(store)
    with caplog.at_level(logging.DEBUG):
        store.get(f"/r/{saved['id']}", headers=HTML)
        store.get(f"/r/{saved['id']}/preview.png")
        store.get(f"/r/{saved['id']}/delete?token={saved['delete_token']}", headers=HTML)
        store.post(f"/r/{saved['id']}/delete", content=f"token=x{saved['delete_token']}", headers=FORM)
        store.post(f"/r/{saved['id']}/delete", content=f"token={saved['delete_token']}", headers=FORM)
        store.get(f"/r/{saved['id']}", headers=HTML)
    ours = [record for record in caplog.records if not record.name.startswith("httpx")]  # the client in this test
    lines = [record.getMessage() + str(vars(record)) for record in ours]
    assert any("/r/{identity}/delete" in line for line in lines)
    for line in lines:
        assert saved["id"] not in line
        assert saved["delete_token"] not in line


# The gallery


def test_the_gallery_is_the_same_for_everybody_and_works_without_scripts(store):
    save(store)
    text = store.get("/gallery", headers=HTML).text
    page = Page(text)
    assert "Nothing is saved here yet" in page.said
    assert "Without JavaScript, open the links that you noted" in page.said
    assert not page.images()
    assert ("status", "status") in [(a.get("id"), a.get("role")) for _, a in page.elements]


# Recipes in words

LIVE = ModelIdentity(name="live", weights="ab" * 32)
Z = np.zeros(4, np.float32)


def recipe(*parents, **edits):
    return Recipe(model=LIVE, parents=parents, **edits)


def test_views_of_recipes():
    full = recipe(
        SampleParent(number=0, weight=0.6),
        LatentParent.from_latent(Z, weight=0.4),
        LatentParent.from_latent(Z, weight=0.0, origin="k" * 16),
        attributes={"smile": 1.25, "head_turn": -2},
        regions={"hair": [0, 0.5, 0.5]},
        colour=[0, 1, 0],
        variation=Variation(number=4, radius=0.3),
        interpolation="slerp",
        seed=9,
    )
    view = recipe_view(full, live=LIVE, origins=["k" * 16], titles={"smile": "Smile"})
    assert view.title == "A mix of three faces"
    assert [(one.kind, one.percent, one.sample, one.seed, one.origin) for one in view.parents] == [
        ("sample", 60, 0, 9, None),
        ("photo", 40, None, 0, None),
        ("saved", 0, None, 0, "k" * 16),
    ]
    assert view.mixed_of == ["60 % sample face 1, 40 % a photo or mix"]
    assert list(view.edits) == [
        ("Head turn", "-2"),
        ("Smile", "+1.2"),
        ("Hair", "50 % of face 2, 50 % of face 3"),
        ("Colours", "100 % of face 2"),
        ("Variation", "number 5, radius 0.3"),
        ("Interpolation", "slerp"),
    ]
    alone = recipe_view(recipe(SampleParent(number=0, weight=1.0)), live=None, origins=(), titles={})
    assert (alone.title, alone.mixed_of, alone.parents[0].sample) == ("One face", [], None)


def test_many_parents_are_counted_in_figures():
    many = recipe(*(SampleParent(number=number, weight=0.1) for number in range(10)))
    assert recipe_view(many, live=LIVE, origins=(), titles={}).title == "A mix of 10 faces"
