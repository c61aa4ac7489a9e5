"""Options that several commands share, and what is read out of their text.

What would be ignored is refused: the result would not be what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from facemix.errors import RequestInvalid

Photos = Annotated[
    list[str], typer.Argument(help="Photographs, or sample:NUMBER for a face drawn from the model's prior.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write: .png, .jpg or .webp.")]
Faces = Annotated[str | None, typer.Option("--faces", help="Which face of each photo, as in 0,2; 0 is the largest.")]
Placed = Annotated[
    list[str] | None,
    typer.Option(
        "--placed",
        help="Eyes and mouth of a photo in which no face is found, as PLACE:X,Y,X,Y,X,Y: its place among the photos "
        "from 0, then left eye, right eye and mouth in pixels of the upright photo. Repeatable.",
    ),
]
Moved = Annotated[
    list[str] | None,
    typer.Option("--set", help="Move an attribute, as in smile=1, from -3 to 3; see `facemix attributes`. Repeatable."),
]
Prompt = Annotated[str, typer.Option(help='Move attributes with words, as in "older, smiling".')]
NegativePrompt = Annotated[str, typer.Option(help="The same, subtracted.")]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        help="Weights of a region's own, one per photo, as in eyes=1,0: eyes, nose, mouth, skin, hair or frame. "
        "Repeatable.",
    ),
]
Colour = Annotated[str | None, typer.Option(help="Whose colours: one weight per photo, as in 0,1.")]
VariationText = Annotated[
    str | None,
    typer.Option("--variation", help="A neighbour of the face, as NUMBER:RADIUS; at a radius of 1 a face of nobody."),
]
InterpolationName = Annotated[str, typer.Option("--interpolation", help="lerp, or slerp for more vivid results.")]
VividnessShare = Annotated[
    float,
    typer.Option("--vividness", min=0, max=0.5, help="Share of the contrast that lerp loses which is given back."),
]
Detail = Annotated[
    float, typer.Option("--detail", min=0, max=1, help="How much of the photographs' own detail is carried over.")
]
DetailOrUsual = Annotated[
    float | None,
    typer.Option(
        "--detail",
        min=0,
        max=1,
        help="How much of the photographs' own detail is carried over; without it 1 if all faces are photographs, "
        "else 0.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        help="Whose hair, glasses or background, as in hair=a: a is the first photo, b the second (or 0, 1), or mixed. "
        "Repeatable.",
    ),
]
Size = Annotated[
    int | None,
    typer.Option("--size", min=96, max=1024, help="Side of a face in pixels; without it as the photographs allow."),
]
Onto = Annotated[
    str | None,
    typer.Option(
        "--onto",
        help="What the face is put onto: photo:a (the first photo, whole), blurred:a (all of it blurred but the head), "
        "plain or plain:#e8e4da, or crop, the face alone, which is the default.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the sample faces and variations.")]

N = TypeVar("N", int, float)


def numbers(text: str, option: str, kind: Callable[[str], N], count: int) -> list[N]:
    """So many numbers by commas, one per photo. Raises `RequestInvalid`."""
    try:
        values = [kind(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise RequestInvalid(
            f"{text!r} is not a list of {count} numbers", hint="write one per photo, as in 1,2", where=option
        )
    return values


def shares(photos: list[str], weight: float | None, weights: str | None, steps: int | None) -> list[float]:
    """One share per photo. Raises `RequestInvalid`."""
    if weight is not None and weights is not None:
        raise RequestInvalid("--weight and --weights were both given", hint="give one of them", where="--weights")
    if steps is not None and (weight is not None or weights is not None):
        raise RequestInvalid(
            "a strip shows all weights between its ends", hint="leave --weight and --weights out", where="--steps"
        )
    if weight is not None and len(photos) != 2:
        raise RequestInvalid(
            f"--weight is the share of the second of two photos, not of {len(photos)}",
            hint="give one weight per photo, as in --weights 2,1,1",
            where="--weight",
        )
    if weights is not None:
        return numbers(weights, "--weights", float, len(photos))
    return [1.0] * len(photos) if weight is None else [1 - weight, weight]


def named(texts: list[str] | None, option: str, example: str) -> dict[str, str]:
    """NAME=VALUE, each name once. Raises `RequestInvalid`."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise RequestInvalid(f"{text!r} sets nothing", hint=f"write {option} {example}", where=option)
        if name in found:
            raise RequestInvalid(f"{name} is given twice", hint="give every name once", where=option)
        found[name] = value
    return found


def number(text: str, option: str, example: str) -> float:
    """Raises `RequestInvalid`."""
    try:
        return float(text)
    except ValueError:
        raise RequestInvalid(f"{text!r} is not a number", hint=f"write {option} {example}", where=option) from None
