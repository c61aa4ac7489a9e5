"""The shapes that several answers are made of: places in a photograph, what was found there, pictures, the model, and
problems. Coordinates are pixels of the upright photograph, x to the right, y down.

Answers may gain members inside ``/v1``, never lose or rename one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from facemix.web.schemas_examples import REQUEST_ID_EXAMPLE

ImageMediaType = Literal["image/png", "image/webp", "image/jpeg"]
NextPage = Annotated[str | None, Field(description="the `cursor` of the next page; null after the last")]


class Point(BaseModel):
    x: float
    y: float


class Box(BaseModel):
    """May reach beyond the photograph."""

    x0: float
    y0: float
    x1: float
    y1: float


class Landmarks(BaseModel):
    """Left and right as seen in the picture, not by the person."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class QualityFigures(BaseModel):
    score: float | None = Field(description="the detector's confidence, 0 to 1; null for a face placed by hand")
    face_pixels: float | None = Field(description="distance between the eyes, in pixels of the photograph")
    sharpness: float | None = Field(description="0 is flat; relative to the crop's contrast")
    yaw: float | None = Field(description="0 frontal to 1 profile; null for a face placed by hand")
    roll: float | None = Field(description="degrees by which the face leans, -180 to 180")
    brightness: float | None = Field(description="mean luma of the crop, 0 to 1")
    photograph: float | None = Field(
        description="how much it looks like a photograph of a face, 0 to 1; null where no gate has judged it"
    )


class Warning_(BaseModel):  # the trailing underscore keeps Python's Warning visible
    """Usable, but it will cost likeness."""

    model_config = ConfigDict(title="Warning")

    code: str
    message: str


class EmbeddedImage(BaseModel):
    media_type: ImageMediaType
    width: int
    height: int
    base64: str


class FrameSheet(BaseModel):
    """All frames in one picture: a grid filled row by row from the top left."""

    media_type: ImageMediaType
    frame_width: int
    frame_height: int
    count: int
    columns: int
    rows: int
    base64: str


class ModelName(BaseModel):
    """Which weights made this."""

    id: str = Field(description="name and the first 12 digits of the weights' hash, as in X-Facemix-Model")
    name: str
    weights: str = Field(description="SHA-256 of the weights file")
    latent_schema: int


class Note_(BaseModel):  # as Warning_
    """Something to know about a result."""

    model_config = ConfigDict(title="Note")

    code: str
    message: str


class ParentReport(BaseModel):
    """What was used of one parent. The figures are null unless a photograph was sent."""

    where: str = Field(description="the parent's place in the request: face_a, parents.1")
    source: Literal["photo", "sample", "latent"]
    sample: int | None
    index: int | None = Field(description="which face was taken, largest first")
    count: int | None = Field(description="how many faces the photo holds")
    width: int | None = Field(description="of the upright photograph")
    height: int | None
    notes: list[str] = Field(description="what was done to the photograph while it was read")
    box: Box | None
    landmarks: Landmarks | None
    quality: QualityFigures | None
    warnings: list[Warning_]


class Problem(BaseModel):
    """RFC 9457. `code` is stable; programs may switch on it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/face_not_found",
                    "title": "No face was found",
                    "status": 422,
                    "detail": "no face was found in a photo of 451 x 300 pixels",
                    "instance": f"urn:facemix:request:{REQUEST_ID_EXAMPLE}",
                    "code": "face_not_found",
                    "hint": "use a photo in which one face is well lit and looks towards the camera",
                    "request_id": REQUEST_ID_EXAMPLE,
                    "where": "face_b",
                    "details": {},
                }
            ]
        }
    )

    type: str = Field(description="address of a page about this kind of problem")
    title: str
    status: int
    detail: str = Field(description="what was wrong this time")
    instance: str = Field(description="names this one occurrence")
    code: str
    hint: str = Field(description="what to do about it")
    request_id: str
    where: str | None = Field(description="which input it concerns, if one")
    details: dict[str, Any] = Field(description="further figures")
