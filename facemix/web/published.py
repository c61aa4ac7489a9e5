"""The JSON Schemas that are given out: of the recipe, and of what may be sent."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from facemix.mixing.recipe import RECIPE_SCHEMA, Recipe
from facemix.web import schemas_batches, schemas_grids, schemas_jobs, schemas_requests

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_API = 1  # as in /api/v1


class Published(NamedTuple):
    """`version` rises when what was valid before is not any more."""

    model: type[BaseModel]
    version: int
    title: str


PUBLISHED: dict[str, Published] = {
    "recipe": Published(Recipe, RECIPE_SCHEMA, "A recipe"),
    "mix": Published(schemas_requests.MixBody, _API, "Faces to mix"),
    "strip": Published(schemas_requests.StripBody, _API, "Two faces, and frames between them"),
    "grid": Published(schemas_grids.GridBody, _API, "Faces, and a grid of their mixes"),
    "animation": Published(schemas_jobs.AnimationBody, _API, "Faces, and a film through them"),
    "batch": Published(schemas_batches.BatchBody, _API, "Mixes, done one after the other"),
}


def name_of(name: str) -> str:
    """The URN under which a schema is known wherever it lies."""
    return f"urn:facemix:schema:{name}:{PUBLISHED[name].version}"


@cache
def json_schema(name: str) -> dict[str, Any]:
    """The schema called `name`. Raises KeyError."""
    one = PUBLISHED[name]
    head = {"$schema": DIALECT, "$id": name_of(name), "title": one.title, "version": one.version}
    return head | {key: value for key, value in one.model.model_json_schema().items() if key not in head}
