"""What is kept whole and what a face is put onto, in a few characters, as forms and the command line take them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from facemix.errors import RequestInvalid
from facemix.mixing.recipe import MOST_PARENTS, TRAITS, Keep, OntoBlurred, OntoPhoto, OntoPlain, Placement, Trait

_PLAIN = re.compile(r"plain(?::(?P<colour>#[0-9a-f]{6}))?\Z", re.IGNORECASE)
_PARENT = re.compile(r"[a-z]|[0-9]{1,2}", re.ASCII | re.IGNORECASE)


def parent_number(text: str) -> int | None:
    """Which parent ``a`` or ``0`` is, counted from 0; None for what names none."""
    if not _PARENT.fullmatch(text):
        return None
    number = int(text) if text.isdigit() else ord(text.lower()) - ord("a")
    return number if number < MOST_PARENTS else None


def read_keep(parts: Iterable[str], *, where: str) -> Keep:
    """``hair=a`` and the like.

    Raises:
        RequestInvalid: a trait that there is not or that is named twice, or what names no parent.
    """
    found: dict[Trait, int | Literal["mixed"]] = {}
    for part in parts:
        name, _, whose = (piece.strip() for piece in part.partition("="))
        trait = next((one for one in TRAITS if one == name.lower()), None)
        number = parent_number(whose)
        if trait is None or (number is None and whose.lower() != "mixed"):
            raise RequestInvalid(
                f"{part.strip()[:60]!r} keeps nothing",
                hint=f"write {', '.join(TRAITS)} with a parent (a, b, ... or 0, 1, ...) or mixed, as in hair=a",
                where=where,
            )
        if trait in found:
            raise RequestInvalid(f"{trait} is given twice", hint="give every name once", where=where)
        found[trait] = "mixed" if number is None else number
    return found


def read_placement(text: str, *, where: str) -> Placement | None:
    """``photo:a``, ``blurred:a``, ``plain``, ``plain:#e8e4da`` or ``crop``, which is None. Without a parent it is the
    first one's photograph.

    Raises:
        RequestInvalid: it is none of these.
    """
    onto, colon, whose = text.strip().partition(":")
    plain, number = _PLAIN.match(text.strip()), parent_number(whose) if colon else 0
    if plain is not None:
        return OntoPlain() if plain["colour"] is None else OntoPlain(colour=plain["colour"].lower())
    if onto == "photo" and number is not None:
        return OntoPhoto(parent=number)
    if onto == "blurred" and number is not None:
        return OntoBlurred(parent=number)
    if text.strip() == "crop":
        return None
    raise RequestInvalid(
        f"{text.strip()[:60]!r} is nothing that a face is put onto",
        hint="write photo:a, blurred:a, plain, plain:#e8e4da, or crop for the face alone",
        where=where,
    )


def keep_of_field(text: str) -> Any:
    """A form's field: JSON as in a recipe, or ``hair=a, glasses=mixed``. Raises ValueError, as validators do."""
    return _json(text) if text.lstrip().startswith("{") else _said(lambda: read_keep(text.split(","), where="keep"))


def placement_of_field(text: str) -> Any:
    """A form's field: JSON as in a recipe, or what `read_placement` takes. Raises ValueError, as validators do."""
    if text.strip() == "null" or text.lstrip().startswith("{"):
        return _json(text)
    return _said(lambda: read_placement(text, where="placement"))


def _json(text: str) -> Any:
    try:
        return json.loads(text)  # of the kilobyte that a form's field may have
    except (ValueError, RecursionError):
        raise ValueError("it begins as JSON and is none") from None


def _said(read: Any) -> Any:
    try:
        return read()
    except RequestInvalid as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
