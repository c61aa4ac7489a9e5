"""Moving attributes with a few words: "slightly older, very warm light, smile -1".

No language model reads a prompt. A word that is known stands for an attribute and a value, values add up, every step is
reported, and so is what is not known, which changes nothing.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facemix.errors import RecipeInvalid
from facemix.mixing.notes import Note
from facemix.mixing.recipe import MOST_MOVED
from facemix.mixing.words import FILLERS, MODIFIERS, WORDS, Word

if TYPE_CHECKING:  # it brings torch, and a front before replicas has no use for it
    from facemix.vae.directions import AttributeDirections

LONGEST = 2000  # characters of a prompt
_SHOWN = 60  # characters of a term that are repeated in an answer
_EXPLAINED = 8  # terms that get a sentence, and a search for near matches, each; the others are counted
_MOST_MODIFIERS = 3
_NEAR = 0.7  # as `difflib` counts likeness

_TOKEN = re.compile(r"(?P<number>[+-]?\d{1,3}(?:\.\d{1,6})?(?![\w.]))|(?P<word>[^\W\d_]+)|(?P<minus>-)|(?P<other>\S)")
# Between a word and its number, around a term, and the hyphen of "open-mouthed"; not the one of "-old".
_SEPARATOR = re.compile(r"[_=:()]|(?<=[^\W\d_])-(?=[^\W\d_])")
_DIGITS = 6  # after the point, so that 0.1 and 0.2 are 0.3
_FACTORS = {tuple(text.split()): factor for text, factor in MODIFIERS.items()}
_MOST_WORDS = 16  # of an entry; an attribute's name has no more
_Phrases = Mapping[tuple[str, ...], tuple[str, float | None]]


@dataclass(frozen=True)
class Term:
    """What was understood: the words, and how far they move an attribute, in standard deviations."""

    text: str
    attribute: str
    value: float


@dataclass(frozen=True)
class Unknown:
    """What was not understood and changes nothing, with those words of the vocabulary that look like it."""

    text: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt, read.

    Attributes:
        attributes: the sum by attribute, from -3 to 3; those of 0 are left out.
        terms: what it is the sum of, in the order of the prompts.
        unknown: what was left out of it.
        notes: what a person should know, one sentence each.
    """

    attributes: dict[str, float]
    terms: tuple[Term, ...]
    unknown: tuple[Unknown, ...]
    notes: tuple[Note, ...]


def parse(
    prompt: str,
    negative_prompt: str,
    directions: AttributeDirections,
    *,
    onto: Mapping[str, float] | None = None,
) -> Prompt:
    """Reads prompts, terms by commas, each a word of the vocabulary with modifiers before it or a number after it.

    A term is understood as a whole or not at all: "dark skin" is not "dark". The negative prompt is subtracted.

    Args:
        onto: values by attribute that the prompts add to, as those of sliders.

    Raises:
        RecipeInvalid: a prompt is longer than `LONGEST`.
    """
    phrases = _phrases(directions)
    terms: list[Term] = []
    refused: dict[str, str] = {}
    for where, text, sign in (("prompt", prompt, 1.0), ("negative_prompt", negative_prompt, -1.0)):
        if len(text) > LONGEST:
            raise RecipeInvalid(
                f"the prompt has {len(text)} characters",
                hint=f"write {LONGEST} at most; a few words say all that the vocabulary knows",
                where=where,
            )
        for part in _parts(text):
            try:
                terms += _read(part, sign, phrases, directions)
            except _NotUnderstoodError as reason:
                refused.setdefault(_shown(part), str(reason))
    attributes, clipped = _summed(terms, onto or {}, directions)
    texts = [" ".join(phrase) for phrase, (attribute, _) in phrases.items() if attribute in directions.names]
    unknown = tuple(
        Unknown(text, _near(text, texts) if place < _EXPLAINED else ()) for place, text in enumerate(refused)
    )
    return Prompt(attributes, tuple(terms), unknown, (*_explained(unknown, refused), *clipped))


def words(directions: AttributeDirections) -> tuple[Word, ...]:
    """The words that move something with these directions. Besides them, names of attributes take numbers."""
    return tuple(word for word in WORDS if word.attribute in directions.names)


class _NotUnderstoodError(Exception):
    """Why a term says nothing, as the end of a sentence."""


def _phrases(directions: AttributeDirections) -> _Phrases:
    """By their words; a value of None stands for the name of an attribute, which alone says not how far."""
    names = dict.fromkeys([word.attribute for word in WORDS] + list(directions.names))
    found: dict[tuple[str, ...], tuple[str, float | None]] = {tuple(name.split("_")): (name, None) for name in names}
    return found | {tuple(word.text.split()): (word.attribute, word.value) for word in WORDS}


def _parts(text: str) -> Iterator[str]:
    """The terms, in small letters, without what cannot be seen."""
    joined = (letter for letter in text if unicodedata.category(letter) != "Cf")  # marks of direction and the like
    seen = "".join(letter if letter.isprintable() else " " for letter in joined)
    for part in re.split("[,;]", unicodedata.normalize("NFKC", seen).casefold().replace("\N{MINUS SIGN}", "-")):
        if part := " ".join(part.split()):
            yield part


def _read(part: str, sign: float, phrases: _Phrases, directions: AttributeDirections) -> list[Term]:
    """One term, which may hold several words of the vocabulary one after the other."""
    spaced = _SEPARATOR.sub(" ", part)
    tokens = list(_TOKEN.finditer(spaced))
    texts = [token[0] for token in tokens]
    found: list[Term] = []
    start, at, factor, modifiers = 0, 0, None, 0
    while at < len(texts):
        if length := _longest(phrases, texts[at : at + _MOST_WORDS]):
            attribute, value = phrases[tuple(texts[at : at + length])]
            at += length
            number = None
            if at < len(texts) and tokens[at].lastgroup == "number":
                number, at = float(texts[at]), at + 1
            if value is None and factor is None and number is None:
                name = attribute.replace("_", " ")
                raise _NotUnderstoodError(f"“{name}” needs a number, as “{name} +1”")
            if attribute not in directions.names:
                raise _NotUnderstoodError(f"{directions.card.model} has no direction for {attribute}")
            value = sign * math.prod(one for one in (value, factor, number) if one is not None)
            found.append(Term(_shown(" ".join(texts[start:at])), attribute, round(value, _DIGITS) + 0.0))
            start, factor, modifiers = at, None, 0
        elif length := _longest(_FACTORS, texts[at : at + _MOST_WORDS]):
            factor = (1.0 if factor is None else factor) * _FACTORS[tuple(texts[at : at + length])]
            at, modifiers = at + length, modifiers + 1
            if modifiers > _MOST_MODIFIERS:
                raise _NotUnderstoodError(f"{_MOST_MODIFIERS} modifiers before a word are the most")
        elif texts[at] in FILLERS:
            at += 1
        else:
            place = tokens[at].start()
            whole = spaced[:place].rpartition(" ")[2] + spaced[place:].partition(" ")[0]
            raise _NotUnderstoodError(f"“{_shown(whole)}” is not in the vocabulary")
    if factor is not None or not found:
        raise _NotUnderstoodError("it names nothing that could be changed")
    return found


def _near(text: str, known: Sequence[str]) -> tuple[str, ...]:
    return () if text in known else tuple(difflib.get_close_matches(text, known, 3, _NEAR))


def _longest(known: Mapping[tuple[str, ...], object], texts: Sequence[str]) -> int:
    """How many of the next words are, together, the longest entry; 0 where none begins here."""
    return next((length for length in range(_MOST_WORDS, 0, -1) if tuple(texts[:length]) in known), 0)


def _summed(
    terms: Sequence[Term], onto: Mapping[str, float], directions: AttributeDirections
) -> tuple[dict[str, float], list[Note]]:
    sums = dict(onto)
    for term in terms:
        sums[term.attribute] = round(sums.get(term.attribute, 0.0) + term.value, _DIGITS)
    titles = {attribute.name: attribute.title for attribute in directions.card.attributes}
    notes = [
        Note(
            "clipped", f"“{titles[name]}” adds up to {value:g} and is taken as {_bounded(value):g}, the most there is."
        )
        for name, value in sums.items()
        if abs(value) > MOST_MOVED and name in titles
    ]
    return {name: _bounded(value) for name, value in sums.items() if value}, notes


def _explained(unknown: Sequence[Unknown], reasons: Mapping[str, str]) -> list[Note]:
    notes = []
    for one in unknown[:_EXPLAINED]:
        meant = f" Did you mean {' or '.join(f'“{text}”' for text in one.near)}?" if one.near else ""
        notes.append(Note("unknown_words", f"“{one.text}” changes nothing: {reasons[one.text]}.{meant}"))
    if rest := len(unknown) - len(notes):
        notes.append(Note("unknown_words", f"{rest} more of what was written change nothing."))
    return notes


def _bounded(value: float) -> float:
    return max(-MOST_MOVED, min(MOST_MOVED, value))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
