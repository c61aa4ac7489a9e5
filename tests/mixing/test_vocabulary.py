import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_directions import made_directions
from tiny import tiny_checkpoint

from facemix.errors import RecipeInvalid
from facemix.mixing.attributes import LIMIT, check
from facemix.mixing.vocabulary import LONGEST, Unknown, parse, words
from facemix.mixing.words import FILLERS, MODIFIERS, WORDS
from facemix.resources import resource_dir
from facemix.training.measures import MEASURES
from facemix.vae.checkpoint import read_card
from facemix.vae.directions import AttributeDirections, load_directions

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "attributes.md"


@pytest.fixture(scope="module")
def directions(tmp_path_factory):
    """The names that ship, on a model of their own."""
    made = made_directions(read_card(tiny_checkpoint(tmp_path_factory.mktemp("vocabulary") / "tiny")))
    template = made.card.attributes[0]
    attributes = tuple(template.model_copy(update={"name": one.name, "title": one.title}) for one in MEASURES)
    tensor = made.directions[:1].repeat(len(attributes), 1)
    return AttributeDirections(made.card.model_copy(update={"attributes": attributes}), tensor)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A model with directions for the smile and the age alone."""
    return made_directions(read_card(tiny_checkpoint(tmp_path_factory.mktemp("few") / "tiny")))


def near(prompt, directions):
    return {one.text: one.near for one in parse(prompt, "", directions).unknown}


@pytest.mark.parametrize(
    ("prompt", "attributes"),
    [
        ("older", {"age": 1.0}),
        ("younger, smiling", {"age": -1.0, "smile": 1.0}),
        ("slightly older", {"age": 0.5}),
        ("a little older", {"age": 0.5}),
        ("very old", {"age": 2.0}),
        ("much younger", {"age": -2.0}),
        ("very much warmer", {"warmth": 3.0}),
        ("not smiling", {"smile": -1.0}),
        ("no smile", {"smile": -1.0}),
        ("-smiling", {"smile": -1.0}),
        ("- smiling", {"smile": -1.0}),
        ("−smiling", {"smile": -1.0}),
        ("less bright", {"brightness": -1.0}),
        ("not very old", {"age": -0.5}),
        ("serious", {"smile": -1.0}),
        ("mouth open, turned left", {"mouth_open": 1.0, "head_turn": -1.0}),
        ("open-mouth", {"mouth_open": 1.0}),
        ("warm light, dark", {"warmth": 1.0, "brightness": -1.0}),
        ("masculine", {"gender_label": -1.0}),
        ("labelled female", {"gender_label": 1.0}),
        ("age +1.5", {"age": 1.5}),
        ("smile=-2", {"smile": -2.0}),
        ("smile: -2", {"smile": -2.0}),
        ("(smiling:1.5)", {"smile": 1.5}),
        ("mouth_open 2; head_turn -1", {"mouth_open": 2.0, "head_turn": -1.0}),
        ("gender label 0.25", {"gender_label": 0.25}),
        ("more warmth, less age", {"warmth": 1.0, "age": -1.0}),
        ("younger 2", {"age": -2.0}),
        ("An OLDER, Smiling person", {"age": 1.0, "smile": 1.0}),
        ("older smiling and a very dark picture", {"age": 1.0, "smile": 1.0, "brightness": -2.0}),
        ("ｏｌｄｅｒ", {"age": 1.0}),
        ("older,,  ;\n\tolder", {"age": 2.0}),
        ("old, young", {}),
        ("age 0", {}),
        ("", {}),
        (" , ;", {}),
    ],
)
def test_words_become_values(directions, prompt, attributes):
    found = parse(prompt, "", directions)
    assert found.attributes == pytest.approx(attributes)
    assert found.unknown == ()
    assert [note for note in found.notes if note.code != "clipped"] == []


def test_the_negative_prompt_is_subtracted(directions):
    found = parse("smiling", "very dark, no smile", directions)
    assert found.attributes == {"smile": 2.0, "brightness": 2.0}
    assert [(term.text, term.attribute, term.value) for term in found.terms] == [
        ("smiling", "smile", 1.0),
        ("very dark", "brightness", 2.0),
        ("no smile", "smile", 1.0),
    ]


def test_terms_add_up_to_the_attributes(directions):
    found = parse("age 0.1, age 0.2, slightly older", "young", directions, onto={"age": 0.4, "smile": 1.0})
    assert found.attributes == {"age": 2.2, "smile": 1.0}


def test_words_may_take_back_what_sliders_do(directions):
    assert parse("younger", "", directions, onto={"age": 1.0, "smile": 0.5}).attributes == {"smile": 0.5}


@pytest.mark.parametrize(
    ("prompt", "value", "said"),
    [
        ("age 9", 3.0, "“Age” adds up to 9 and is taken as 3"),
        ("very young, age -2", -3.0, "adds up to -4 and is taken as -3"),
    ],
)
def test_more_than_there_is_is_cut_and_said(directions, prompt, value, said):
    found = parse(prompt, "", directions)
    assert found.attributes == {"age": value}
    (note,) = found.notes
    assert note.code == "clipped"
    assert said in note.message


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("dark skin", "“skin” is not in the vocabulary"),
        ("beautiful", "“beautiful” is not in the vocabulary"),
        ("old man", "“man” is not in the vocabulary"),
        ("smiling woman", "“woman” is not in the vocabulary"),
        ("x0y", "“x0y” is not in the vocabulary"),
        ("<script>", "“<script>” is not in the vocabulary"),
        ("age", "“age” needs a number, as “age +1”"),
        ("age 1e999", "“age” needs a number"),
        ("age nan", "“age” needs a number"),
        ("age inf", "“age” needs a number"),
        ("age 5000", "“age” needs a number"),
        ("older 1.2.3", "“1.2.3” is not in the vocabulary"),
        ("1", "“1” is not in the vocabulary"),
        ("very", "names nothing that could be changed"),
        ("older very", "names nothing that could be changed"),
        ("a person", "names nothing that could be changed"),
        ("very very very very old", "3 modifiers before a word are the most"),
    ],
)
def test_what_is_not_understood_changes_nothing_and_is_reported(directions, prompt, reason):
    found = parse(f"warm, {prompt}", "", directions)
    assert found.attributes == {"warmth": 1.0}
    assert [one.text for one in found.unknown] == [prompt]
    (note,) = found.notes
    assert note.code == "unknown_words"
    assert note.message.startswith(f"“{prompt}” changes nothing: ")
    assert reason in note.message


def test_near_words_are_named_and_never_taken(directions):
    found = parse("smilng, youngr", "", directions)
    assert found.attributes == {}
    assert found.unknown[0] == Unknown("smilng", ("smiling", "smile"))
    assert found.unknown[1].near[0] == "younger"
    assert "Did you mean “smiling” or “smile”?" in found.notes[0].message
    assert near("qqqqq", directions) == {"qqqqq": ()}


def test_words_without_a_direction_are_reported_with_the_reason(few):
    found = parse("older, warm light, head_turn 2", "", few)
    assert found.attributes == {"age": 1.0}
    assert [one.text for one in found.unknown] == ["warm light", "head_turn 2"]
    assert found.notes[0].message == "“warm light” changes nothing: tiny has no direction for warmth."
    assert near("warmer ligth", few) == {"warmer ligth": ()}  # nothing is suggested that would not work


def test_a_direction_of_a_name_that_nobody_foresaw_takes_numbers(few):
    attribute = few.card.attributes[0].model_copy(update={"name": "length_of_the_nose"})
    other = AttributeDirections(few.card.model_copy(update={"attributes": (attribute,)}), few.directions[:1])
    assert parse("length_of_the_nose 2, length of the nose -0.5", "", other).attributes == {"length_of_the_nose": 1.5}


def test_what_cannot_be_seen_is_left_out(directions):
    marks = "\u202e\u200f\u200b\u2066\ufeff"
    found = parse(f"{marks}old{marks}er, \x00sm\x07iling\x1b[31m, \ud800", "", directions)
    assert found.attributes == {"age": 1.0}
    assert [one.text for one in found.unknown] == ["sm iling [31m"]
    assert all(note.message.isprintable() for note in found.notes)


@pytest.mark.parametrize("place", ["prompt", "negative_prompt"])
def test_a_prompt_that_is_too_long_is_refused(directions, place):
    longest = {"prompt": "", "negative_prompt": "", place: "old," * (LONGEST // 4)}
    assert parse(**longest, directions=directions).attributes == {"age": 3.0 if place == "prompt" else -3.0}
    with pytest.raises(RecipeInvalid, match=f"has {LONGEST + 1} characters") as refused:
        parse(**{**longest, place: longest[place] + "x"}, directions=directions)
    assert refused.value.where == place


@pytest.mark.parametrize(
    "prompt",
    [
        ",".join(f"smiing {at}" for at in range(180)),
        "very " * (LONGEST // 5),
        "x" * LONGEST,
        "\ufdfa" * LONGEST,  # compatibility makes 18 letters of it
        "-" * LONGEST,
        "(" * LONGEST,
        "smiling " * (LONGEST // 8),
    ],
)
def test_a_hostile_prompt_is_read_in_bounds(directions, prompt):
    found = parse(prompt, prompt, directions)
    assert len(found.notes) <= 10
    assert max((len(one.text) for one in found.unknown), default=0) <= 60
    assert max((len(note.message) for note in found.notes), default=0) < 400


@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_is_written_the_attributes_can_be_applied(directions, prompt, negative):
    found = parse(prompt, negative, directions)
    check(found.attributes, directions)
    assert all(math.isfinite(term.value) for term in found.terms)


pieces = st.lists(
    st.one_of(
        st.sampled_from([word.text for word in WORDS]),
        st.sampled_from([*MODIFIERS, *FILLERS, ",", "+2", "-1.5", "999", "nonsense", "age", "warmth"]),
    ),
    max_size=14,
).map(" ".join)


@given(pieces, pieces)
def test_the_attributes_are_the_bounded_sum_of_the_terms(directions, prompt, negative):
    found = parse(prompt, negative, directions)
    for name in directions.names:
        total = sum(term.value for term in found.terms if term.attribute == name)
        assert found.attributes.get(name, 0.0) == pytest.approx(max(-LIMIT, min(LIMIT, total)), abs=1e-5)
        assert (abs(total) > LIMIT + 1e-5) <= any(note.code == "clipped" for note in found.notes)


@given(pieces)
def test_a_negative_prompt_is_the_mirror_image(directions, prompt):
    found = parse(prompt, "", directions).attributes
    assert parse("", prompt, directions).attributes == {name: -value for name, value in found.items()}


def test_every_word_is_read_as_what_it_is(directions):
    for word in words(directions):
        assert parse(word.text, "", directions).attributes == {word.attribute: word.value}
    for text, factor in MODIFIERS.items():
        assert parse(f"{text} bright", "", directions).attributes == {"brightness": factor}


def test_no_word_is_there_twice():
    texts = [word.text for word in WORDS]
    assert len(set(texts)) == len(texts)
    assert not {*texts} & ({*MODIFIERS} | FILLERS)


def test_only_words_for_directions_that_are_there_are_listed(few, directions):
    assert {word.attribute for word in words(few)} == {"smile", "age"}
    assert words(directions) == WORDS


def test_the_shipped_model_has_a_direction_for_every_word():
    folder = resource_dir("checkpoints") / "facemix-128"
    assert words(load_directions(folder, read_card(folder))) == WORDS


def test_the_documented_vocabulary_is_the_one_there_is():
    text = DOCUMENT.read_text(encoding="utf-8")
    for attribute in dict.fromkeys(word.attribute for word in WORDS):
        mine = [word for word in WORDS if word.attribute == attribute]
        values = dict.fromkeys(word.value for word in mine)
        cells = [f"{value:+g}: {', '.join(word.text for word in mine if word.value == value)}" for value in values]
        assert f"| `{attribute}` | {'; '.join(cells)} |" in text
    factors = dict.fromkeys(MODIFIERS.values())
    for factor in factors:
        texts = ", ".join(f"`{text}`" for text, value in MODIFIERS.items() if value == factor)
        assert f"| {factor:g} | {texts} |" in text
    passed = ", ".join(f"`{text}`" for text in sorted(FILLERS))
    assert f"Passed over: {passed}." in " ".join(text.split())
