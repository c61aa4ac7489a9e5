"""What is done to a mix besides weighing its parents: from options to the recipe's words."""

from __future__ import annotations

import re
from typing import Any

from facemix.cli.files import SAMPLE
from facemix.cli.options import named, number, numbers
from facemix.errors import RequestInvalid
from facemix.mixing.recipe import REGIONS, Edits, OntoBlurred, OntoPhoto, PlacedPoints, normalise_weights
from facemix.mixing.shorthand import read_keep, read_placement

_PLACED = re.compile(r"(?P<place>\d{1,3}):(?P<points>[^:]+)\Z", re.ASCII)
_VARIATION = re.compile(r"(?P<number>\d{1,10}):(?P<radius>[0-9.eE+-]+)\Z", re.ASCII)
_OPTIONS = {"keep": "--keep", "placement": "--onto"}  # by the recipe's field
_POINTS_EXAMPLE = "0:310,220,402,224,355,330"


def edits_of(
    count: int,
    *,
    interpolation: str = "lerp",
    vividness: float = 0.0,
    moved: list[str] | None = None,
    regions: list[str] | None = None,
    colour: str | None = None,
    variation: str | None = None,
    detail: float = 0.0,
    keep: list[str] | None = None,
    size: int | None = None,
    onto: str | None = None,
    seed: int = 0,
) -> Edits:
    """Edits of a mix of `count` parents, all but what words add. Raises `RequestInvalid`."""
    if interpolation not in ("lerp", "slerp"):
        raise RequestInvalid(f"interpolation is {interpolation!r}", hint="it is lerp or slerp", where="--interpolation")
    if interpolation == "slerp" and vividness:
        raise RequestInvalid(
            "slerp loses nothing that could be given back", hint="leave it out, or use lerp", where="--vividness"
        )
    attributes = {name: number(text, "--set", "smile=1") for name, text in named(moved, "--set", "smile=1").items()}
    edits = Edits.of(
        interpolation=interpolation,
        vividness=vividness,
        attributes=attributes,
        regions={
            _region(name): normalise_weights(numbers(text, "--region", float, count), where=f"--region {name}")
            for name, text in named(regions, "--region", "eyes=1,0").items()
        },
        colour=None
        if colour is None
        else normalise_weights(numbers(colour, "--colour", float, count), where="--colour"),
        variation=None if variation is None else _variation(variation),
        detail=detail,
        keep=read_keep(keep or (), where="--keep"),
        size=size,
        placement=None if onto is None else read_placement(onto, where="--onto"),
        seed=seed,
    )
    try:
        edits.check_parents(count)  # rather than when the model is loaded
    except RequestInvalid as error:
        error.where = _OPTIONS.get((error.where or "").partition(".")[0], error.where)
        raise
    if keep and not detail:
        raise RequestInvalid(
            "nothing of the photographs is in a mix without their detail",
            hint="give --detail 1, or leave --keep out",
            where="--keep",
        )
    return edits


def detail_or_usual(detail: float | None, photos: list[str]) -> float:
    """The detail that was asked for; else all of it where every face is a photograph, since whoever mixes photographs
    here wants them sharp."""
    if detail is not None:
        return detail
    return float(not any(photo.startswith(SAMPLE) for photo in photos))


def check_ground(edits: Edits, photos: list[str]) -> None:
    """Raises `RequestInvalid` for a sample onto whose photograph a face is to be put, before a model is loaded."""
    if isinstance(edits.placement, OntoPhoto | OntoBlurred) and photos[edits.placement.parent].startswith(SAMPLE):
        raise RequestInvalid(
            f"{photos[edits.placement.parent]} is no photo",
            hint="name one that is, as in photo:a for the first, or a plain ground",
            where="--onto",
        )


def placed_points(texts: list[str] | None, count: int) -> dict[int, PlacedPoints]:
    """Hand-placed eyes and mouths, by the photo's place. Raises `RequestInvalid`."""
    found: dict[int, PlacedPoints] = {}
    for text in texts or ():
        match = _PLACED.match(text)
        if match is None:
            raise RequestInvalid(
                f"{text!r} places nothing",
                hint=f"write a photo's place and six numbers, as in --placed {_POINTS_EXAMPLE}",
                where="--placed",
            )
        place = int(match["place"])
        if place >= count or place in found:
            raise RequestInvalid(
                f"place {place} " + ("is given twice" if place in found else f"is not one of {count} photos"),
                hint="the first photo is 0; give each place once",
                where="--placed",
            )
        found[place] = points(match["points"])
    return found


def points(text: str, option: str = "--placed") -> PlacedPoints:
    """Six numbers: left eye, right eye and mouth, x and y each. Raises `RequestInvalid`."""
    try:
        values = [float(part) for part in text.split(",")]
        left_x, left_y, right_x, right_y, mouth_x, mouth_y = values
        return PlacedPoints(left_eye=(left_x, left_y), right_eye=(right_x, right_y), mouth=(mouth_x, mouth_y))
    except ValueError:  # also what pydantic raises
        raise RequestInvalid(
            f"{text!r} is not three points",
            hint="write left eye, right eye and mouth, as in 310,220,402,224,355,330",
            where=option,
        ) from None


def _region(name: str) -> Any:
    if name not in REGIONS:
        raise RequestInvalid(
            f"there is no region {name!r}", hint=f"the regions are {', '.join(REGIONS)}", where="--region"
        )
    return name


def _variation(text: str) -> dict[str, Any]:
    match = _VARIATION.match(text)
    if match is None:
        raise RequestInvalid(
            f"{text!r} is no variation",
            hint="write the number of a draw and a radius above 0, as in --variation 4:0.3",
            where="--variation",
        )
    return {"number": int(match["number"]), "radius": number(match["radius"], "--variation", "4:0.3")}
