"""Words that move attributes; `facemix.mixing.vocabulary` reads them, and docs/attributes.md lists every one."""

from __future__ import annotations

from dataclasses import dataclass

# Attribute -> value -> what says so. "Old" moves as far as "older": an edit goes from where the mix is, and does not
# know where on a scale that lies. No word says who anybody is: the gender label has words for looks and for the label
# alone, and "dark" and "bright" speak of the picture.
_PHRASES: dict[str, dict[float, tuple[str, ...]]] = {
    "age": {
        1: ("old", "older", "aged"),
        2: ("elderly",),
        -1: ("young", "younger"),
    },
    "gender_label": {
        1: ("feminine", "labelled female"),
        -1: ("masculine", "labelled male"),
    },
    "smile": {
        1: ("smile", "smiling", "smiles", "wide mouth", "wider mouth"),
        2: ("broad smile", "big smile", "grin", "grinning"),
        -1: ("serious", "stern", "narrow mouth", "narrower mouth"),
    },
    "mouth_open": {
        1: ("mouth open", "open mouth", "showing teeth", "teeth"),
        -1: ("mouth closed", "closed mouth", "lips closed"),
    },
    "head_turn": {
        1: ("turned right", "turned to the right", "facing right", "looking right"),
        -1: ("turned left", "turned to the left", "facing left", "looking left"),
    },
    "brightness": {
        1: ("bright", "brighter", "bright light"),
        -1: ("dark", "darker", "dim", "dim light"),
    },
    "warmth": {
        1: ("warm", "warmer", "warm light", "warmer light", "golden light"),
        -1: ("cool", "cooler", "cold", "colder", "cool light", "cooler light", "cold light"),
    },
}
# What multiplies the word after it. Several multiply one another.
MODIFIERS: dict[str, float] = {
    "slightly": 0.5,
    "somewhat": 0.5,
    "a little": 0.5,
    "a bit": 0.5,
    "more": 1.0,
    "much": 2.0,
    "very": 2.0,
    "really": 2.0,
    "extremely": 3.0,
    "-": -1.0,
    "not": -1.0,
    "no": -1.0,
    "less": -1.0,
    "without": -1.0,
    "not very": -0.5,
    "not so": -0.5,
}
# Passed over between words that say something.
FILLERS = frozenset(("a", "an", "and", "expression", "face", "looking", "person", "picture", "the", "with"))


@dataclass(frozen=True)
class Word:
    """A word or short phrase, the attribute that it moves, and how far, in standard deviations."""

    text: str
    attribute: str
    value: float


# All there are, whatever a model has directions for, in the order in which they are documented.
WORDS: tuple[Word, ...] = tuple(
    Word(text, attribute, float(value))
    for attribute, values in _PHRASES.items()
    for value, texts in values.items()
    for text in texts
)
