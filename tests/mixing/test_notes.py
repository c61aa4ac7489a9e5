import pytest
import torch
from made_directions import made_directions
from tiny import TINY, tiny_checkpoint

from facemix.mixing.attributes import AttributeReader, apply
from facemix.mixing.notes import edit_notes
from facemix.vae.checkpoint import read_card
from facemix.vae.directions import AttributeDirections, Effect
from facemix.vae.prior import LatentPrior

SIZE = TINY.latent_size
SHIPPED = ("age", "gender_label", "smile", "mouth_open", "head_turn", "brightness", "warmth")


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return read_card(tiny_checkpoint(tmp_path_factory.mktemp("notes") / "tiny"))


@pytest.fixture(scope="module")
def made(card):
    """Seven directions, at right angles, of one step each; a step of the age is 12 years."""
    template = made_directions(card).card.attributes[0]
    attributes = tuple(
        template.model_copy(
            update={
                "name": name,
                "title": name.title(),
                "deviation": 1.0,
                "step": 12.0 if name == "age" else 0.5,
                "unit": "years" if name == "age" else "",
                "side_effects": {"smile": Effect(probe=0.0, picture=-0.2)} if name == "age" else {},
            }
        )
        for name in SHIPPED
    )
    directions = made_directions(card).card.model_copy(update={"attributes": attributes})
    return AttributeDirections(directions, torch.eye(SIZE)[: len(SHIPPED)])


@pytest.fixture(scope="module")
def reader(made):
    return AttributeReader(made, LatentPrior.standard(SIZE))


def notes(reader, made, parents, moved):
    parents = torch.tensor(parents, dtype=torch.float32)
    parents = torch.nn.functional.pad(parents, (0, SIZE - parents.shape[1]))
    return edit_notes(reader, parents, apply(parents.mean(0), moved, made), moved)


def messages(found, code="beyond_parents"):
    return [note.message for note in found if note.code == code]


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        ([[0.5]], "The face looks older than the parent, by about 24 years."),
        ([[0.5], [-0.5]], "The face looks older than either parent, by about 18 years."),
        ([[0.5], [0.5], [0.5]], "The face looks older than any parent, by about 24 years."),
    ],
)
def test_the_wording_fits_the_number_of_parents(reader, made, parents, said):
    assert messages(notes(reader, made, parents, {"age": 2.0})) == [said]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("age", -1.0, "younger than the parent, by about 12 years"),
        ("gender_label", -1.0, "label “male”"),
        ("gender_label", 1.0, "label “female”"),
        ("smile", -1.0, "narrower"),
        ("smile", 1.0, "The smile is broader than the parent's."),
        ("mouth_open", -1.0, "closed further"),
        ("mouth_open", 1.0, "open wider"),
        ("head_turn", -1.0, "left of the picture"),
        ("head_turn", 1.0, "right of the picture"),
        ("brightness", -1.0, "darker"),
        ("brightness", 1.0, "brighter"),
        ("warmth", -1.0, "cooler"),
        ("warmth", 1.0, "warmer"),
    ],
)
def test_every_attribute_has_words_for_both_ways(reader, made, name, value, said):
    (message,) = messages(notes(reader, made, [[0.0]], {name: value}))
    assert said in message


def test_an_attribute_that_nobody_has_words_for_is_named_by_its_card(made):
    attribute = made.card.attributes[0].model_copy(
        update={"name": "tan", "title": "Tan", "low": "pale", "high": "tanned", "side_effects": {}}
    )
    other = AttributeDirections(made.card.model_copy(update={"attributes": (attribute,)}), made.directions[:1])
    reader = AttributeReader(other, LatentPrior.standard(SIZE))
    assert messages(notes(reader, other, [[0.0], [0.0]], {"tan": -1.0})) == [
        "“Tan” is further towards “pale” than in either parent."
    ]


def test_without_edits_there_are_no_notes(reader):
    far = 9 * torch.ones(SIZE)
    assert edit_notes(reader, torch.zeros(2, SIZE), far, {}) == ()
    assert edit_notes(reader, torch.zeros(2, SIZE), far, {"age": 0.0}) == ()


@pytest.mark.parametrize("moved", [{"age": 0.4}, {"age": -0.4}])
def test_what_is_within_the_margin_is_not_worth_a_word(reader, made, moved):
    assert notes(reader, made, [[0.0], [0.0]], moved) == ()


def test_what_stays_among_the_parents_is_not_worth_a_word(reader, made):
    assert notes(reader, made, [[-2.0], [2.0]], {"age": 1.0}) == ()
    assert notes(reader, made, [[-2.0], [2.0]], {"age": -1.0}) == ()


def test_what_lies_beyond_without_the_edit_is_not_laid_at_its_door(reader):
    beyond = torch.zeros(SIZE)
    beyond[2] = 2.0  # smile
    assert edit_notes(reader, torch.zeros(1, SIZE), beyond, {"brightness": 0.1}) == ()
    assert edit_notes(reader, torch.zeros(1, SIZE), beyond, {"smile": 0.1}) == ()
    assert edit_notes(reader, torch.zeros(1, SIZE), beyond, {"smile": -2.0}) == ()


def test_a_side_effect_that_the_card_measured_is_told_with_its_cause(reader, made):
    # -0.2 deviations over the faces by step of the age are 0.4 steps of the smile.
    found = notes(reader, made, [[0.0], [0.0]], {"age": 2.0})
    assert messages(found, "side_effect") == [
        "The smile is narrower than either parent's, a side effect of moving “Age”."
    ]
    assert messages(notes(reader, made, [[0.0], [0.0]], {"age": 1.0}), "side_effect") == []


def test_an_attribute_has_one_note_and_what_pulls_it_back_counts(reader, made):
    both = notes(reader, made, [[0.0]], {"age": 2.0, "smile": 1.0})
    assert messages(both) == [
        "The face looks older than the parent, by about 24 years."
    ]  # 1 - 0.8 is within the margin
    more = notes(reader, made, [[0.0]], {"age": 2.0, "smile": -1.0})
    assert [note.code for note in more] == ["beyond_parents", "beyond_parents"]


def test_a_face_further_out_than_the_model_knows_is_called_so(reader, made):
    moved = dict.fromkeys(SHIPPED, 2.0)
    assert messages(notes(reader, made, [[0.0]], moved), "untypical") == [
        "Of the faces that the model knows, fewer than 1 in 1,000 lie so far out: parts of this one may not look real."
    ]
    assert messages(notes(reader, made, [[0.0]], {"warmth": 2.0}), "untypical") == []


def test_a_face_that_was_far_out_already_is_not_called_so_for_an_edit_that_brings_it_back(reader, made):
    far = [[4.0] * 7]
    assert messages(notes(reader, made, far, {"age": -1.0}), "untypical") == []
    assert len(messages(notes(reader, made, far, {"age": 1.0}), "untypical")) == 1
