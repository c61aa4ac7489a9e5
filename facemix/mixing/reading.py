"""JSON that anybody may have written: how much of it is read, and what is said of what does not fit.

Parsed, a value takes many times the bytes that it is written in, and one that does not fit takes over a kilobyte, all
under the interpreter's lock: measured, 30 MiB of empty strings where numbers belong took 12 GiB, and minutes in which
nobody else was answered. So the number of values is bounded before they are parsed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from facemix.errors import RequestInvalid

# 32 parents, each a whole recipe of 32 latents with all of its edits, are 16,000; 32 stops on the way add 4,000.
MOST_VALUES = 30_000
# Pydantic makes objects of all errors or of none. Whoever wrote this many is not helped by the first of them.
MOST_ERRORS = 1_000
# A recipe, where its id may stand instead. Pydantic puts the tag into an error's place; nobody has written it.
SAVED_TAG, WHOLE_TAG = "the id of a saved recipe", "a whole recipe"
_KINDS = ("photo", "sample", "latent")  # of a recipe's parents; likewise
_GROUNDS = ("photo", "blurred", "plain")  # of a placement; likewise
_KEY = "[key]"  # what pydantic puts behind the name of a member that should not be there


def check_values(text: str | bytes, most: int = MOST_VALUES, *, where: str | None = None) -> None:
    """Refuses JSON of more than about `most` values without parsing it.

    Counts commas and opening brackets: there is at most one value more. Those inside of strings count, too.

    Raises:
        RequestInvalid: there are more.
    """
    commas, lists, members = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    count = text.count(commas) + text.count(lists) + text.count(members)  # type: ignore[arg-type]
    if count > most:
        raise RequestInvalid(
            f"the JSON holds about {count} values",
            hint=f"at most {most} are read; send fewer faces at once",
            where=where,
        )


def errors_of(error: ValidationError, *, recipe: bool = False) -> list[ErrorDetails]:
    """What did not fit, each with its place in the writer's words (`loc`); empty if that is too much to list.

    Args:
        recipe: it is a recipe that was read, not something that may hold one.
    """
    if error.error_count() > MOST_ERRORS:
        return []
    found = error.errors(include_url=False)
    for one in found:
        one["loc"] = _written(one["loc"], recipe)
    return found


def place(loc: Sequence[int | str]) -> str:
    """As in ``parents.0.weight``; empty for the whole."""
    return ".".join(map(str, loc))


def _written(loc: tuple[int | str, ...], recipe: bool) -> tuple[int | str, ...]:
    """A place without the tags that pydantic puts in."""
    kept = []
    for index, part in enumerate(loc):
        before = loc[max(index - 2, 0) : index]
        if part in (SAVED_TAG, WHOLE_TAG) and before[-1:] == ("recipe",):
            continue
        # Only inside of a recipe: a parent in a body has members of these names.
        if recipe and part in _KINDS and len(before) == 2 and before[0] == "parents" and isinstance(before[1], int):
            continue
        if part in _GROUNDS and before[-1:] == ("placement",):
            continue
        if part == _KEY and index == len(loc) - 1 and len(before) == 2:
            continue
        recipe = recipe or part == "recipe"
        kept.append(part)
    return tuple(kept)
