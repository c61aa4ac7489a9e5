"""The shapes of a mix and of a strip, and of what every answer about a mix begins with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from facemix.mixing.recipe import Recipe
from facemix.web.schemas_examples import IMAGE_EXAMPLE, MIXED_EXAMPLE, SHEET_EXAMPLE
from facemix.web.schemas_parts import EmbeddedImage, FrameSheet, ModelName, Note_, ParentReport


class MixedResponse(BaseModel):
    """What a mix was made by, of and from; other answers add what came of it."""

    request_id: str
    model: ModelName
    recipe: Recipe
    faces: list[ParentReport]


class MixResponse(MixedResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{**MIXED_EXAMPLE, "notes": [], "image": IMAGE_EXAMPLE}]})

    notes: list[Note_] = Field(description="what edits pull in that no parent has, one plain sentence each")
    image: EmbeddedImage


class StripResponse(MixedResponse):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{**MIXED_EXAMPLE, "weights": [0.0, 0.5, 1.0], "frames": SHEET_EXAMPLE}]}
    )

    recipe: Recipe = Field(description="of the middle frame; the others differ in their weights alone")
    weights: list[float] = Field(description="the second face's share in each frame")
    frames: FrameSheet
