"""The shapes of a grid of mixes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from facemix.mixing.recipe import MOST_PARENTS, Recipe
from facemix.web.schemas_examples import (
    MODEL_EXAMPLE,
    PHOTO_REPORT_EXAMPLE,
    RECIPE_EXAMPLE,
    REQUEST_ID_EXAMPLE,
    SAMPLE_REPORT_EXAMPLE,
    SHEET_EXAMPLE,
)
from facemix.web.schemas_parts import FrameSheet, ImageMediaType, ModelName, Note_, ParentReport
from facemix.web.schemas_requests import EditsBody, ParentBody, SampleNumber

GridKind = Literal["weights", "pairs", "corners", "variations"]
MOST_SIDE = 32  # with 128 pixels a cell, four times as much is what WebP holds
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


class GridBody(EditsBody):
    """Faces to mix in many ways. Weights of the parents matter to `variations` alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "weights", "parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}], "columns": 5},
                {"kind": "pairs", "parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}]},
                {
                    "kind": "corners",
                    "parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}, {"sample": 12}],
                    "rows": 3,
                    "columns": 3,
                },
                {"kind": "variations", "parents": [{"sample": 3}], "rows": 2, "columns": 4, "radius": 0.3, "first": 8},
            ]
        }
    )

    kind: GridKind = Field(
        description="`weights`: a row for each further parent, mixed with the first by shares from 0 to 1; `pairs`: "
        "every parent with every other, half and half; `corners`: four parents in the corners, bilinear in between; "
        "`variations`: neighbours of the mix"
    )
    parents: list[ParentBody] = Field(min_length=1, max_length=MOST_PARENTS)
    rows: Side | None = Field(None, description="of corners (5) and variations (3)")
    columns: Side | None = Field(None, description="of weights (5), corners (5) and variations (3)")
    radius: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="how far variations go (0.3); at 1 each is its draw itself"
    )
    first: SampleNumber | None = Field(
        None, description="draw from the prior of the first variation (0); the others follow row by row"
    )
    image_format: ImageMediaType = Field("image/webp", description="type of the sheet inside a JSON answer")
    portable: bool = Field(False, description="put latents in the place of photographs in the answer's recipes")


class GridCell(BaseModel):
    """One face of a grid. Rows and columns are counted from 0."""

    row: int
    column: int
    weights: list[float] = Field(description="of the parents, as in the recipe")
    recipe: Recipe


class GridResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": REQUEST_ID_EXAMPLE,
                    "model": MODEL_EXAMPLE,
                    "kind": "weights",
                    "rows": 1,
                    "columns": 2,
                    "row_labels": ["B"],
                    "column_labels": ["0 %", "100 %"],
                    "cells": [
                        {"row": 0, "column": 0, "weights": [1.0, 0.0], "recipe": RECIPE_EXAMPLE},
                        {"row": 0, "column": 1, "weights": [0.0, 1.0], "recipe": RECIPE_EXAMPLE},
                    ],
                    "faces": [PHOTO_REPORT_EXAMPLE, SAMPLE_REPORT_EXAMPLE],
                    "notes": [],
                    "sheet": {**SHEET_EXAMPLE, "count": 2, "rows": 1},
                }
            ]
        }
    )

    request_id: str
    model: ModelName
    kind: GridKind
    rows: int
    columns: int
    row_labels: list[str] = Field(description="parents are called A, B, C, ... in the order of the request")
    column_labels: list[str]
    cells: list[GridCell] = Field(description="row by row")
    faces: list[ParentReport]
    notes: list[Note_]
    sheet: FrameSheet = Field(description="the cells' pictures, in the same rows and columns, without labels")
