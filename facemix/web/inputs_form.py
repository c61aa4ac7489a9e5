"""From a form to what is wanted: two photographs or samples and their edits, a recipe with its photographs, or one
photograph to look at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from facemix.errors import RequestInvalid
from facemix.mixing.reading import check_values
from facemix.mixing.recipe import (
    Detail,
    Interpolation,
    Keep,
    Moved,
    PlacedPoints,
    Placement,
    Recipe,
    Size,
    Vividness,
)
from facemix.mixing.shorthand import keep_of_field, placement_of_field
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.web.forms import Form
from facemix.web.inputs_json import given_edits
from facemix.web.parents import GivenParent
from facemix.web.problems import from_validation
from facemix.web.schemas_parts import ImageMediaType
from facemix.web.schemas_requests import SAVED_PATTERN, EditsBody, FaceIndex, Prompt, SampleNumber, Seed
from facemix.web.wanted import MixInput, StripInput, Wanted, replay_input, strip_input

PAIR_FILES = ("face_a", "face_b")
_EDITS = (
    "interpolation",
    "vividness",
    "attributes",
    "prompt",
    "negative_prompt",
    "detail",
    "keep",
    "size",
    "placement",
    "seed",
)
PAIR_FIELDS = ("face_a_index", "face_b_index", "sample_a", "sample_b", *_EDITS)
MIX_FIELDS = ("weight", *PAIR_FIELDS)
STRIP_FIELDS = ("steps", *PAIR_FIELDS)
RECIPE_FILES = tuple(f"photo_{index}" for index in range(32))
RECIPE_FIELDS = ("recipe", "image_format", "portable", "reencode")
PLACED_FIELDS = ("left_eye", "right_eye", "mouth")

_POINT = re.compile(r"^\s*(-?[0-9]{1,7}(?:\.[0-9]{1,9})?)\s*,\s*(-?[0-9]{1,7}(?:\.[0-9]{1,9})?)\s*\Z")

B = TypeVar("B", bound=BaseModel)


class PairFields(BaseModel):
    """The text fields of the multipart form, as numbers."""

    model_config = ConfigDict(frozen=True)

    weight: float = Field(0.5, ge=0, le=1, allow_inf_nan=False, description="share of face_b")
    face_a_index: FaceIndex | None = None
    face_b_index: FaceIndex | None = None
    sample_a: SampleNumber | None = None
    sample_b: SampleNumber | None = None
    interpolation: Interpolation = "lerp"
    vividness: Vividness = 0.0
    attributes: dict[str, Moved] = Field(default_factory=dict, max_length=64)
    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    detail: Detail = 0.0
    keep: Keep = Field(default_factory=dict)
    size: Size | None = None
    placement: Placement | None = None
    seed: Seed = 0
    steps: int | None = Field(None, ge=3)

    @field_validator("attributes", mode="before")
    @classmethod
    def _parsed(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return json.loads(text)  # of the kilobytes that a form's field may have
        except (ValueError, RecursionError):
            raise ValueError('write JSON, as in {"smile": 1}') from None

    @field_validator("keep", mode="before")
    @classmethod
    def _keep(cls, text: Any) -> Any:
        return keep_of_field(text) if isinstance(text, str) else text

    @field_validator("placement", mode="before")
    @classmethod
    def _placement(cls, text: Any) -> Any:
        return placement_of_field(text) if isinstance(text, str) else text


class ReplayFields(BaseModel):
    """The text fields of a form that holds a recipe."""

    model_config = ConfigDict(frozen=True)

    image_format: ImageMediaType = "image/png"
    portable: bool = False
    reencode: bool = False


def validated(model: type[B], fields: Mapping[str, str]) -> B:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from error


def _pair(form: Form, fields: PairFields) -> tuple[GivenParent, GivenParent]:
    def slot(letter: Literal["a", "b"], weight: float) -> GivenParent:
        where = f"face_{letter}"
        data = form.files.get(where)
        sample: int | None = getattr(fields, f"sample_{letter}")
        if data is not None and sample is not None:
            raise RequestInvalid(
                f"{where} and sample_{letter} were both given",
                hint="send a photo or the number of a sample, not both",
                where=where,
            )
        if data is not None:
            index: int | None = getattr(fields, f"face_{letter}_index")
            return PhotoInput(data=data, where=where, face=index, weight=weight)
        if sample is not None:
            return SampleInput(number=sample, where=f"sample_{letter}", weight=weight)
        raise RequestInvalid(
            f"there is no photo {letter.upper()}",
            hint=f"choose a photo as {where}, or a sample face as sample_{letter}",
            where=where,
        )

    return slot("a", 1 - fields.weight), slot("b", fields.weight)


def _form_edits(fields: PairFields) -> Wanted:
    return given_edits(EditsBody(**{name: getattr(fields, name) for name in _EDITS}))


def mix_from_form(form: Form) -> MixInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = validated(PairFields, form.fields)
    return MixInput(_pair(form, fields), _form_edits(fields))


def strip_from_form(form: Form, settings: Settings) -> StripInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = validated(PairFields, form.fields)
    return strip_input(_pair(form, fields), fields.steps, _form_edits(fields), settings)


def replay_from_form(form: Form, settings: Settings) -> MixInput:
    """A recipe to draw again. Raises `RequestInvalid`, and `RecipeInvalid` where it is none."""
    text = form.fields.get("recipe")
    if text is None:
        raise RequestInvalid("there is no recipe", hint="send it as the field recipe, as JSON", where="recipe")
    fields = validated(ReplayFields, {name: form.fields[name] for name in RECIPE_FIELDS[1:] if name in form.fields})
    recipe: Recipe | str = text
    if not re.fullmatch(SAVED_PATTERN, text):
        check_values(text, where="recipe")
        recipe = Recipe.from_json(text)
    return replay_input(recipe, form.files.values(), settings, fields.image_format, fields.portable, fields.reencode)


def photo_from_form(form: Form) -> PhotoInput:
    """A photograph, and perhaps where the face is in it. Raises `RequestInvalid`, its `where` naming the field."""
    if "image" not in form.files:
        raise RequestInvalid("there is no photo", hint="send one as the field image", where="image")
    return PhotoInput(data=form.files["image"], where="image", placed=_placed(form))


def _placed(form: Form) -> PlacedPoints | None:
    if not form.fields:
        return None
    points = {}
    for name in PLACED_FIELDS:
        match = _POINT.match(form.fields.get(name, ""))
        if match is None:
            raise RequestInvalid(
                f"{name} is {form.fields[name][:40]!r}" if name in form.fields else f"there is no {name}",
                hint="send left_eye, right_eye and mouth, each as x,y in pixels of the upright photo, or none of them",
                where=name,
            )
        points[name] = (float(match[1]), float(match[2]))
    return validated(PlacedPoints, points)
