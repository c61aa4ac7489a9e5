"""What a browser has saved: the gallery, its lineage, deleting; and the page behind a link."""

import json
import re

import pytest
from browsing import canvas, mixed, overflow

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def save(client, *parents, expires_in=86400):
    """A recipe behind a link, as the API answers."""
    answer = client.post("/api/v1/recipes", json={"parents": list(parents), "expires_in": expires_in})
    assert answer.status_code == 201, answer.text
    return answer.json()


def entry(saved, name, minute=0, **changes):
    """What a browser keeps of it."""
    return {
        "id": saved["id"],
        "deleteToken": saved["delete_token"],
        "savedAt": f"2026-01-01T10:{minute:02}:00Z",
        "expiresAt": saved["expires_at"],
        "name": name,
        **changes,
    }


@pytest.fixture
def gallery(visit):
    """gallery(entries) opens the gallery of a browser that keeps these."""

    def opened(entries, **options):
        page = visit(path="/about", **options)
        remember(page, entries)
        page.goto(page.url.replace("/about", "/gallery"))
        if entries:
            page.locator(".saved:not([data-state=loading])").nth(len(entries) - 1).wait_for()
        return page

    return opened


def remember(page, entries):
    page.evaluate("text => localStorage.setItem('facemix.saved', text)", json.dumps(entries))


def kept(page):
    return json.loads(page.evaluate("localStorage.getItem('facemix.saved') ?? '[]'"))


def card(page, saved):
    return page.locator(f".saved[data-id='{saved['id']}']")


def loaded(image):
    """Waits until a picture is there."""
    image.scroll_into_view_if_needed()
    image.evaluate("image => image.decode()")
    return image.evaluate("image => image.naturalWidth") > 0


@pytest.fixture(scope="module")
def family(client, photos):
    """Three generations: (grandparent, parent, child)."""
    with open(photos / "a.jpg", "rb") as photo:
        face = client.post("/api/v1/faces", files={"image": photo}).json()["faces"][0]["id"]
    first = save(client, {"face_id": face, "weight": 0.25}, {"sample": 21, "weight": 0.75})
    second = save(client, {"recipe": first["id"], "weight": 0.6}, {"sample": 3, "weight": 0.4})
    third = save(client, {"recipe": second["id"], "weight": 0.5}, {"sample": 7, "weight": 0.5})
    return first, second, third


def test_an_empty_gallery_invites(gallery):
    page = gallery([])
    assert page.is_visible("text=Nothing is saved here yet")
    page.click(".gallery-empty a")
    page.wait_for_url("**/")
    assert page.is_visible("#studio")


def test_each_saved_face_is_shown_with_what_there_is_to_know(gallery, family):
    first, second, third = family
    page = gallery([entry(third, "The child", 2), entry(second, "The parent", 1), entry(first, "The grandparent")])
    assert page.inner_text("#count") == "3 saved faces in this browser."
    assert page.locator(".saved-name").all_inner_texts() == ["The child", "The parent", "The grandparent"]
    for saved, name in zip((third, second, first), ("child", "parent", "grandparent"), strict=True):
        image = card(page, saved).locator(".saved-picture img")
        assert loaded(image)
        assert image.get_attribute("alt").startswith(f"The {name}, saved ")
        assert re.search(r"Ends .*, in (24|23) hours", card(page, saved).inner_text())
    assert kept(page)[0]["name"] == "The child"
    stored = page.evaluate("JSON.stringify(Object.entries(localStorage))")
    assert "data:" not in stored
    assert set(page.evaluate("Object.keys(localStorage)")) == {"facemix.consent", "facemix.saved"}


def test_lineage_unfolds_by_keyboard_from_child_to_grandparent(gallery, family):
    first, second, third = family
    page = gallery([entry(third, "The child")])
    root = card(page, third)
    root.locator(".saved-lineage > summary").focus()
    page.keyboard.press("Enter")
    parents = root.locator(".saved-lineage > .lineage > li")
    assert parents.count() == 2
    assert "Sample face 8" in parents.nth(1).inner_text()
    assert loaded(parents.nth(1).locator("img"))
    assert parents.nth(0).locator("a").first.get_attribute("href") == f"/r/{second['id']}"
    assert loaded(parents.nth(0).locator("img").first)

    asked = [url for url in page.asked if url.endswith(f"/recipes/{first['id']}")]
    assert asked == []  # a generation is fetched when somebody looks
    parents.nth(0).locator(".further > summary").first.focus()
    page.keyboard.press("Enter")
    grandparents = parents.nth(0).locator(".further > .lineage > li")
    grandparents.first.wait_for()
    assert "A saved face 60 %" in grandparents.nth(0).inner_text().replace("\n", " ")
    grandparents.nth(0).locator(".further > summary").focus()
    page.keyboard.press("Enter")
    last = grandparents.nth(0).locator(".further > .lineage > li")
    last.first.wait_for()
    assert [text.replace("\n", " ") for text in last.all_inner_texts()] == [
        "A photo or mix, not kept 25 %",
        "Sample face 22 75 %",
    ]


def test_a_saved_face_opens_in_the_studio_and_serves_as_a_parent(gallery, family):
    first, _, _ = family
    page = gallery([entry(first, "One")])
    card(page, first).locator("text=Open in the studio").click()
    mixed(page)
    opened = canvas(page, "result")
    assert opened.std() > 10
    page.go_back()
    card(page, first).locator("text=Use as a parent").click()
    page.wait_for_selector(".parent-a .drop.filled")
    page.click("[data-sample='7']")
    mixed(page)


def test_deleting_asks_first_and_gives_a_receipt(gallery, client):
    saved, other = save(client, {"sample": 1}, {"sample": 2}), save(client, {"sample": 3}, {"sample": 4})
    page = gallery([entry(saved, "Doomed", 1), entry(other, "Spared")])
    delete = card(page, saved).get_by_role("button", name="Delete: Doomed")
    delete.focus()
    page.keyboard.press("Enter")
    assert page.is_visible("#confirm")
    assert "Doomed" in page.inner_text("#confirm-text")
    assert page.evaluate("document.activeElement.id") == "confirm-no"
    page.keyboard.press("Escape")
    assert not page.is_visible("#confirm")
    assert client.get(f"/api/v1/recipes/{saved['id']}").status_code == 200

    delete.click()
    page.click("#confirm-yes")
    card(page, saved).locator("text=Deleted on").wait_for()
    assert saved["id"] in page.inner_text("#status")
    assert client.get(f"/api/v1/recipes/{saved['id']}").status_code == 404
    assert [one["id"] for one in kept(page)] == [other["id"]]
    card(page, saved).get_by_role("button", name="Remove from the list: Doomed").click()
    assert page.locator(".saved").count() == 1
    assert page.evaluate("document.activeElement.textContent") == "Spared"
    page.reload()
    page.wait_for_selector(f".saved[data-id='{other['id']}'][data-state=ready]")
    assert page.locator(".saved").count() == 1


def test_forgetting_leaves_the_face_on_the_server(gallery, client):
    saved = save(client, {"sample": 1}, {"sample": 2})
    page = gallery([entry(saved, "Kept elsewhere")])
    forget = card(page, saved).get_by_role("button", name="Forget here only: Kept elsewhere")
    forget.click()
    assert "nobody can delete it sooner then" in page.inner_text("#confirm-text")
    page.click("#confirm-no")
    assert page.locator(".saved").count() == 1
    forget.click()
    page.click("#confirm-yes")
    page.wait_for_selector(".gallery-empty")
    assert kept(page) == []
    assert client.get(f"/api/v1/recipes/{saved['id']}").status_code == 200


def test_what_is_gone_says_so_and_can_be_removed(gallery, client):
    saved, over = save(client, {"sample": 1}, {"sample": 2}), save(client, {"sample": 3}, {"sample": 4})
    for one in (saved, over):
        client.delete(f"/api/v1/recipes/{one['id']}", headers={"X-Facemix-Delete-Token": one["delete_token"]})
    page = gallery([entry(saved, "Deleted", 1), entry(over, "Over", expiresAt="2025-06-01T00:00:00Z")])
    assert "It is gone from the server: deleted, or run out." in card(page, saved).inner_text()
    assert "It ended on June 1, 2025 and is gone from the server." in card(page, over).inner_text()
    for one, name in ((saved, "Deleted"), (over, "Over")):
        card(page, one).get_by_role("button", name=f"Remove from the list: {name}").click()
    assert page.is_visible(".gallery-empty")
    assert kept(page) == []


def test_without_a_delete_token_there_is_nothing_to_delete_with(gallery, client):
    saved = save(client, {"sample": 1}, {"sample": 2})
    page = gallery([entry(saved, "Somebody else's", deleteToken=None)])
    assert card(page, saved).get_by_role("button", name="Delete").count() == 0
    card(page, saved).get_by_role("button", name="Forget here only").click()
    assert "nobody can delete it sooner" not in page.inner_text("#confirm-text")


@pytest.mark.parametrize(
    "stored",
    [
        "{",
        "null",
        "[1, null, {}]",
        '{"id": 1}',
        '[{"id": "../../../x", "name": "<img src=x onerror=alert(1)>"}]',
        '[{"id": 1234567890123456}]',
    ],
)
def test_whatever_stands_in_the_storage_the_page_works(visit, stored):
    page = visit(path="/about")
    page.evaluate("text => localStorage.setItem('facemix.saved', text)", stored)
    page.goto(page.url.replace("/about", "/gallery"))
    page.wait_for_selector(".gallery-empty")


def test_a_name_is_text_and_no_markup(gallery, client):
    saved = save(client, {"sample": 1}, {"sample": 2})
    name = "<img src=x onerror=alert(1)>" + "x" * 300
    page = gallery([entry(saved, name)])
    assert page.inner_text(".saved-name") == name[:120]
    assert overflow(page) == 0


def test_a_face_that_another_tab_saves_or_forgets_appears_and_goes(gallery, client):
    first, second = save(client, {"sample": 1}, {"sample": 2}), save(client, {"sample": 3}, {"sample": 4})
    page = gallery([entry(first, "First")])
    other = page.context.new_page()
    other.asked = []
    other.goto(page.url.replace("/gallery", "/about"))
    remember(other, [entry(second, "Second", 1), entry(first, "First")])
    page.wait_for_selector(f".saved[data-id='{second['id']}'][data-state=ready]")
    assert page.locator(".saved-name").all_inner_texts() == ["Second", "First"]
    remember(other, [entry(second, "Second", 1)])
    card(page, first).wait_for(state="detached")
    assert page.inner_text("#count") == "One saved face in this browser."


def test_when_the_server_cannot_answer_it_says_so_and_tries_again(gallery, client):
    saved = save(client, {"sample": 1}, {"sample": 2})
    page = gallery([])
    page.route("**/api/v1/recipes/*", lambda route: route.fulfill(status=422, body="no JSON"))
    remember(page, [entry(saved, "Patient")])
    page.reload()
    page.wait_for_selector(".saved[data-state=failed]")
    assert "status 422" in card(page, saved).inner_text()
    page.unroute("**/api/v1/recipes/*")
    card(page, saved).get_by_role("button", name="Try again: Patient").click()
    page.wait_for_selector(".saved[data-state=ready]")


def test_the_link_is_copied(gallery, client, server):
    saved = save(client, {"sample": 1}, {"sample": 2})
    page = gallery([entry(saved, "Shared")], permissions=["clipboard-read", "clipboard-write"])
    card(page, saved).get_by_role("button", name="Copy link: Shared").click()
    page.locator("#status", has_text="The link is copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{server}/r/{saved['id']}"


def test_where_copying_is_not_allowed_the_link_is_marked(gallery, client, server):
    saved = save(client, {"sample": 1}, {"sample": 2})
    page = gallery([entry(saved, "Shared")])
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    card(page, saved).get_by_role("button", name="Copy link: Shared").click()
    link = card(page, saved).get_by_label("Link of Shared")
    link.wait_for()
    assert link.input_value() == f"{server}/r/{saved['id']}"
    marked = link.evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")
    assert marked == link.input_value()


def test_a_shared_face_can_be_opened_and_deleted_by_its_links(visit, client, server):
    saved = save(client, {"sample": 1, "weight": 0.3}, {"sample": 2, "weight": 0.7})
    page = visit(path=f"/r/{saved['id']}", width=375, height=740)
    assert page.inner_text("h1") == "A mix of two faces"
    assert loaded(page.locator(".shared-picture"))
    assert overflow(page) == 0
    page.click("text=Open in the studio")
    mixed(page)
    page.goto(saved["delete_url"])
    page.click("text=Delete it for everybody")
    page.wait_for_selector("text=It is deleted")
    assert "token" not in page.url
    assert client.get(f"/r/{saved['id']}").status_code == 404


def test_a_face_of_another_model_goes_on_as_a_picture(visit, client):
    saved = save(client, {"sample": 21}, {"sample": 3})
    page = visit(path=f"/?picture={saved['id']}")
    page.wait_for_selector(".parent-a .drop.filled")
    page.click("[data-sample='7']")
    mixed(page)


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("path", ["/gallery", "/models", "/about", "/docs"])
def test_no_page_is_wider_than_its_window(visit, path, width):
    page = visit(width=width, height=740, path=path)
    assert overflow(page) == 0
    for link in page.locator("nav[aria-label=Pages] a").all():
        box = link.bounding_box()
        assert box["height"] >= 24
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
