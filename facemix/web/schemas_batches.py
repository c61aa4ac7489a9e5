"""The shapes of a batch of mixes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from facemix.web.schemas_jobs import JOB_EXAMPLE, JobBody
from facemix.web.schemas_requests import MixBody, Strict


class BatchItemBody(MixBody):
    """A mix, with a name for its file."""

    name: Annotated[str, Field(max_length=200)] | None = None


class BatchBody(Strict):
    """Mixes that are done one after the other."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"parents": [{"sample": 3}, {"sample": 7}], "name": "first"},
                        {"parents": [{"sample": 11}], "prompt": "older", "image_format": "image/webp"},
                    ]
                }
            ]
        }
    )

    items: list[BatchItemBody] = Field(min_length=1, max_length=2000)


class BatchResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job": {**JOB_EXAMPLE, "kind": "batch", "done": 0, "total": 2}}]}
    )

    job: JobBody
