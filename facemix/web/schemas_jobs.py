"""The shapes of work that takes longer than a request: animations, and jobs of any kind."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from facemix.mixing.path import Easing, Loop
from facemix.mixing.recipe import MOST_PARENTS, Moved, Recipe
from facemix.web.schemas_examples import RECIPE_EXAMPLE
from facemix.web.schemas_parts import NextPage, Note_
from facemix.web.schemas_requests import EditsBody, ParentBody, Strict, Weight

MOST_STOPS = 32
JOB_EXAMPLE = {
    "id": "Zq3hXk0nR9u2bL7cV5yT1A",
    "kind": "animation",
    "state": "running",
    "done": 12,
    "total": 60,
    "created_at": "2026-11-21T11:00:00Z",
    "expires_at": "2026-11-21T12:15:00Z",
    "media_type": None,
    "filename": None,
    "bytes": None,
    "notes": [],
    "problem": None,
    "url": "https://faces.example/api/v1/jobs/Zq3hXk0nR9u2bL7cV5yT1A",
    "result_url": None,
}

AnimationMediaType = Literal["image/gif", "image/webp", "video/mp4"]


class StopBody(Strict):
    """A face on the way."""

    weights: list[Weight] = Field(min_length=1, max_length=MOST_PARENTS, description="one for each parent")
    attributes: dict[str, Moved] | None = Field(
        None, max_length=64, description="in the place of the whole's; null keeps those"
    )


class AnimationBody(EditsBody):
    """A film through any number of faces made of the same parents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parents": [{"sample": 3}, {"sample": 7}], "seconds": 1, "fps": 10, "loop": "ping-pong"},
                {
                    "parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}],
                    "stops": [{"weights": [1, 0, 0]}, {"weights": [0, 1, 1]}, {"weights": [1, 1, 1]}],
                    "seconds": 1.5,
                    "fps": 10,
                    "easing": "ease",
                    "loop": "loop",
                    "media_type": "image/webp",
                    "size": 256,
                },
            ]
        }
    )

    parents: list[ParentBody] = Field(min_length=1, max_length=MOST_PARENTS)
    stops: list[StopBody] | None = Field(
        None, min_length=2, max_length=MOST_STOPS, description="null goes from parent to parent"
    )
    seconds: Annotated[float, Field(ge=0.2, le=60, allow_inf_nan=False)] = 3.0
    fps: Annotated[float, Field(ge=1, le=60, allow_inf_nan=False, description="frames per second")] = 20.0
    easing: Easing = "ease"
    loop: Loop = "once"
    media_type: AnimationMediaType = "image/gif"
    size: int = Field(
        256, ge=128, le=1024, description="side of the film in pixels; with `detail` its frames are drawn at that side"
    )


class JobBody(BaseModel):
    """How a job stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    kind: str = Field(description="what it makes: animation, batch")
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int = Field(description="units of work that are done")
    total: int
    created_at: datetime
    expires_at: datetime = Field(description="from when on neither it nor its result is found any more")
    media_type: str | None = Field(description="of the result; null until there is one")
    filename: str | None
    bytes: int | None
    notes: list[str]
    problem: dict[str, Any] | None = Field(description="why it failed, as a problem document")
    url: str
    result_url: str | None = Field(description="null until it is done")


class AnimationResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job": JOB_EXAMPLE, "recipes": [RECIPE_EXAMPLE], "notes": []}]}
    )

    job: JobBody
    recipes: list[Recipe] = Field(description="of each stop")
    notes: list[Note_] = Field(description="about words of the prompts that say nothing")


class JobsResponse(BaseModel):
    """A page of jobs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [JOB_EXAMPLE], "next": None}]})

    items: list[JobBody]
    next: NextPage
