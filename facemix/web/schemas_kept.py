"""The shapes of what is kept for a while: faces by id, and recipes behind links."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facemix.mixing.recipe import MOST_PARENTS, Recipe
from facemix.web.schemas_examples import FACE_ID_EXAMPLE, MODEL_EXAMPLE, PHOTO_EXAMPLE, RECIPE_EXAMPLE, SAVED_EXAMPLE
from facemix.web.schemas_parts import ModelName, NextPage
from facemix.web.schemas_requests import EditsBody, ParentBody, Strict

_FACE_EXAMPLE = {
    "id": FACE_ID_EXAMPLE,
    "created_at": "2026-11-21T11:00:00Z",
    "expires_at": "2026-11-21T12:00:00Z",
    "sha256": PHOTO_EXAMPLE,
    "index": 0,
    "model": MODEL_EXAMPLE,
    "usable": True,
}
_YEAR = 366 * 86400


class KeptFaceBody(BaseModel):
    """A face that can be mixed by its id. No picture of it is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FACE_EXAMPLE]})

    id: str
    created_at: datetime
    expires_at: datetime
    sha256: str = Field(description="of the photo that it was found in")
    index: int = Field(description="which face of that photo, largest first")
    model: ModelName = Field(description="whose latent is kept")
    usable: bool = Field(description="whether that model is live; if not, upload the photo again")
    purpose: str = Field("mixing", description="what it is kept for")


class LatentFileBody(BaseModel):
    """A face as a signed file. Whoever has it has the face."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"latent": "eyJjcmVhdGVkX2F0Ijoi...", "public_key": "4f" * 32, "expires_at": "2026-12-21T11:00:00Z"}
            ]
        }
    )

    latent: str = Field(description="to be kept as it is, and sent to `POST /api/v1/latents`")
    public_key: str = Field(description="of the installation that signed it, as `FACEMIX_LATENT_SIGNERS` takes it")
    expires_at: datetime = Field(description="from when on it is not taken any more")


class ImportBody(Strict):
    """A face that was taken away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"latent": "eyJjcmVhdGVkX2F0Ijoi..."}]})

    latent: str = Field(min_length=1, max_length=262_144, description="as it was given out")
    public_key: str | None = Field(None, description="not looked at: what counts is signed")
    expires_at: str | None = Field(None, description="the same")


class KeptFacesResponse(BaseModel):
    """A page of faces, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_FACE_EXAMPLE], "next": None}]})

    items: list[KeptFaceBody]
    next: NextPage


class SaveBody(EditsBody):
    """What to save: the members of a mix, or a whole recipe without photographs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parents": [{"sample": 3, "weight": 0.4}, {"sample": 7, "weight": 0.6}], "expires_in": 604800},
                {"parents": [{"face_id": FACE_ID_EXAMPLE}, {"sample": 7}], "attributes": {"smile": 1}},
            ]
        }
    )

    parents: list[ParentBody] | None = Field(None, min_length=1, max_length=MOST_PARENTS)
    recipe: Recipe | None = None
    expires_in: Annotated[float, Field(ge=60, le=100 * _YEAR, allow_inf_nan=False)] | None = Field(
        None, description="seconds, at least 60; null for as long as the server allows"
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> SaveBody:
        if (self.parents is None) == (self.recipe is None):
            raise ValueError("give exactly one of parents and recipe")
        if self.recipe is not None and self.model_fields_set - {"recipe", "expires_in"}:
            raise ValueError("a recipe says everything; leave out the rest")
        return self


class SavedResponse(BaseModel):
    """A saved recipe. The token is told this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": SAVED_EXAMPLE,
                    "url": f"https://faces.example/r/{SAVED_EXAMPLE}",
                    "picture_url": f"https://faces.example/api/v1/recipes/{SAVED_EXAMPLE}/picture",
                    "delete_url": f"https://faces.example/r/{SAVED_EXAMPLE}/delete?token=dGhpcyBpcyBub3QgYSB0b2tlbg",
                    "delete_token": "dGhpcyBpcyBub3QgYSB0b2tlbg",
                    "expires_at": "2026-11-28T11:00:00Z",
                }
            ]
        }
    )

    id: str
    url: str = Field(description="the page to share")
    picture_url: str
    delete_url: str = Field(description="a page that deletes it, after asking")
    delete_token: str = Field(description="for DELETE, in the header X-Facemix-Delete-Token")
    expires_at: datetime | None


class Lineage(BaseModel):
    """Where a parent of a saved recipe came from."""

    kind: Literal["sample", "latent"]
    weight: float
    sample: int | None
    origin: str | None = Field(description="the saved recipe whose result this parent is, if it is one")


class SavedRecipeResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": SAVED_EXAMPLE,
                    "recipe": {**RECIPE_EXAMPLE, "parents": [{"kind": "sample", "number": 12, "weight": 1.0}]},
                    "created_at": "2026-11-21T11:00:00Z",
                    "expires_at": "2026-11-28T11:00:00Z",
                    "available": True,
                    "live": MODEL_EXAMPLE,
                    "parents": [{"kind": "sample", "weight": 1.0, "sample": 12, "origin": None}],
                    "picture_url": f"https://faces.example/api/v1/recipes/{SAVED_EXAMPLE}/picture",
                }
            ]
        }
    )

    id: str
    recipe: Recipe
    created_at: datetime
    expires_at: datetime | None
    available: bool = Field(description="whether the recipe's model is live, so that it can be drawn again")
    live: ModelName | None = Field(description="the model that is live")
    parents: list[Lineage]
    picture_url: str = Field(description="the result as it was saved, whatever model is live")
