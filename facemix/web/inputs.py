"""From a request to what the mixer takes: multipart or JSON in, `MixInput` out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from facemix.errors import MediaTypeUnsupported, RequestInvalid
from facemix.mixing.recipe import Interpolation, Vividness, normalise_weights
from facemix.serving.types import ParentInput, PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.web.forms import Form, read_form, too_large
from facemix.web.problems import from_validation
from facemix.web.schemas import FaceIndex, MixBody, ParentBody, SampleNumber, Seed, StripBody

PAIR_FILES = ("face_a", "face_b")
PAIR_FIELDS = ("face_a_index", "face_b_index", "sample_a", "sample_b", "interpolation", "vividness", "seed")
MIX_FIELDS = ("weight", *PAIR_FIELDS)
STRIP_FIELDS = ("steps", *PAIR_FIELDS)

_SPACE = re.compile(r"[ \t\r\n]+")
_DATA_URI = re.compile(r"^data:[^,]{0,200};base64,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class MixInput:
    parents: tuple[ParentInput, ...]
    interpolation: Interpolation = "lerp"
    vividness: float = 0.0
    seed: int = 0
    image_format: str = "image/png"


@dataclass(frozen=True)
class StripInput:
    parents: tuple[ParentInput, ParentInput]
    steps: int
    interpolation: Interpolation = "lerp"
    vividness: float = 0.0
    seed: int = 0


class PairFields(BaseModel):
    """The text fields of the multipart form, as numbers."""

    model_config = ConfigDict(frozen=True)

    weight: float = Field(0.5, ge=0, le=1, allow_inf_nan=False, description="share of face_b")
    face_a_index: FaceIndex | None = None
    face_b_index: FaceIndex | None = None
    sample_a: SampleNumber | None = None
    sample_b: SampleNumber | None = None
    interpolation: Interpolation = "lerp"
    vividness: Vividness = 0.0
    seed: Seed = 0
    steps: int | None = Field(None, ge=3)


def decode_base64(text: str, *, where: str, max_bytes: int) -> bytes:
    """Bytes of a base64 text or data: URI; white space, the URL-safe alphabet and lost padding are forgiven.

    Raises:
        ImageTooLarge: it would decode to more than `max_bytes`; found before decoding.
        RequestInvalid: it is not base64.
    """
    payload = _SPACE.sub("", _DATA_URI.sub("", text, count=1)).translate(_URL_SAFE).rstrip("=")
    size = len(payload) * 3 // 4
    if size > max_bytes:
        raise too_large(where, max_bytes, size)
    try:
        return base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
    except (binascii.Error, ValueError):
        hint = "encode the file's bytes in base64, as the command `base64 -w0 photo.jpg` does"
        if re.match(r"https?:", text, re.IGNORECASE):
            hint = "facemix fetches no addresses; send the file's bytes in base64"
        raise RequestInvalid("image is not base64", hint=hint, where=where) from None


def _parents_from_json(parents: Sequence[ParentBody], settings: Settings) -> tuple[ParentInput, ...]:
    if len(parents) > settings.max_parents:
        raise RequestInvalid(
            f"{len(parents)} parents were given",
            hint=f"this server mixes at most {settings.max_parents} faces at once",
            where="parents",
        )
    given = [parent.weight for parent in parents if parent.weight is not None]
    if given and len(given) < len(parents):
        raise RequestInvalid(
            f"{len(given)} of {len(parents)} parents have a weight",
            hint="give every parent a weight, or none for equal shares",
            where="parents",
        )
    weights = normalise_weights(given or [1.0] * len(parents), where="parents")
    inputs: list[ParentInput] = []
    for index, (parent, weight) in enumerate(zip(parents, weights, strict=True)):
        where = f"parents.{index}"
        if parent.image is not None:
            data = decode_base64(parent.image, where=where, max_bytes=settings.max_upload_bytes)
            inputs.append(PhotoInput(data=data, where=where, face=parent.face, weight=weight))
        else:
            assert parent.sample is not None  # the schema takes exactly one of the two
            inputs.append(SampleInput(number=parent.sample, where=where, weight=weight))
    return tuple(inputs)


def _steps(steps: int | None, settings: Settings) -> int:
    steps = min(settings.strip_steps, settings.max_steps) if steps is None else steps
    if steps > settings.max_steps:
        raise RequestInvalid(
            f"steps is {steps}", hint=f"this server draws at most {settings.max_steps} frames", where="steps"
        )
    return steps


def mix_from_json(body: bytes, settings: Settings) -> MixInput:
    """Raises `RequestInvalid` and what `decode_base64` raises."""
    try:
        wanted = MixBody.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from error
    return MixInput(
        parents=_parents_from_json(wanted.parents, settings),
        interpolation=wanted.interpolation,
        vividness=wanted.vividness,
        seed=wanted.seed,
        image_format=wanted.image_format,
    )


def strip_from_json(body: bytes, settings: Settings) -> StripInput:
    """Raises `RequestInvalid` and what `decode_base64` raises."""
    try:
        wanted = StripBody.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from error
    first, second = _parents_from_json(wanted.parents, settings)
    return StripInput(
        parents=(first, second),
        steps=_steps(wanted.steps, settings),
        interpolation=wanted.interpolation,
        vividness=wanted.vividness,
        seed=wanted.seed,
    )


def _fields(form: Form) -> PairFields:
    try:
        return PairFields.model_validate(form.fields)
    except ValidationError as error:
        raise from_validation(error) from error


def _pair(form: Form, fields: PairFields) -> tuple[ParentInput, ParentInput]:
    def slot(letter: Literal["a", "b"], weight: float) -> ParentInput:
        where = f"face_{letter}"
        data = form.files.get(where)
        sample: int | None = getattr(fields, f"sample_{letter}")
        if data is not None and sample is not None:
            raise RequestInvalid(
                f"{where} and sample_{letter} were both given",
                hint="send a photo or the number of a sample, not both",
                where=where,
            )
        if data is not None:
            index: int | None = getattr(fields, f"face_{letter}_index")
            return PhotoInput(data=data, where=where, face=index, weight=weight)
        if sample is not None:
            return SampleInput(number=sample, where=f"sample_{letter}", weight=weight)
        raise RequestInvalid(
            f"there is no photo {letter.upper()}",
            hint=f"choose a photo as {where}, or a sample face as sample_{letter}",
            where=where,
        )

    return slot("a", 1 - fields.weight), slot("b", fields.weight)


def mix_from_form(form: Form) -> MixInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = _fields(form)
    return MixInput(
        parents=_pair(form, fields),
        interpolation=fields.interpolation,
        vividness=fields.vividness,
        seed=fields.seed,
    )


def strip_from_form(form: Form, settings: Settings) -> StripInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = _fields(form)
    return StripInput(
        parents=_pair(form, fields),
        steps=_steps(fields.steps, settings),
        interpolation=fields.interpolation,
        vividness=fields.vividness,
        seed=fields.seed,
    )


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _json_body(request: Request) -> bytes | None:
    """The body if it is JSON; None for multipart, which is read as it arrives."""
    media_type = _media_type(request)
    if media_type == "multipart/form-data":
        return None
    if media_type == "application/json":
        return await request.body()
    raise MediaTypeUnsupported(
        f"the body is {media_type[:100]!r}" if media_type else "the request has no Content-Type",
        hint="send multipart/form-data with face_a and face_b, or application/json with parents",
    )


async def read_pair_form(request: Request, settings: Settings, fields: Sequence[str]) -> Form:
    return await read_form(request, files=PAIR_FILES, fields=fields, max_file_bytes=settings.max_upload_bytes)


async def read_mix(request: Request, settings: Settings) -> MixInput:
    """Reads ``POST /api/v1/mix``; JSON is parsed in a thread, since 32 MB of it would hold up the loop."""
    body = await _json_body(request)
    if body is not None:
        return await to_thread.run_sync(mix_from_json, body, settings)
    return mix_from_form(await read_pair_form(request, settings, MIX_FIELDS))


async def read_strip(request: Request, settings: Settings) -> StripInput:
    """Reads ``POST /api/v1/strip``."""
    body = await _json_body(request)
    if body is not None:
        return await to_thread.run_sync(strip_from_json, body, settings)
    return strip_from_form(await read_pair_form(request, settings, STRIP_FIELDS), settings)


async def read_photo(request: Request, settings: Settings) -> PhotoInput:
    """Reads ``POST /api/v1/faces``: one file, `image`."""
    form = await read_form(request, files=("image",), fields=(), max_file_bytes=settings.max_upload_bytes)
    if "image" not in form.files:
        raise RequestInvalid("there is no photo", hint="send one as the field image", where="image")
    return PhotoInput(data=form.files["image"], where="image")
