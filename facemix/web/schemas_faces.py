"""The shapes of the faces that are found in a photograph."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from facemix.web.schemas_examples import (
    BOX_EXAMPLE,
    FACE_ID_EXAMPLE,
    IMAGE_EXAMPLE,
    LANDMARKS_EXAMPLE,
    PHOTO_EXAMPLE,
    QUALITY_EXAMPLE,
    REQUEST_ID_EXAMPLE,
    WARNING_EXAMPLE,
)
from facemix.web.schemas_parts import Box, EmbeddedImage, Landmarks, Problem, QualityFigures, Warning_


class PhotoReport(BaseModel):
    """The upright photograph."""

    width: int
    height: int
    notes: list[str]


class FaceReport(BaseModel):
    id: str | None = Field(description="to mix by, until `expires_at`; null if the face is refused")
    expires_at: datetime | None
    index: int
    box: Box
    landmarks: Landmarks
    quality: QualityFigures
    warnings: list[Warning_]
    refusal: Problem | None = Field(description="the answer that mixing this face would get, or null")
    crop: EmbeddedImage = Field(description="the aligned crop that the model would see")


class FacesResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": REQUEST_ID_EXAMPLE,
                    "image": {"width": 512, "height": 512, "notes": []},
                    "count": 1,
                    "sha256": PHOTO_EXAMPLE,
                    "faces": [
                        {
                            "id": FACE_ID_EXAMPLE,
                            "expires_at": "2026-11-21T12:00:00Z",
                            "index": 0,
                            "box": BOX_EXAMPLE,
                            "landmarks": LANDMARKS_EXAMPLE,
                            "quality": QUALITY_EXAMPLE,
                            "warnings": [WARNING_EXAMPLE],
                            "refusal": None,
                            "crop": IMAGE_EXAMPLE,
                        }
                    ],
                }
            ]
        }
    )

    request_id: str
    image: PhotoReport
    sha256: str = Field(description="of the uploaded bytes, as recipes name the photo")
    count: int = Field(description="faces in the photo; `faces` lists the largest of them")
    faces: list[FaceReport]
