"""The recipe: the one description of a mix.

The page, the endpoint, the command line and a replay all use this object. It is strict (unknown fields are
refused), immutable, and serialises to canonical JSON whose hash names the recipe.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from facemix.errors import RecipeInvalid, located
from facemix.mixing.latents import LATENT_PATTERN, MOST_LATENT_CHARACTERS, pack_latent
from facemix.mixing.misfits import sentence
from facemix.mixing.reading import errors_of, place

Interpolation = Literal["lerp", "slerp"]
Region = Literal["eyes", "nose", "mouth", "skin", "hair", "frame"]
REGIONS: tuple[Region, ...] = get_args(Region)
# What of a face cannot be half one person's and half another's.
Trait = Literal["hair", "glasses", "background"]
TRAITS: tuple[Trait, ...] = get_args(Trait)
RECIPE_SCHEMA = 1
_HINT = "docs/recipe.md describes every field of a recipe"
# In standard deviations of the data set. Beyond three hardly any photograph was seen, and the decoder invents.
MOST_MOVED = 3.0
MOST_PARENTS = 32
LEAST_SIDE, MOST_SIDE = 96, 1024  # of a result, pixels; one that is smaller could not be labelled
USUAL_SIDE = 512  # of one with detail or a placement for which no size was asked, where the photographs allow it
MOST_VIVID = 0.5  # more than half, and the mix exaggerates, as slerp does
GROUNDS = ("photo", "blurred", "plain")  # what a face can be put onto
_COLOUR = re.compile(r"^#[0-9a-f]{6}$")
# Nearer to 1 than this, weights are kept as they are: a recipe drawn again is the same recipe, of the same hash.
_COMPLETE = 1e-9
_SUMMABLE = 1e300  # larger weights are scaled down before they are summed, which would overflow


class ModelIdentity(BaseModel):
    """Which weights a latent or recipe belongs to.

    `name` is for people; `weights` (SHA-256 of the weights file) and `latent_schema` are what is compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(examples=["facemix-128"])
    weights: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the weights file")
    latent_schema: int = Field(1, ge=1, description="version of the latent's layout")

    def same_latents_as(self, other: ModelIdentity) -> bool:
        return (self.weights, self.latent_schema) == (other.weights, other.latent_schema)

    def __str__(self) -> str:
        return f"{self.name}@{self.weights[:12]}"


# Minus zero equals zero but is written differently; adding zero removes the sign, so that equal recipes stay
# equal as text.
Weight = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda weight: weight + 0.0)]
Vividness = Annotated[
    float,
    Field(ge=0, le=MOST_VIVID, description="share of the norm that lerp loses which is given back; slerp loses none"),
    AfterValidator(lambda vividness: vividness + 0.0),
]
Detail = Annotated[
    float,
    Field(ge=0, le=1, description="how much of the photographs' own detail is carried into the mix"),
    AfterValidator(lambda detail: detail + 0.0),
]
Size = Annotated[
    int, Field(ge=LEAST_SIDE, le=MOST_SIDE, description="side of the result in pixels; null: as the photographs allow")
]


def _whose(given: Any, known: ValidatorFunctionWrapHandler) -> Any:
    """One sentence in the place of an error for each kind of value that it could have been."""
    try:
        return known(given)
    except ValidationError:
        raise ValueError(f"it is the number of a parent, from 0 to {MOST_PARENTS - 1}, or mixed") from None


# Whose trait: a parent's, counted from 0, or that of all.
Kept = Annotated[Annotated[int, Field(ge=0, lt=MOST_PARENTS, strict=True)] | Literal["mixed"], WrapValidator(_whose)]
Keep = Annotated[
    dict[Trait, Kept],
    Field(
        max_length=len(TRAITS),
        description="the parent, counted from 0, whose hair, glasses or background the result has, or `mixed`",
    ),
]


# Of the upright photograph, in pixels, x to the right, y down.
PlacedPoint = tuple[
    Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)],
    Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)],
]


class PlacedPoints(BaseModel):
    """Eyes and mouth that a person has placed by hand; left is left in the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left_eye: PlacedPoint
    right_eye: PlacedPoint
    mouth: PlacedPoint = Field(description="the middle of the mouth")


class PhotoParent(BaseModel):
    """A parent that comes from a photograph, named by content so that the recipe holds no picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["photo"] = "photo"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the uploaded bytes")
    face: int = Field(0, ge=0, description="which face of the photograph, largest first")
    placed: PlacedPoints | None = Field(None, description="where the face is, if it was not found but placed by hand")
    weight: Weight

    @model_validator(mode="after")
    def _placed_is_the_only_one(self) -> PhotoParent:
        if self.face and self.placed is not None:
            raise ValueError(f"a face that was placed by hand is the only one, number 0, and face is {self.face}")
        return self


class SampleParent(BaseModel):
    """A parent drawn from the model's prior: nobody's photograph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sample"] = "sample"
    number: int = Field(ge=0, lt=2**31, description="which draw from the prior, under the recipe's seed")
    weight: Weight


class LatentParent(BaseModel):
    """A parent that is a latent of the recipe's model: what is left of a face when its photograph is not kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["latent"] = "latent"
    z: str = Field(
        pattern=LATENT_PATTERN,
        max_length=MOST_LATENT_CHARACTERS,
        description="its numbers as little-endian float32, in base64",
    )
    origin: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{16}$", description="the saved recipe whose result this is, if it is one"
    )
    weight: Weight

    @classmethod
    def from_latent(cls, z: np.ndarray, *, weight: float = 1.0, origin: str | None = None) -> LatentParent:
        """z: (Z,) float32."""
        return cls(z=pack_latent(z), weight=weight, origin=origin)


Parent = Annotated[PhotoParent | SampleParent | LatentParent, Field(discriminator="kind")]
Moved = Annotated[
    float,
    Field(ge=-MOST_MOVED, le=MOST_MOVED, allow_inf_nan=False, description="standard deviations of the data set"),
]
Shares = Annotated[tuple[Weight, ...], Field(min_length=1, max_length=MOST_PARENTS)]


class Variation(BaseModel):
    """A neighbour of the face: on the way to a draw from the prior."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=0, lt=2**31, description="which draw from the prior, under the recipe's seed")
    radius: float = Field(gt=0, le=1, allow_inf_nan=False, description="how far; at 1 it is that draw itself")


def _plain_colour(given: Any) -> Any:
    if isinstance(given, str) and not _COLOUR.fullmatch(given):
        raise ValueError("write it as #rrggbb in small letters, as in #e8e4da")
    return given


class OntoPhoto(BaseModel):
    """The face goes back into the whole photograph that a parent comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    onto: Literal["photo"] = "photo"
    parent: int = Field(0, ge=0, lt=MOST_PARENTS, description="whose photograph, counted from 0")


class OntoBlurred(BaseModel):
    """The same, with all but the head blurred."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    onto: Literal["blurred"] = "blurred"
    parent: int = Field(0, ge=0, lt=MOST_PARENTS, description="whose photograph, counted from 0")


class OntoPlain(BaseModel):
    """The face alone, fading into one colour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    onto: Literal["plain"] = "plain"
    colour: Annotated[str, BeforeValidator(_plain_colour)] = Field(
        "#808080", pattern=_COLOUR.pattern, description="sRGB, as in #e8e4da"
    )


def _known_ground(given: Any) -> Any:
    """Says in plain words what pydantic would say of tags and discriminators."""
    if isinstance(given, dict) and given.get("onto") not in GROUNDS:
        raise ValueError(f'say onto what, as in {{"onto": "photo"}}: {", ".join(GROUNDS)}')
    return given


Placement = Annotated[
    Annotated[OntoPhoto | OntoBlurred | OntoPlain, Field(discriminator="onto")], BeforeValidator(_known_ground)
]


class Edits(BaseModel):
    """What is done to a mix besides weighing its parents. As it stands, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interpolation: Interpolation = "lerp"
    vividness: Annotated[Vividness, Field(strict=True)] = 0.0
    attributes: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Moved] = Field(
        default_factory=dict, max_length=64, description="how far to move along each attribute's direction"
    )
    regions: dict[Region, Shares] = Field(
        default_factory=dict,
        max_length=len(REGIONS),
        description="weights of the parents in a region of the face, where they differ",
    )
    colour: Shares | None = Field(None, description="weights of the parents in the colours, where they differ")
    variation: Variation | None = None
    detail: Annotated[Detail, Field(strict=True)] = 0.0
    keep: Keep = Field(default_factory=dict)
    size: Annotated[Size | None, Field(strict=True)] = None
    placement: Placement | None = Field(None, description="what the face is put onto; null: the aligned crop alone")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the draws from the prior")

    @field_validator("keep")
    @classmethod
    def _keep(cls, keep: Keep) -> Keep:
        return {name: keep[name] for name in TRAITS if name in keep}

    @field_validator("attributes")
    @classmethod
    def _moved(cls, attributes: dict[str, float]) -> dict[str, float]:
        return {name: value for name, value in sorted(attributes.items()) if value}

    @field_validator("regions")
    @classmethod
    def _regions(cls, regions: dict[Region, tuple[float, ...]]) -> dict[Region, tuple[float, ...]]:
        for shares in regions.values():
            _check_sum(shares)
        return {name: regions[name] for name in REGIONS if name in regions}

    @field_validator("colour")
    @classmethod
    def _colour(cls, colour: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if colour is not None:
            _check_sum(colour)
        return colour

    @classmethod
    def of(cls, **wanted: Any) -> Self:
        """The same from values that nobody has checked. Raises `RecipeInvalid`, its `where` the field."""
        try:
            return cls(**wanted)
        except ValidationError as error:
            where, said = _first(error)
            raise RecipeInvalid(said, hint=_HINT, where=where or None) from error

    @property
    def pictures(self) -> int:
        """How many pictures are decoded to draw one frame."""
        return 1 + len(self.regions) + (self.colour is not None) + self.compared

    def decoded(self, parents: int, frames: int = 1) -> int:
        """How many are decoded at most for so many frames of so many parents: with detail, the parents' own as well."""
        return frames * self.pictures + (parents if self.detail else 0)

    @property
    def compared(self) -> bool:
        """Whether the mix is decoded without its edits, too: where they change it, no photograph's detail fits."""
        return self.detail > 0 and (bool(self.attributes) or self.variation is not None)

    @property
    def enlarged(self) -> bool:
        """Whether the result may have another side than the model's."""
        return self.detail > 0 or self.size is not None or self.placement is not None

    def as_decoded(self) -> Self:
        """The same without what is done to the model's picture afterwards: no detail, nothing kept whole, no size or
        placement."""
        return self.model_copy(update={"detail": 0.0, "keep": {}, "size": None, "placement": None})

    def check_parents(self, count: int) -> None:
        """Raises `RecipeInvalid` unless regions and colour have a weight for each of `count` parents, and what is kept
        or put onto a photograph is that of one of them."""
        given = {f"regions.{name}": shares for name, shares in self.regions.items()}
        if self.colour is not None:
            given["colour"] = self.colour
        for where, shares in given.items():
            if len(shares) != count:
                raise RecipeInvalid(
                    f"{len(shares)} weights were given for {count} parents",
                    hint="give one weight for each parent",
                    where=where,
                )
        named = {f"keep.{name}": parent for name, parent in self.keep.items() if parent != "mixed"}
        if isinstance(self.placement, OntoPhoto | OntoBlurred):
            named["placement.parent"] = self.placement.parent
        for where, parent in named.items():
            if parent >= count:
                raise RecipeInvalid(
                    f"it names parent {parent_name(parent)}, and there are {count}",
                    hint=f"parents are counted from 0; the last is {parent_name(count - 1)}",
                    where=where,
                )


class Recipe(Edits):
    """One parent or more with weights that sum to one, the model, and all that is done to the mix."""

    # `schema` would shadow a pydantic method.
    version: Literal[1] = RECIPE_SCHEMA
    model: ModelIdentity
    parents: tuple[Parent, ...] = Field(min_length=1, max_length=MOST_PARENTS)

    @field_validator("parents")
    @classmethod
    def _weights_sum_to_one(cls, parents: tuple[Parent, ...]) -> tuple[Parent, ...]:
        _check_sum(parent.weight for parent in parents)
        return parents

    @model_validator(mode="after")
    def _one_weight_per_parent(self) -> Recipe:
        try:
            self.check_parents(len(self.parents))
        except RecipeInvalid as error:
            raise ValueError(located(error.where, error.message)) from error
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(parent.weight for parent in self.parents)

    @property
    def edits(self) -> Edits:
        return Edits(**{name: getattr(self, name) for name in Edits.model_fields})

    def portable(self, latents: Sequence[np.ndarray]) -> Recipe:
        """The same recipe without photographs: a latent in the place of each.

        Args:
            latents: (N, Z) float32, one per parent.
        """
        parents = tuple(
            LatentParent.from_latent(z, weight=parent.weight) if isinstance(parent, PhotoParent) else parent
            for parent, z in zip(self.parents, latents, strict=True)
        )
        placement = self.placement if isinstance(self.placement, OntoPlain) else None  # else it needs a photograph
        return self.model_copy(update={"parents": parents, "placement": placement})

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal recipes give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote.

        Raises:
            RecipeInvalid: not JSON, an unknown field, or a value of another type or out of range; the message names
                them, and so does `where`, as in ``recipe.parents.0.weight``.
        """
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            where, said = _first(error)
            raise RecipeInvalid(
                said if where else f"the recipe: {said}",
                hint=_HINT,
                where=f"recipe.{where}" if where else "recipe",
            ) from error


def parent_name(number: int) -> str:
    """As ``2 (c)``: what a parent counted from 0 may be called; letters end with the 26th."""
    return f"{number} ({chr(ord('a') + number)})" if number < 26 else str(number)


def _first(error: ValidationError) -> tuple[str, str]:
    """The place of the first value that does not fit, and a sentence about it that names the place."""
    wrong = errors_of(error, recipe=True)
    if not wrong:
        return "", f"{error.error_count()} of its values do not fit"
    return place(wrong[0]["loc"]), sentence(wrong[0], whole="it")


def _check_sum(shares: Iterable[float]) -> None:
    total = math.fsum(shares)
    if not math.isclose(total, 1.0, abs_tol=_COMPLETE):
        raise ValueError(f"the weights sum to {total:.12g}, not to 1")


def normalise_weights(weights: Iterable[float], *, where: str = "weights") -> tuple[float, ...]:
    """Scales non-negative weights so that they sum to one.

    A single weight of a pair that is already complementary (0.3 and 0.7) is kept bit for bit, so that the
    ends of a slider stay exactly 0 and 1.

    Raises:
        RecipeInvalid: a weight is negative, not finite, or all are zero.
    """
    values = [float(weight) for weight in weights]
    for index, value in enumerate(values):
        if not math.isfinite(value) or value < 0:
            raise RecipeInvalid(
                f"weight {index} is {value}",
                hint="weights are finite numbers of at least 0; facemix scales them to sum to 1",
                where=where,
            )
    largest = max(values, default=0.0)
    if largest <= 0:
        raise RecipeInvalid(
            f"the {len(values)} weights sum to 0",
            hint="give at least one face a weight above 0",
            where=where,
        )
    if largest > _SUMMABLE:
        values = [value / largest for value in values]
    total = math.fsum(values)
    if math.isclose(total, 1.0, abs_tol=_COMPLETE) and largest <= 1:
        return tuple(value + 0.0 for value in values)
    return tuple(value / total for value in values)
