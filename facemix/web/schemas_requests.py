"""The shapes of what a JSON request may hold: where faces come from, what is done to their mix, and mixes, replays and
strips made of both. They are strict: unknown members and wrong types are refused.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from facemix.mixing.latents import LATENT_PATTERN, MOST_LATENT_CHARACTERS
from facemix.mixing.reading import SAVED_TAG, WHOLE_TAG
from facemix.mixing.recipe import (
    MOST_PARENTS,
    REGIONS,
    Detail,
    Interpolation,
    Keep,
    ModelIdentity,
    Moved,
    PlacedPoints,
    Placement,
    Recipe,
    Region,
    Size,
    Variation,
    Vividness,
)
from facemix.web.schemas_examples import PIXEL_EXAMPLE, SAVED_EXAMPLE
from facemix.web.schemas_parts import ImageMediaType

Weight = Annotated[
    float,
    Field(ge=0, le=1_000_000, allow_inf_nan=False, description="share of this face; scaled to sum to 1"),
]
Weights = Annotated[list[Weight], Field(max_length=MOST_PARENTS)]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="seed of the draws from the prior")]
SampleNumber = Annotated[int, Field(ge=0, lt=2**31, description="a sample face, by number")]
FaceIndex = Annotated[int, Field(ge=0, lt=1000, description="which face of the photo, largest first")]
ResultFormat = Annotated[ImageMediaType, Field(description="type of the image inside a JSON answer")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SAVED_PATTERN = r"^[A-Za-z0-9_-]{16}$"
SavedId = Annotated[str, Field(pattern=SAVED_PATTERN)]
# Told apart by their types, so that what does not fit is said of the one that was meant.
AnyRecipe = Annotated[
    Annotated[SavedId, Tag(SAVED_TAG)] | Annotated[Recipe, Tag(WHOLE_TAG)],
    Discriminator(lambda given: SAVED_TAG if isinstance(given, str) else WHOLE_TAG),
]


class LatentBody(Strict):
    """A latent, with the identity of the model that made it."""

    model: ModelIdentity
    z: str = Field(
        pattern=LATENT_PATTERN, max_length=MOST_LATENT_CHARACTERS, description="little-endian float32 in base64"
    )
    origin: SavedId | None = Field(None, description="the saved recipe whose result it is, if it is one")


SOURCES = ("image", "sample", "face_id", "latent", "recipe")


class ParentBody(Strict):
    """One face of the mix, from exactly one source."""

    image: str | None = Field(
        None,
        description="the photograph's bytes in base64; a data: URI is fine, an address is not fetched",
    )
    sample: SampleNumber | None = None
    face_id: str | None = Field(None, min_length=1, max_length=64, description="a face from POST /api/v1/faces")
    latent: LatentBody | None = None
    recipe: AnyRecipe | None = Field(
        None, description="the result of a recipe: a saved one by its id, or one without photographs as it stands"
    )
    face: FaceIndex | None = Field(None, description="which face of the image, largest first")
    placed: PlacedPoints | None = Field(None, description="where the face of the image is, if none is found in it")
    weight: Weight | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ParentBody:
        if sum(getattr(self, source) is not None for source in SOURCES) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCES)}")
        if self.image is None and (self.face is not None or self.placed is not None):
            raise ValueError("face and placed belong to an image")
        if self.face and self.placed is not None:
            raise ValueError("a face that was placed by hand is the only one; leave out face")
        return self


Prompt = Annotated[
    str, Field(max_length=2000, description="words for attributes, by commas; see GET /api/v1/attributes")
]


class EditsBody(Strict):
    """What is done to a mix besides weighing its parents."""

    interpolation: Interpolation = "lerp"
    vividness: Vividness = 0.0
    attributes: dict[str, Moved] = Field(
        default_factory=dict,
        max_length=64,
        description="by name, in standard deviations of the data set; see GET /api/v1/attributes",
    )
    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    regions: dict[Region, Weights] = Field(
        default_factory=dict,
        max_length=len(REGIONS),
        description="weights of the parents in a region of the face, where they differ",
    )
    colour: Weights | None = Field(None, description="weights of the parents in the colours, where they differ")
    variation: Variation | None = None
    detail: Detail = 0.0
    keep: Keep = Field(default_factory=dict)
    size: Size | None = None
    placement: Placement | None = Field(
        None, description="what a single mix is put onto; null: the aligned crop alone. Nothing else takes it"
    )
    seed: Seed = 0


class MixBody(EditsBody):
    """Faces to mix. Weights are given for all parents, or for none (equal shares)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parents": [{"image": PIXEL_EXAMPLE, "weight": 0.7}, {"image": PIXEL_EXAMPLE, "weight": 0.3}]},
                {"parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}], "interpolation": "slerp"},
                {"parents": [{"sample": 3}, {"sample": 7}], "vividness": 0.25},
                {"parents": [{"sample": 3}, {"sample": 7}], "prompt": "older, smiling", "regions": {"eyes": [1, 0]}},
                {
                    "parents": [{"image": PIXEL_EXAMPLE}, {"image": PIXEL_EXAMPLE}],
                    "detail": 1,
                    "keep": {"hair": 0, "glasses": "mixed"},
                    "size": 512,
                    "placement": {"onto": "photo", "parent": 0},
                },
            ]
        }
    )

    parents: list[ParentBody] = Field(min_length=1, max_length=MOST_PARENTS)
    image_format: ResultFormat = "image/png"
    portable: bool = Field(False, description="put latents in the place of photographs in the answer's recipe")


class ReplayBody(Strict):
    """A recipe to draw again. Its photographs, if it has any, come as files beside it in a multipart form."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recipe": SAVED_EXAMPLE}]})

    recipe: AnyRecipe
    image_format: ResultFormat = "image/png"
    portable: bool = False


class StripBody(EditsBody):
    """Two faces and the number of frames between them. Weights play no part."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parents": [{"sample": 3}, {"sample": 7}], "steps": 9}]})

    parents: list[ParentBody] = Field(min_length=2, max_length=2)
    steps: int | None = Field(None, ge=3, description="frames, both ends included")
