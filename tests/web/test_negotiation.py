import pytest

from facemix.errors import NotAcceptable
from facemix.web.negotiation import known_copy, negotiate, prefers_html

OFFERS = ("application/json", "image/png", "image/webp", "image/jpeg")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/webp", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("image/*", "image/png"),
        ("image/png, */*", "image/png"),
        ("image/png;q=0.4, image/jpeg;q=0.9", "image/jpeg"),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "image/webp"),
        ("application/json, image/png", "application/json"),
        ("image/png;q=0, */*", "application/json"),
        ("application/json;q=0, */*", "image/png"),
        ("image/*;q=0.5, image/png;q=0.1, image/webp;q=0.2", "image/jpeg"),
        ("text/html, */*;q=0.001", "application/json"),
        (" image/png ; q=1.000 ", "image/png"),
        ("image/png;q=7, image/webp", "image/webp"),
        ("nonsense, image/jpeg", "image/jpeg"),
    ],
)
def test_negotiate_chooses(accept, chosen):
    assert negotiate(accept, OFFERS) == chosen


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "*/*;q=0", "png", "*/png", ";;;,", "image/png;q=0"])
def test_negotiate_refuses_and_names_the_offers(accept):
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept, OFFERS)
    assert "image/webp" in caught.value.hint


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("application/json", False),
        ("application/problem+json, text/html;q=0.5", False),
    ],
)
def test_prefers_html(accept, html):
    assert prefers_html(accept) is html


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ("", False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", W/"abc" , "y"', True),
        ("*", True),
        ("abc", False),
        ('"abcd"', False),
    ],
)
def test_known_copy(header, known):
    assert known_copy(header, '"abc"') is known
