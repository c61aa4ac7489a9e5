"""The recipe: the one description of a mix.

The page, the endpoint, the command line and a replay all use this object. It is strict (unknown fields are
refused), immutable, and serialises to canonical JSON whose hash names the recipe.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from facemix.errors import RecipeInvalid

Interpolation = Literal["lerp", "slerp"]
RECIPE_SCHEMA = 1
MOST_VIVID = 0.5  # more than half, and the mix exaggerates, as slerp does
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


class PhotoParent(BaseModel):
    """A parent that comes from a photograph, named by content so that the recipe holds no picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["photo"] = "photo"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the uploaded bytes")
    face: int = Field(0, ge=0, description="which face of the photograph, largest first")
    weight: Weight


class SampleParent(BaseModel):
    """A parent drawn from the model's prior: nobody's photograph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sample"] = "sample"
    number: int = Field(ge=0, lt=2**31, description="which draw from the prior, under the recipe's seed")
    weight: Weight


Parent = Annotated[PhotoParent | SampleParent, Field(discriminator="kind")]


class Recipe(BaseModel):
    """Two or more parents with weights that sum to one, the model, and the seed of everything random."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # `schema` would shadow a pydantic method; the alias keeps the wire name short.
    version: Literal[1] = RECIPE_SCHEMA
    model: ModelIdentity
    parents: tuple[Parent, ...] = Field(min_length=2, max_length=32)
    interpolation: Interpolation = "lerp"
    vividness: Annotated[Vividness, Field(strict=True)] = 0.0
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the draws from the prior")

    @field_validator("parents")
    @classmethod
    def _weights_sum_to_one(cls, parents: tuple[Parent, ...]) -> tuple[Parent, ...]:
        total = math.fsum(parent.weight for parent in parents)
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the weights sum to {total:.6g}, not to 1")
        return parents

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(parent.weight for parent in self.parents)

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
            RecipeInvalid: not JSON, an unknown field, or a value out of range; the message names them.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the recipe"
            raise RecipeInvalid(
                f"{place}: {first['msg']}",
                hint="docs/recipe.md describes every field of a recipe",
            ) from error


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
    if math.isclose(total, 1.0, abs_tol=1e-9) and largest <= 1:
        return tuple(value + 0.0 for value in values)
    return tuple(value / total for value in values)
