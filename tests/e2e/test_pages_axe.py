"""axe finds nothing serious on the pages beside the studio, light and dark, large and small."""

import json

import pytest
from browsing import found

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SIZES = {"desktop": (1280, 800), "phone": (320, 740)}


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def saved(client):
    """Two recipes behind links, the second a child of the first."""
    made = []
    for parents in ([{"sample": 3}, {"sample": 7}], None):
        parents = parents or [{"recipe": made[0]["id"]}, {"sample": 1}]
        answer = client.post(
            "/api/v1/recipes", json={"parents": parents, "attributes": {"smile": 1}, "expires_in": 86400}
        )
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
    return made


@pytest.mark.parametrize("path", ["/models", "/about", "/docs", "/verify", "/problems/busy"])
def test_pages(visit, size, scheme, path):
    assert found(visit(*size, color_scheme=scheme, path=path)) == []


def test_shared(visit, size, scheme, saved):
    page = visit(*size, color_scheme=scheme, path=f"/r/{saved[1]['id']}")
    assert found(page) == []
    page.goto(saved[1]["delete_url"])
    assert found(page) == []
    page.goto(page.url.partition("?")[0])
    assert found(page) == []


def test_report(visit, size, scheme, saved, client):
    page = visit(*size, color_scheme=scheme, path=f"/report?recipe={saved[0]['id']}")
    assert found(page) == []
    answer = client.post("/api/v1/reports", json={"recipe": saved[0]["id"], "reason": "me"})
    page.goto(answer.json()["page_url"])
    assert found(page) == []


def test_gallery(visit, size, scheme, saved):
    page = visit(*size, color_scheme=scheme, path="/gallery")
    assert found(page) == []
    gone = {"id": "A" * 16, "delete_token": "x", "expires_at": None}
    entries = [
        {
            "id": one["id"],
            "deleteToken": one["delete_token"],
            "savedAt": "2026-01-01T00:00:00Z",
            "name": f"Face {number}",
        }
        for number, one in enumerate([*saved, gone])
    ]
    page.evaluate("text => localStorage.setItem('facemix.saved', text)", json.dumps(entries))
    page.reload()
    page.locator(".saved:not([data-state=loading])").nth(2).wait_for()
    for summary in page.locator(".saved-lineage:visible > summary").all():
        summary.click()
    assert found(page) == []
    page.get_by_role("button", name="Delete: Face 0").click()
    assert found(page) == []
