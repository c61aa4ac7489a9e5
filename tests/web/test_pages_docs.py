"""The page about the interface: complete, with live limits, and its Python runs."""

import html
import re

import pytest
from web_client import running

from facemix.web.openapi import error_classes


@pytest.fixture(scope="module")
def page(client):
    return client.get("/docs").text


def blocks(page):
    """The lines that a test of the running server runs, as they are printed."""
    return [html.unescape(found) for found in re.findall(r'<pre class="run"[^>]*><code>(.*?)</code></pre>', page, re.S)]


def test_it_lists_every_code(client, page):
    for kind in error_classes():
        assert f"<code>{kind.code}</code>" in page
        assert client.get(f"/problems/{kind.code}").status_code == 200


def test_it_has_a_line_for_every_operation(client, page):
    commands = [line for block in blocks(page) for line in re.findall(r"curl (?:[^\n]*\\\n)*[^\n]*", block)]
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        address = (
            re.escape("http://facemix.test") + re.sub(r"\\\{\w+\\\}", r"[^/\\s\"?]+", re.escape(path)) + r"[\s\"?)]"
        )
        asked = [command for command in commands if re.search(address, command + " ")]
        for method in operations:
            sent = {"delete": " -X DELETE ", "post": r" -[Fd] "}.get(method, "")
            unsent = " -X | -[Fd] " if method == "get" else "$^"
            assert [one for one in asked if re.search(sent, one) and not re.search(unsent, one)], (method, path)


def test_limits_are_those_of_this_server():
    with running(
        max_parents=5, max_steps=33, max_cells=17, link_days=0, face_seconds=120, rate_samples="7/second"
    ) as client:
        said = re.sub(r"<[^>]+>", "", client.get("/docs").text)
        for words in ("faces in a mix5", "with 1 to 5 parents", "from 3 to 33", "faces in a grid17", "7/second of one"):
            assert words in said
        assert "stands for\n  it for 2 minutes" in said
        assert "until it is deleted, or for expires_in seconds" in said


def test_lines_name_the_address_that_was_asked(client):
    answer = client.get("/docs", headers={"Host": "mix.example:8443"}).text
    assert "curl -s http://mix.example:8443/api/v1/mix" in answer
