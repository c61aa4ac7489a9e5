"""From the mixer's results to the shapes of the interface. Encodes pictures, so it runs in a thread."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np
from starlette.requests import Request

from facemix.errors import FacemixError
from facemix.faces.types import LANDMARK_NAMES, Face, Quality
from facemix.imaging.encode import MediaType, encode_image
from facemix.mixing.recipe import ModelIdentity, Parent, PhotoParent, Recipe, SampleParent
from facemix.serving.types import FoundPhoto, FramesResult, MixResult, ParentFace, StripResult
from facemix.web.kept_faces import KeptFace
from facemix.web.problems import clean_text, internal_error, jsonable, problem_document
from facemix.web.release import Release, named
from facemix.web.schemas_faces import FaceReport
from facemix.web.schemas_parts import (
    Box,
    EmbeddedImage,
    FrameSheet,
    Landmarks,
    ModelName,
    ParentReport,
    Point,
    QualityFigures,
    Warning_,
)

# A crowd is counted, but only its largest faces are described.
FACES_SHOWN = 32


def model_name(model: ModelIdentity) -> ModelName:
    return ModelName(id=str(model), name=model.name, weights=model.weights, latent_schema=model.latent_schema)


def embedded(data: bytes, pixels: np.ndarray, media_type: str) -> EmbeddedImage:
    """data: a file of `pixels`, (H, W, 3)."""
    height, width = pixels.shape[:2]
    content = base64.b64encode(data).decode("ascii")
    return EmbeddedImage(media_type=media_type, width=width, height=height, base64=content)


def released_image(release: Release, result: MixResult, media_type: MediaType = "image/png") -> EmbeddedImage:
    """A mix as it leaves: marked, with its credentials."""
    data = release.picture(result.image, media_type, result.recipe, result.parents)
    return embedded(data, result.image, media_type)


def embed(pixels: np.ndarray, media_type: str = "image/png") -> EmbeddedImage:
    """What is no result, as the crop of a photograph. pixels: (H, W, 3) uint8 RGB."""
    return embedded(encode_image(pixels, media_type), pixels, media_type)


def frame_sheet(
    release: Release,
    made: FramesResult | StripResult,
    media_type: MediaType = "image/webp",
    *,
    columns: int | None = None,
) -> FrameSheet:
    """Lays frames out on a grid, row by row, as they leave: marked, with credentials.

    Args:
        columns: None for a nearly square grid; a single column of 257 frames would be taller than WebP allows (16383
            pixels).

    Raises:
        RequestInvalid: see `encode_image`.
    """
    recipe = named(made.recipes)
    frames = release.mark(made.frames, recipe)
    count, height, width = frames.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = frame
    return FrameSheet(
        media_type=media_type,
        frame_width=width,
        frame_height=height,
        count=count,
        columns=columns,
        rows=rows,
        base64=base64.b64encode(release.file(sheet, media_type, recipe, made.parents)).decode("ascii"),
    )


def _box(face: Face) -> Box:
    x0, y0, x1, y1 = (round(float(value), 2) for value in face.box)
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _landmarks(face: Face) -> Landmarks:
    points = {
        name: Point(x=round(float(x), 2), y=round(float(y), 2))
        for name, (x, y) in zip(LANDMARK_NAMES, face.landmarks, strict=True)
    }
    return Landmarks(**points)


def _quality(quality: Quality) -> QualityFigures:
    names = ("score", "face_pixels", "sharpness", "yaw", "roll", "brightness", "photograph")
    return QualityFigures(**{name: jsonable(round(float(getattr(quality, name)), 4)) for name in names})


def _warnings(quality: Quality) -> list[Warning_]:
    return [Warning_(code=code, message=clean_text(message)) for code, message in quality.warnings]


def face_reports(photo: FoundPhoto, kept: Mapping[int, KeptFace], request: Request) -> list[FaceReport]:
    """kept: the faces that can be mixed by an id, by their index."""
    reports = []
    for found in photo.faces[:FACES_SHOWN]:
        refusal = found.refusal
        if refusal is not None and not isinstance(refusal, FacemixError):
            refusal = internal_error()
        known = kept.get(found.index)
        reports.append(
            FaceReport(
                id=None if known is None else known.id,
                expires_at=None if known is None else known.expires_at,
                index=found.index,
                box=_box(found.face),
                landmarks=_landmarks(found.face),
                quality=_quality(found.quality),
                warnings=_warnings(found.quality),
                refusal=None if refusal is None else problem_document(refusal, request),
                crop=embed(found.crop, "image/jpeg"),
            )
        )
    return reports


def parent_reports(used: Sequence[ParentFace], recipe: Recipe) -> list[ParentReport]:
    """What was used of each parent of a recipe."""
    return [_parent_report(face, parent) for face, parent in zip(used, recipe.parents, strict=True)]


def _parent_report(used: ParentFace, parent: Parent) -> ParentReport:
    photo, chosen = used.photo, used.chosen
    return ParentReport(
        where=used.where,
        # Of a portable recipe the parent is a latent, whatever was sent.
        source=parent.kind if photo is None else "photo",
        sample=parent.number if isinstance(parent, SampleParent) else None,
        index=chosen.index if chosen is not None else parent.face if isinstance(parent, PhotoParent) else None,
        count=None if photo is None else len(photo.faces),
        width=None if photo is None else photo.width,
        height=None if photo is None else photo.height,
        notes=[] if photo is None else [clean_text(note) for note in photo.notes],
        box=None if chosen is None else _box(chosen.face),
        landmarks=None if chosen is None else _landmarks(chosen.face),
        quality=None if chosen is None else _quality(chosen.quality),
        warnings=[] if chosen is None else _warnings(chosen.quality),
    )


def server_timing(stage_ms: dict[str, float]) -> str:
    """The stages as a ``Server-Timing`` header, which a browser's network view draws."""
    return ", ".join(
        f"{name};dur={value:.1f}" for name, value in stage_ms.items() if name.isidentifier() and name.isascii()
    )


def percent(result: MixResult) -> int:
    """Share of the second parent, for file names."""
    return round(100 * result.recipe.weights[1])
