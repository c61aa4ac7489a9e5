"""The shapes of what a client looks up: attributes and their words, regions, models, JSON Schemas."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from facemix.web.schemas_examples import IMAGE_EXAMPLE, MODEL_EXAMPLE
from facemix.web.schemas_parts import EmbeddedImage, ModelName, NextPage, Note_
from facemix.web.schemas_requests import Prompt, Strict


class EffectReport(BaseModel):
    """By how much one step changes an attribute, in standard deviations of that attribute."""

    model_config = ConfigDict(title="Effect")

    probe: float = Field(description="read by a linear probe from the decoded picture, encoded again")
    picture: float | None = Field(description="measured in the decoded picture; null where it is a label")


class AttributeReport(BaseModel):
    """An attribute direction. A value of 1 is one step."""

    model_config = ConfigDict(title="Attribute")

    name: str = Field(description="as in `attributes` of a mix")
    title: str
    low: str = Field(description="the end of negative values, in words")
    high: str = Field(description="the end of positive values, in words")
    limit: float = Field(description="values go from minus this to this, in standard deviations of the data set")
    step: float = Field(description="change of the reading by a value of 1, in `unit`")
    unit: str = Field(description="empty where the reading has none")
    r2: float = Field(description="share of its variance that a linear probe explains on photographs held back")
    source: Literal["label", "landmarks", "pixels"] = Field(description="read from labels, or measured")
    definition: str = Field(description="what exactly was read or measured")
    effect: EffectReport | None = Field(description="on itself; null where it was not measured")
    side_effects: dict[str, EffectReport] = Field(description="on each other attribute")
    identity: float | None = Field(description="median distance by which a step moves a face embedder's point")


class WordReport(BaseModel):
    """A word or short phrase of the vocabulary, and how far it moves an attribute."""

    model_config = ConfigDict(title="Word")

    word: str
    attribute: str
    value: float


class AttributesResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": MODEL_EXAMPLE,
                    "available": True,
                    "attributes": [
                        {
                            "name": "age",
                            "title": "Age",
                            "low": "younger",
                            "high": "older",
                            "limit": 3.0,
                            "step": 11.1,
                            "unit": "years",
                            "r2": 0.46,
                            "source": "label",
                            "definition": "the age in the data set's labels",
                            "effect": {"probe": 0.65, "picture": None},
                            "side_effects": {"smile": {"probe": -0.002, "picture": -0.12}},
                            "identity": 0.16,
                        }
                    ],
                    "words": [{"word": "older", "attribute": "age", "value": 1.0}],
                }
            ]
        }
    )

    model: ModelName
    available: bool = Field(description="false for a model without directions; then both lists are empty")
    attributes: list[AttributeReport]
    words: list[WordReport] = Field(description="what a prompt may be made of, besides names with a number")


class PromptBody(Strict):
    """Words for attributes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "slightly older, smile -1", "negative_prompt": "warm light"}]}
    )

    prompt: Prompt = ""
    negative_prompt: Prompt = ""


class TermReport(BaseModel):
    """What was understood, and how far it moves an attribute."""

    model_config = ConfigDict(title="Term")

    text: str
    attribute: str
    value: float


class UnknownReport(BaseModel):
    """What was not understood and changes nothing."""

    model_config = ConfigDict(title="Unknown")

    text: str
    near: list[str] = Field(description="words of the vocabulary that look like it")


class PromptResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "attributes": {"age": 0.5},
                    "terms": [{"text": "slightly older", "attribute": "age", "value": 0.5}],
                    "unknown": [{"text": "smilng", "near": ["smiling"]}],
                    "notes": [
                        {
                            "code": "unknown_words",
                            "message": "“smilng” changes nothing: “smilng” is not in the vocabulary. "
                            "Did you mean “smiling”?",
                        }
                    ],
                }
            ]
        }
    )

    attributes: dict[str, float] = Field(description="the sum by attribute, as in `attributes` of a mix")
    terms: list[TermReport] = Field(description="what it is the sum of")
    unknown: list[UnknownReport]
    notes: list[Note_]


class RegionReport(BaseModel):
    """A region of the aligned crop. The masks of all regions sum to 1 at every pixel."""

    model_config = ConfigDict(title="Region")

    name: str = Field(description="as in `regions` of a mix")
    title: str
    mask: EmbeddedImage = Field(description="white, with the region's share of each pixel as its opacity")


class RegionsResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"size": 1, "regions": [{"name": "eyes", "title": "Eyes and brows", "mask": IMAGE_EXAMPLE}]}]
        }
    )

    size: int = Field(description="side of the masks in pixels; they cover the whole crop, whatever its own size is")
    regions: list[RegionReport]


class ModelResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": MODEL_EXAMPLE,
                    "crop_size": 128,
                    "licence": "non-commercial research",
                    "limitations": ["Glasses and hands over the face are not kept."],
                    "card": {"metrics": {"lpips": 0.21}},
                }
            ]
        }
    )

    model: ModelName
    crop_size: int = Field(description="side of every result, in pixels")
    licence: str = Field(description="under which the weights may be used")
    limitations: list[str]
    card: dict[str, Any] = Field(description="the checkpoint's whole card")


class ListedModel(BaseModel):
    model: ModelName
    status: Literal["live", "available"] = Field(
        description="`live` answers whoever asks for it; one that is `available` could, if the operator chose it"
    )
    default: bool = Field(description="whether it answers those that ask for none")
    crop_size: int | None = Field(description="side of every result, in pixels; null where the card does not say")
    licence: str
    limitations: list[str]
    attributes: int = Field(description="how many attribute directions it has")


class ModelsResponse(BaseModel):
    """A page of models, the live one first, then the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "model": MODEL_EXAMPLE,
                            "status": "live",
                            "default": True,
                            "crop_size": 128,
                            "licence": "non-commercial research",
                            "limitations": ["Glasses and hands over the face are not kept."],
                            "attributes": 7,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    items: list[ListedModel]
    next: NextPage


class ListedSchema(BaseModel):
    name: str
    id: str = Field(description="the schema's `$id`")
    version: int = Field(description="rises when what was valid before is not any more")
    title: str
    url: str = Field(description="where it is, on this server")


class SchemasResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "name": "recipe",
                            "id": "urn:facemix:schema:recipe:1",
                            "version": 1,
                            "title": "A recipe",
                            "url": "/api/v1/schemas/recipe",
                        }
                    ]
                }
            ]
        }
    )

    items: list[ListedSchema]


class SchemaDocument(RootModel[dict[str, Any]]):
    """A JSON Schema, draft 2020-12."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "$id": "urn:facemix:schema:recipe:1",
                    "title": "A recipe",
                    "version": 1,
                    "type": "object",
                }
            ]
        }
    )
