"""The shapes of what waits for a person: a result that is held, how it stands, an appeal, a report."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facemix.governance.reasons import MOST_TEXT
from facemix.governance.review_states import State
from facemix.web.schemas_examples import REQUEST_ID_EXAMPLE, SAVED_EXAMPLE
from facemix.web.schemas_requests import SavedId, Strict

_TOKEN = "Q1pQ3n8m0c7f3hJ0yq2rYl4bq0vXn1k9sWc5tTz8uGE"
_STATUS = f"https://faces.example/api/v1/reviews/{_TOKEN}"
_PAGE = f"https://faces.example/held/{_TOKEN}"

ReportReason = Literal["me", "somebody", "child", "deceives", "other"]  # those of governance/reasons.py


class HeldResponse(BaseModel):
    """In the place of a result: a person looks at it first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "pending",
                    "code": "held_for_review",
                    "title": "A person will look at the result first",
                    "request_id": REQUEST_ID_EXAMPLE,
                    "detail": "a person will look at the result first",
                    "hint": "look at the status page from time to time",
                    "status_url": _STATUS,
                    "page_url": _PAGE,
                }
            ]
        }
    )

    state: Literal["pending"]
    code: Literal["held_for_review"]
    title: str
    request_id: str
    detail: str
    hint: str
    status_url: str = Field(description="tells a program how it stands; the address is all that guards it")
    page_url: str = Field(description="the same for people")


class ReviewStatusResponse(BaseModel):
    """How something stands that a person decides."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "approved",
                    "kind": "result",
                    "request_id": REQUEST_ID_EXAMPLE,
                    "since": "2026-11-21T11:00:00Z",
                    "due_at": "2026-11-22T11:00:00Z",
                    "expires_at": "2026-11-24T11:00:00Z",
                    "next": "The result can be fetched until it expires.",
                    "reason": None,
                    "picture_url": f"{_STATUS}/picture",
                    "may_appeal": False,
                    "page_url": _PAGE,
                }
            ]
        }
    )

    state: State
    kind: Literal["result", "report"] = Field(description="a result that was held, or a report of somebody's")
    request_id: str
    since: datetime
    due_at: datetime = Field(description="until when somebody should have decided")
    expires_at: datetime = Field(description="what nobody has decided on by then is deleted, and never given out")
    next: str = Field(description="what happens next, in a sentence")
    reason: str | None = Field(description="of a rejection")
    picture_url: str | None = Field(description="where the result is, once it is approved and until it is gone")
    may_appeal: bool
    page_url: str


class AppealBody(Strict):
    """Why somebody should look again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Both parents are photographs of me."}]})

    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]


class ReportBody(Strict):
    """What somebody objects to: exactly one of a saved recipe, the page behind its link, and a request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"recipe": SAVED_EXAMPLE, "reason": "me"},
                {
                    "request_id": REQUEST_ID_EXAMPLE,
                    "reason": "other",
                    "text": "It was sent to me as a photograph of a friend.",
                },
            ]
        }
    )

    recipe: SavedId | None = Field(None, description="id of a saved recipe")
    page: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None, description="address of the page behind its link"
    )
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] | None = Field(
        None, description="of the answer in which it came"
    )
    reason: ReportReason
    text: Annotated[str, Field(max_length=MOST_TEXT)] = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> ReportBody:
        if sum(one is not None for one in (self.recipe, self.page, self.request_id)) != 1:
            raise ValueError("give exactly one of recipe, page and request_id")
        return self


class ReportResponse(BaseModel):
    """Somebody will look at it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "pending", "status_url": _STATUS, "page_url": _PAGE}]}
    )

    state: State
    status_url: str
    page_url: str
