import pytest

from facemix.web.card import WEIGHTS_LICENCE, card_licence, card_licence_short, card_limitations, card_rows


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ({}, WEIGHTS_LICENCE),
        ({"licence": "own use"}, "own use"),
        ({"license": "own use"}, "own use"),
        ({"licence": {"code": "Apache-2.0", "weights": "research"}}, "research"),
        ({"licence": {"code": "Apache-2.0"}}, WEIGHTS_LICENCE),
    ],
)
def test_licence(card, licence):
    assert card_licence(card) == licence


def test_a_long_licence_is_put_shortly():
    assert card_licence_short({"licence": "For Non-Commercial research " * 5}) == WEIGHTS_LICENCE
    assert len(card_licence_short({"licence": "whatever " * 50})) < 60
    assert card_licence_short({"licence": "CC0"}) == "CC0"


def test_limitations():
    assert card_limitations({}) == []
    assert card_limitations({"limitations": "one"}) == ["one"]
    assert card_limitations({"limitations": ["one", "two"]}) == ["one", "two"]


def test_rows_are_flat_and_short():
    section = {"a": {"b": 0.123456, "c": None}, "d": [1, 2], "e": True, "f": list(range(20)), "g": []}
    assert card_rows(section) == [
        ("a.b", "0.1235"),
        ("d", "1, 2"),
        ("e", "yes"),
        ("f", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ..."),
    ]
    assert card_rows(None) == []
