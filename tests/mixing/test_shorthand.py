import pytest

from facemix.errors import RequestInvalid
from facemix.mixing.recipe import OntoBlurred, OntoPhoto, OntoPlain
from facemix.mixing.shorthand import keep_of_field, parent_number, placement_of_field, read_keep, read_placement


@pytest.mark.parametrize(
    ("text", "number"),
    [("a", 0), ("B", 1), ("z", 25), ("0", 0), ("07", 7), ("31", 31)]
    + [(text, None) for text in ("", "32", "aa", "-1", "1.0", "é", "٣", "a ", "100")],
)
def test_a_parent_is_named_by_letter_or_number(text, number):
    assert parent_number(text) == number


def test_what_is_kept_is_read_from_few_characters():
    assert read_keep(["hair=a", " Glasses = B", "background=mixed"], where="keep") == {
        "hair": 0,
        "glasses": 1,
        "background": "mixed",
    }
    assert read_keep([], where="keep") == {}


@pytest.mark.parametrize(
    "parts", [["hair"], ["hair="], ["nose=a"], ["hair=aa"], ["hair=32"], ["=a"], [""], ["hair=a=b"]]
)
def test_what_keeps_nothing_is_refused(parts):
    with pytest.raises(RequestInvalid, match="keeps nothing") as refused:
        read_keep(parts, where="--keep")
    assert refused.value.where == "--keep"


def test_a_trait_is_kept_once():
    with pytest.raises(RequestInvalid, match="hair is given twice"):
        read_keep(["hair=a", "hair=b"], where="--keep")


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("photo", OntoPhoto()),
        ("photo:b", OntoPhoto(parent=1)),
        ("photo:3", OntoPhoto(parent=3)),
        ("blurred:a", OntoBlurred()),
        ("blurred", OntoBlurred()),
        ("plain", OntoPlain()),
        ("plain:#E8E4DA", OntoPlain(colour="#e8e4da")),
        ("crop", None),
    ],
)
def test_a_placement_is_read_from_few_characters(text, placement):
    assert read_placement(text, where="--onto") == placement
    assert placement_of_field(text) == placement


@pytest.mark.parametrize(
    "text", ["", "sky", "photo:", "photo:ab", "photo:40", "plain:red", "plain:#fff", "plain:#e8e4da1", "crop:a"]
)
def test_what_is_no_placement_is_refused(text):
    with pytest.raises(RequestInvalid, match="nothing that a face is put onto") as refused:
        read_placement(text, where="--onto")
    assert refused.value.where == "--onto"


def test_a_field_of_a_form_takes_json_as_well():
    assert keep_of_field(' {"hair": 0}') == {"hair": 0}
    assert keep_of_field("hair=a, glasses=mixed") == {"hair": 0, "glasses": "mixed"}
    assert placement_of_field('{"onto": "plain"}') == {"onto": "plain"}
    assert placement_of_field("null") is None
    for read, text in (
        (keep_of_field, "{"),
        (keep_of_field, "hat=a"),
        (placement_of_field, "{"),
        (placement_of_field, "x"),
    ):
        with pytest.raises(ValueError, match=r"begins as JSON|keeps nothing|nothing that a face"):
            read(text)
