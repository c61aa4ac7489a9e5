"""The studio's address: a saved recipe is opened, and the result of one becomes a face."""

import re
from io import BytesIO

import cv2
import numpy as np
import pytest
from browsing import difference, drawn, filled, mix_samples, mixed, rested, says, shares, until
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def small(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA)


def opened(content: bytes) -> np.ndarray:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def save(client, photos):
    """save(*parents, **edits) saves a recipe of `parents`: names of photos, or numbers of samples; returns its id."""
    made = []

    def saved(*parents, weights, **edits):
        sources = []
        for parent, weight in zip(parents, weights, strict=True):
            source = {"sample": parent}
            if isinstance(parent, str):
                found = client.post("/api/v1/faces", files={"image": (photos / parent).read_bytes()}).json()
                source = {"face_id": found["faces"][0]["id"]}
            sources.append({**source, "weight": weight})
        answer = client.post("/api/v1/recipes", json={"parents": sources, **edits})
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
        return made[-1]["id"]

    yield saved
    for one in made:
        client.delete(f"/api/v1/recipes/{one['id']}", headers={"X-Facemix-Delete-Token": one["delete_token"]})


def test_a_saved_recipe_is_opened_with_its_faces_and_edits(visit, save, client):
    regions = {"eyes": [0, 0, 1]}
    identity = save("a.png", "b.jpg", 5, weights=[0.2, 0.5, 0.3], attributes={"smile": 1.5}, regions=regions)
    page = visit(path=f"/?recipe={identity}")
    mixed(page)
    rested(page)
    assert shares(page) == [20, 50, 30]
    assert [page.inner_text(f".parent-{letter} .found-text") for letter in "abc"] == [
        "Face A of a saved result",
        "Face B of a saved result",
        "Sample 6",
    ]
    picture = opened(client.get(f"/api/v1/recipes/{identity}/picture").content)
    assert difference(small(drawn(page)), small(picture)) < 1
    # It goes on from there, with the same edits.
    with page.expect_request("**/api/v1/mix") as asked:
        page.click("#even")
    body = asked.value.post_data_json
    assert body["attributes"] == {"smile": 1.5}
    assert body["regions"] == regions
    assert [sorted(parent) for parent in body["parents"]] == [["latent", "weight"]] * 2 + [["sample", "weight"]]
    assert client.post("/api/v1/mix", json=body).status_code == 200
    # Without the second face, its share of the eyes goes, too.
    with page.expect_request("**/api/v1/*") as asked:
        page.click(".parent-b .menu-open")
        page.click("#menu-b .remove")
    assert asked.value.post_data_json["regions"] == {"eyes": [0, 1]}


def test_the_result_of_a_recipe_becomes_a_face(visit, save, client):
    identity = save(3, 7, weights=[0.5, 0.5])
    page = visit(path=f"/?parent={identity}")
    filled(page, "a")
    assert page.inner_text(".parent-a .found-text") == "A saved result"
    page.wait_for_load_state("networkidle")
    assert page.locator(".parent-a .crop").evaluate("crop => crop.naturalWidth") > 0
    with page.expect_request("**/api/v1/strip") as asked:
        mix_samples(page, 1)
    assert asked.value.post_data_json["parents"] == [{"recipe": identity}, {"sample": 1}]
    page.focus("#weight")
    page.keyboard.press("Home")
    alone = client.post("/api/v1/mix", json={"recipe": identity}, headers={"Accept": "image/png"})
    assert difference(small(drawn(page)), small(opened(alone.content))) < 4


@pytest.mark.parametrize("identity", ["AAAAAAAAAAAAAAAA", "../../metrics", "%3Cscript%3E", ""])
def test_a_recipe_that_is_not_there_says_so(visit, identity):
    page = visit(path=f"/?recipe={identity}")
    said = re.compile(r"There is no such recipe|not exist|no longer|not found|no recipe", re.IGNORECASE)
    page.wait_for_load_state("networkidle")
    assert said.search(page.inner_text("#status")), page.inner_text("#status")
    assert page.is_visible("#empty")
    mix_samples(page, 1, 2)


def test_a_recipe_of_another_model_says_so(visit, save, server):
    identity = save(3, 7, weights=[0.5, 0.5])
    page = visit(path="/about")

    def another(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "available": False})

    page.route(f"**/api/v1/recipes/{identity}", another)
    page.goto(f"{server}/?recipe={identity}")
    says(page, "The model has changed")
    assert page.is_visible("#empty")
    assert page.get_attribute("#offer a", "href") == f"/r/{identity}"
    page.goto(f"{server}/?parent={identity}")
    says(page, "The model has changed")
    assert page.locator(".drop.filled").count() == 0
    page.click("#offer button")
    filled(page, "a")
    assert page.inner_text(".parent-a .found-text") == "saved face.png"
    assert page.is_hidden("#offer")


def test_the_result_of_a_recipe_that_is_gone_adds_nothing(visit):
    page = visit(path="/?parent=AAAAAAAAAAAAAAAA")
    until(page, "/no recipe|not found|no longer|no such/i.test(document.getElementById('status').textContent)")
    assert page.locator(".drop.filled").count() == 0
    assert page.is_visible("#empty")
