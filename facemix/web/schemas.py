"""The shapes of the interface: what a JSON request may hold and what every answer holds.

Requests are strict (unknown members and wrong types are refused). Answers may gain members inside ``/v1``,
never lose or rename one. Coordinates are pixels of the upright photograph, x to the right, y down.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from facemix.mixing.latents import LATENT_PATTERN, MOST_LATENT_CHARACTERS
from facemix.mixing.reading import SAVED_TAG, WHOLE_TAG
from facemix.mixing.recipe import (
    MOST_PARENTS,
    REGIONS,
    Detail,
    Interpolation,
    Keep,
    ModelIdentity,
    Moved,
    PlacedPoints,
    Placement,
    Recipe,
    Region,
    Size,
    Variation,
    Vividness,
)

ImageMediaType = Literal["image/png", "image/webp", "image/jpeg"]

# A grey pixel: small enough to read in the documentation, and really an image.
PIXEL_EXAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgQCAMx2Y0AAAAABJRU5ErkJggg=="
FACE_ID_EXAMPLE = "Jx0mVQd5S1uN8s7fK3aZ2w"
_WEIGHTS = "3f0c1b7a9d2e4c5f8a6b0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a"
PHOTO_EXAMPLE = "9b74c9897bac770ffc029102a200c5de84f2b5f7c1a2d3e4f5061728394a5b6c"
_REQUEST_ID = "6f1d0f2c9b7e4a55a1f0c3d2e4b59687"

Weight = Annotated[
    float,
    Field(ge=0, le=1_000_000, allow_inf_nan=False, description="share of this face; scaled to sum to 1"),
]
Weights = Annotated[list[Weight], Field(max_length=MOST_PARENTS)]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="seed of the draws from the prior")]
SampleNumber = Annotated[int, Field(ge=0, lt=2**31, description="a sample face, by number")]
FaceIndex = Annotated[int, Field(ge=0, lt=1000, description="which face of the photo, largest first")]


# --- requests ----------------------------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SavedId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16}$")]
# Told apart by their types, so that what does not fit is said of the one that was meant.
AnyRecipe = Annotated[
    Annotated[SavedId, Tag(SAVED_TAG)] | Annotated[Recipe, Tag(WHOLE_TAG)],
    Discriminator(lambda given: SAVED_TAG if isinstance(given, str) else WHOLE_TAG),
]


class LatentBody(Strict):
    """A latent, with the identity of the model that made it."""

    model: ModelIdentity
    z: str = Field(
        pattern=LATENT_PATTERN, max_length=MOST_LATENT_CHARACTERS, description="little-endian float32 in base64"
    )
    origin: SavedId | None = Field(None, description="the saved recipe whose result it is, if it is one")


SOURCES = ("image", "sample", "face_id", "latent", "recipe")


class ParentBody(Strict):
    """One face of the mix, from exactly one source."""

    image: str | None = Field(
        None,
        description="the photograph's bytes in base64; a data: URI is fine, an address is not fetched",
    )
    sample: SampleNumber | None = None
    face_id: str | None = Field(None, min_length=1, max_length=64, description="a face from POST /api/v1/faces")
    latent: LatentBody | None = None
    recipe: AnyRecipe | None = Field(
        None, description="the result of a recipe: a saved one by its id, or one without photographs as it stands"
    )
    face: FaceIndex | None = Field(None, description="which face of the image, largest first")
    placed: PlacedPoints | None = Field(None, description="where the face of the image is, if none is found in it")
    weight: Weight | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ParentBody:
        if sum(getattr(self, source) is not None for source in SOURCES) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCES)}")
        if self.image is None and (self.face is not None or self.placed is not None):
            raise ValueError("face and placed belong to an image")
        if self.face and self.placed is not None:
            raise ValueError("a face that was placed by hand is the only one; leave out face")
        return self


Prompt = Annotated[
    str, Field(max_length=2000, description="words for attributes, by commas; see GET /api/v1/attributes")
]


class EditsBody(Strict):
    """What is done to a mix besides weighing its parents."""

    interpolation: Interpolation = "lerp"
    vividness: Vividness = 0.0
    attributes: dict[str, Moved] = Field(
        default_factory=dict,
        max_length=64,
        description="by name, in standard deviations of the data set; see GET /api/v1/attributes",
    )
    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    regions: dict[Region, Weights] = Field(
        default_factory=dict,
        max_length=len(REGIONS),
        description="weights of the parents in a region of the face, where they differ",
    )
    colour: Weights | None = Field(None, description="weights of the parents in the colours, where they differ")
    variation: Variation | None = None
    detail: Detail = 0.0
    keep: Keep = Field(default_factory=dict)
    size: Size | None = None
    placement: Placement | None = Field(
        None, description="what a single mix is put onto; null: the aligned crop alone. Nothing else takes it"
    )
    seed: Seed = 0


class MixBody(EditsBody):
    """Faces to mix. Weights are given for all parents, or for none (equal shares)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parents": [{"image": PIXEL_EXAMPLE, "weight": 0.7}, {"image": PIXEL_EXAMPLE, "weight": 0.3}]},
                {"parents": [{"sample": 3}, {"sample": 7}, {"sample": 11}], "interpolation": "slerp"},
                {"parents": [{"sample": 3}, {"sample": 7}], "vividness": 0.25},
                {"parents": [{"sample": 3}, {"sample": 7}], "prompt": "older, smiling", "regions": {"eyes": [1, 0]}},
                {
                    "parents": [{"image": PIXEL_EXAMPLE}, {"image": PIXEL_EXAMPLE}],
                    "detail": 1,
                    "keep": {"hair": 0, "glasses": "mixed"},
                    "size": 512,
                    "placement": {"onto": "photo", "parent": 0},
                },
            ]
        }
    )

    parents: list[ParentBody] = Field(min_length=1, max_length=MOST_PARENTS)
    image_format: ImageMediaType = Field("image/png", description="type of the image inside a JSON answer")
    portable: bool = Field(False, description="put latents in the place of photographs in the answer's recipe")


class ReplayBody(Strict):
    """A recipe to draw again. Its photographs, if it has any, come as files beside it in a multipart form."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recipe": "kV0tW3qfX8mZ1aBc"}]})

    recipe: AnyRecipe
    image_format: ImageMediaType = Field("image/png", description="type of the image inside a JSON answer")
    portable: bool = False


class StripBody(EditsBody):
    """Two faces and the number of frames between them. Weights play no part."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parents": [{"sample": 3}, {"sample": 7}], "steps": 9}]})

    parents: list[ParentBody] = Field(min_length=2, max_length=2)
    steps: int | None = Field(None, ge=3, description="frames, both ends included")


# --- parts of answers --------------------------------------------------------------------------------------


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
                    "instance": f"urn:facemix:request:{_REQUEST_ID}",
                    "code": "face_not_found",
                    "hint": "use a photo in which one face is well lit and looks towards the camera",
                    "request_id": _REQUEST_ID,
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


# --- answers -----------------------------------------------------------------------------------------------

MODEL_EXAMPLE = {
    "id": f"facemix-128@{_WEIGHTS[:12]}",
    "name": "facemix-128",
    "weights": _WEIGHTS,
    "latent_schema": 1,
}
_BOX_EXAMPLE = {"x0": 177.2, "y0": 68.5, "x1": 273.9, "y1": 190.1}
_LANDMARKS_EXAMPLE = {
    "left_eye": {"x": 200.4, "y": 114.0},
    "right_eye": {"x": 246.3, "y": 112.8},
    "nose": {"x": 224.9, "y": 141.2},
    "left_mouth": {"x": 206.1, "y": 160.7},
    "right_mouth": {"x": 245.5, "y": 159.4},
}
_QUALITY_EXAMPLE = {
    "score": 0.87,
    "face_pixels": 45.9,
    "sharpness": 0.41,
    "yaw": 0.08,
    "roll": -1.5,
    "brightness": 0.56,
    "photograph": 0.98,
}
_WARNING_EXAMPLE = {"code": "face_small", "message": "The face is small; a larger one keeps more likeness."}
PHOTO_REPORT_EXAMPLE = {
    "where": "face_a",
    "source": "photo",
    "sample": None,
    "index": 0,
    "count": 1,
    "width": 512,
    "height": 512,
    "notes": [],
    "box": _BOX_EXAMPLE,
    "landmarks": _LANDMARKS_EXAMPLE,
    "quality": _QUALITY_EXAMPLE,
    "warnings": [_WARNING_EXAMPLE],
}
SAMPLE_REPORT_EXAMPLE = {
    "where": "sample_b",
    "source": "sample",
    "sample": 12,
    "index": None,
    "count": None,
    "width": None,
    "height": None,
    "notes": [],
    "box": None,
    "landmarks": None,
    "quality": None,
    "warnings": [],
}
IMAGE_EXAMPLE = {"media_type": "image/png", "width": 1, "height": 1, "base64": PIXEL_EXAMPLE}
RECIPE_EXAMPLE = {
    "version": 1,
    "model": {"name": "facemix-128", "weights": _WEIGHTS, "latent_schema": 1},
    "parents": [
        {"kind": "photo", "sha256": PHOTO_EXAMPLE, "face": 0, "placed": None, "weight": 0.5},
        {"kind": "sample", "number": 12, "weight": 0.5},
    ],
    "interpolation": "lerp",
    "vividness": 0.0,
    "attributes": {"smile": 1.0},
    "regions": {},
    "colour": None,
    "variation": None,
    "detail": 0.0,
    "keep": {},
    "size": None,
    "placement": None,
    "seed": 0,
}


class MixResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": _REQUEST_ID,
                    "model": MODEL_EXAMPLE,
                    "recipe": RECIPE_EXAMPLE,
                    "faces": [PHOTO_REPORT_EXAMPLE, SAMPLE_REPORT_EXAMPLE],
                    "notes": [],
                    "image": IMAGE_EXAMPLE,
                }
            ]
        }
    )

    request_id: str
    model: ModelName
    recipe: Recipe
    faces: list[ParentReport]
    notes: list[Note_] = Field(description="what edits pull in that no parent has, one plain sentence each")
    image: EmbeddedImage


class StripResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": _REQUEST_ID,
                    "model": MODEL_EXAMPLE,
                    "recipe": RECIPE_EXAMPLE,
                    "faces": [PHOTO_REPORT_EXAMPLE, SAMPLE_REPORT_EXAMPLE],
                    "weights": [0.0, 0.5, 1.0],
                    "frames": {
                        "media_type": "image/png",
                        "frame_width": 1,
                        "frame_height": 1,
                        "count": 3,
                        "columns": 2,
                        "rows": 2,
                        "base64": PIXEL_EXAMPLE,
                    },
                }
            ]
        }
    )

    request_id: str
    model: ModelName
    recipe: Recipe = Field(description="of the middle frame; the others differ in their weights alone")
    faces: list[ParentReport]
    weights: list[float] = Field(description="the second face's share in each frame")
    frames: FrameSheet


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
                    "request_id": _REQUEST_ID,
                    "image": {"width": 512, "height": 512, "notes": []},
                    "count": 1,
                    "sha256": PHOTO_EXAMPLE,
                    "faces": [
                        {
                            "id": FACE_ID_EXAMPLE,
                            "expires_at": "2026-11-21T12:00:00Z",
                            "index": 0,
                            "box": _BOX_EXAMPLE,
                            "landmarks": _LANDMARKS_EXAMPLE,
                            "quality": _QUALITY_EXAMPLE,
                            "warnings": [_WARNING_EXAMPLE],
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


class ModelResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": MODEL_EXAMPLE,
                    "crop_size": 128,
                    "licence": "non-commercial research",
                    "limitations": ["Glasses and hands over the face are not kept."],
                    "card": {"metrics": {"lpips": 0.21}},
                }
            ]
        }
    )

    model: ModelName
    crop_size: int = Field(description="side of every result, in pixels")
    licence: str = Field(description="under which the weights may be used")
    limitations: list[str]
    card: dict[str, Any] = Field(description="the checkpoint's whole card")


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
