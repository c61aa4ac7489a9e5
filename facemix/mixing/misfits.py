"""What pydantic finds wrong with a value, as a plain sentence with the value and what is taken instead: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facemix.mixing.reading import place

_NUMBER = "is {it}; it has to be a number"
_WHOLE = "is {it}; it has to be a whole number"
_YES = "is {it}; it has to be true or false"
_LIST = "is {it}; it has to be a list"
_OBJECT = "is {it}; it has to be an object"
_ONE_OF = "is {it}; it has to be {expected}"
# By pydantic's kind of error: what is said of the place. `{it}` is the value, `{number}` the same without quotes,
# `{entries}` and `{characters}` how many it has; the rest is what pydantic puts into the error's context.
WORDS: dict[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "greater_than": "is {number}; it has to be more than {gt:.12g}",
    "greater_than_equal": "is {number}; it has to be at least {ge:.12g}",
    "less_than": "is {number}; it has to be less than {lt:.12g}",
    "less_than_equal": "is {number}; it has to be at most {le:.12g}",
    "finite_number": "is {number}; it has to be finite",
    "too_short": "has {entries}; it needs at least {min_length}",
    "too_long": "has {entries}; it takes at most {max_length}",
    "string_too_short": "has {characters}; it needs at least {min_length}",
    "string_too_long": "has {characters}; it takes at most {max_length}",
    "string_pattern_mismatch": "is {it}; it has to be of the form {pattern}",
    "string_type": "is {it}; it has to be a text",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _YES,
    "bool_parsing": _YES,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "literal_error": _ONE_OF,
    "enum": _ONE_OF,
    "union_tag_not_found": "does not say its {discriminator}",
    "union_tag_invalid": "has {tag!r} as its {discriminator}; it has to be one of {expected_tags}",
    "json_invalid": "is no JSON: {error}",
}
# What can be done, where the sentence alone does not tell.
REMEDIES: dict[str, str] = {"missing": "give it, too", "extra_forbidden": "leave it out, or see how it is spelled"}
_OWN = ("value_error", "assertion_error")  # in the words of whoever checks the value
_SHOWN = 40  # characters of a value


def sentence(error: Mapping[str, Any], *, field: str | None = None, whole: str = "the body") -> str:
    """One of pydantic's errors, as in ``vividness is 0.7; it has to be at most 0.5``.

    Args:
        error: with ``type``, ``loc``, ``msg``, ``input`` and, where there is one, ``ctx``.
        field: the place, if it is called otherwise than its ``loc``.
        whole: what is said in its stead if the error is of all that was given.
    """
    where, given = place(error["loc"]) if field is None else field, error.get("input")
    words = WORDS.get(error["type"])
    if words is not None:
        said = words.format_map({**error.get("ctx", {}), **_counts(given), "it": _shown(given), "number": _bare(given)})
        return f"{where or whole} {said}"
    said = str(error["msg"])
    if error["type"] in _OWN:
        said = said.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not where:
        return said
    return f"{where} is {_shown(given)}: {said}" if isinstance(given, str | int | float) else f"{where}: {said}"


def remedy(error: Mapping[str, Any]) -> str:
    """What to do about it, empty where `sentence` says so itself."""
    return REMEDIES.get(error["type"], "")


def _shown(given: Any) -> str:
    """A value as it is named in a sentence: JSON's words, a text in quotes, and of what is long its beginning."""
    if isinstance(given, str):
        return repr(given[:_SHOWN]) + ("..." if len(given) > _SHOWN else "")
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    if isinstance(given, list | tuple | set | frozenset):
        return "a list"
    if isinstance(given, int | float):
        return _bare(given)
    return "bytes" if isinstance(given, bytes | bytearray) else "an object"


def _bare(given: Any) -> str:
    text = str(given).strip() if isinstance(given, str | int | float) else _shown(given)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _counts(given: Any) -> dict[str, str]:
    count = len(given) if hasattr(given, "__len__") else 0
    return {
        "entries": f"{count} {'entry' if count == 1 else 'entries'}",
        "characters": f"{count} {'character' if count == 1 else 'characters'}",
    }
