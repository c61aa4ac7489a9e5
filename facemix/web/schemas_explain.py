"""The shapes of an explanation."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from facemix.mixing.recipe import Region
from facemix.web.schemas_examples import (
    IMAGE_EXAMPLE,
    MIXED_EXAMPLE,
    MODEL_EXAMPLE,
    RECIPE_EXAMPLE,
    REQUEST_ID_EXAMPLE,
)
from facemix.web.schemas_mixes import MixedResponse
from facemix.web.schemas_parts import EmbeddedImage

_REGIONS_EXAMPLE = {"eyes": 0.52, "nose": 0.5, "mouth": 0.47, "skin": 0.5, "hair": 0.49, "frame": 0.55}
_MOVED_EXAMPLE = {"eyes": 3.1, "nose": 4.0, "mouth": 14.2, "skin": 3.9, "hair": 2.2, "frame": 1.0}
RECORD_EXAMPLE = {
    "schema": 1,
    "at": "2026-11-21T12:00:00+00:00",
    "recipe_sha256": "0e5c00fdd53d1ed28153ac625c28da14e36100c6aec545faad3a3c2d06d36249",
    "recipe": {name: value for name, value in RECIPE_EXAMPLE.items() if name != "model"},
    "model": {"name": "facemix-128", "weights_sha256": MODEL_EXAMPLE["weights"], "latent_schema": 1},
    "versions": {"facemix": "0.1.0", "backend": "torch bf16", "device": "cpu"},
    "settings": {"gate": True, "label": True},
    "gates": [
        {
            "source": "photo",
            "faces": 1,
            "readings": [
                {
                    "name": "face_pixels",
                    "value": 45.9,
                    "threshold": 14,
                    "rule": "at least",
                    "passed": True,
                    "warn": 40,
                }
            ],
        },
        {"source": "sample", "faces": None, "readings": []},
    ],
    "checks": [],
}


class ParentInfluence(BaseModel):
    """What one parent drew: by how much the picture changes where it is left out, as a share of all such changes."""

    name: str = Field(description="A, B, ... in the order of the parents")
    weight: float
    influence: float = Field(description="share of the whole picture; those of all parents sum to 1")
    regions: dict[Region, float] = Field(description="share of each region of the face")
    picture: EmbeddedImage = Field(description="heat map of the share at each place, over the face in grey")


class EditReport(BaseModel):
    """What one edit moved: by how much the picture changes where it is left out."""

    name: str = Field(description="of the attribute, or variation")
    value: float
    mean: float = Field(description="over the picture, in levels of 255")
    most: float = Field(description="at the place that changes most, in levels of 255")
    regions: dict[Region, float] = Field(description="mean over each region of the face, in levels of 255")
    picture: EmbeddedImage


class NeighbourReport(BaseModel):
    """A training face."""

    hash: str = Field(description="first 16 hexadecimal digits of the photograph's SHA-256")
    distance: float = Field(description="angle between the latents' directions, in degrees; about 90 is unrelated")
    percentile: float = Field(description="percentage of training faces whose own nearest neighbour is nearer")
    picture: EmbeddedImage | None = Field(description="null unless the operator has the training data")


class ClosenessReport(BaseModel):
    """How near the result is to the faces that the model was trained on."""

    alarm: bool = Field(description="as near to one as copies are, and no parent brought it: possibly memorised")
    near: bool = Field(description="as near to one as copies are")
    because: str | None = Field(description="the parent that brought that face along, if one did")
    words: str = Field(description="the same in plain sentences")
    limit: float = Field(description="degrees; nearer than this, a training face counts as a copy")
    typical: dict[str, float] = Field(
        description="degrees from a training face to its nearest other one, by percentile"
    )
    faces: int = Field(description="how many training faces there are")
    neighbours: list[NeighbourReport] = Field(description="the nearest training faces, the nearest first")


class ExplainResponse(MixedResponse):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **MIXED_EXAMPLE,
                    "parents": [
                        {
                            "name": name,
                            "weight": 0.5,
                            "influence": share,
                            "regions": _REGIONS_EXAMPLE,
                            "picture": IMAGE_EXAMPLE,
                        }
                        for name, share in (("A", 0.51), ("B", 0.49))
                    ],
                    "edits": [
                        {
                            "name": "smile",
                            "value": 1.0,
                            "mean": 4.6,
                            "most": 29.0,
                            "regions": _MOVED_EXAMPLE,
                            "picture": IMAGE_EXAMPLE,
                        }
                    ],
                    "edits_left_out": [],
                    "closeness": {
                        "alarm": False,
                        "near": False,
                        "because": None,
                        "words": "No training photograph is nearer to this face than training photographs are to one "
                        "another: the nearest is 52 degrees away, and from 34 on it would count as a copy.",
                        "limit": 33.8,
                        "typical": {"1": 33.8, "5": 45.0, "25": 51.8, "50": 55.1, "75": 57.8, "95": 60.8},
                        "faces": 16188,
                        "neighbours": [
                            {"hash": "1ba54a33dd51492b", "distance": 52.0, "percentile": 26.1, "picture": None}
                        ],
                    },
                    "record": RECORD_EXAMPLE,
                }
            ]
        }
    )

    parents: list[ParentInfluence]
    edits: list[EditReport] = Field(description="what each edit moved, the farthest moved first")
    edits_left_out: list[str] = Field(description="edits that were not looked at, because there are many")
    closeness: ClosenessReport | None = Field(description="null where the model has no index of its training faces")
    record: dict[str, Any] = Field(description="what the result was made under; see docs/explaining.md")


class RecordResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"request_id": REQUEST_ID_EXAMPLE, "record": RECORD_EXAMPLE}]}
    )

    request_id: str
    record: dict[str, Any] = Field(description="what the result was made under; see docs/explaining.md")
