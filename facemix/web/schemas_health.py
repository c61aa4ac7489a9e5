"""The shapes of whether a server lives, and whether it can work."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from facemix.web.schemas_examples import MODEL_EXAMPLE
from facemix.web.schemas_parts import ModelName


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"]


class Readiness(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ready", "model": MODEL_EXAMPLE, "generation": "on"}]}
    )

    status: Literal["ready"]
    model: ModelName
    generation: Literal["on", "halted"] = Field(
        "on", description="`halted` while the operator has switched generation off; all else goes on"
    )
