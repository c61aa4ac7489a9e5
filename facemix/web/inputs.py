"""From a request to what is wanted: multipart or JSON in, `MixInput` or `StripInput` out.

Nothing here needs a model. Parents that must be looked up or decoded by it are resolved later (`facemix.web.parents`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from anyio import to_thread
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from starlette.requests import Request

from facemix.errors import MediaTypeUnsupported, RequestInvalid
from facemix.mixing.reading import MOST_VALUES, check_values
from facemix.mixing.recipe import (
    Detail,
    Edits,
    Interpolation,
    Keep,
    Moved,
    PhotoParent,
    PlacedPoints,
    Placement,
    Recipe,
    Size,
    Vividness,
    normalise_weights,
)
from facemix.mixing.shorthand import keep_of_field, placement_of_field
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.web import consent
from facemix.web.consent import note_consent, take_consent
from facemix.web.forms import Form, read_form, too_large
from facemix.web.many_faces import check_frames
from facemix.web.parents import GivenFace, GivenLatent, GivenParent, GivenRecipe, GivenReplay
from facemix.web.problems import from_validation
from facemix.web.schemas import (
    EditsBody,
    FaceIndex,
    ImageMediaType,
    MixBody,
    ParentBody,
    Prompt,
    ReplayBody,
    SampleNumber,
    Seed,
    StripBody,
)

PAIR_FILES = ("face_a", "face_b")
_CARRIED = ("detail", "keep", "size", "placement")
_EDITS = ("interpolation", "vividness", "attributes", "prompt", "negative_prompt", *_CARRIED, "seed")
PAIR_FIELDS = ("face_a_index", "face_b_index", "sample_a", "sample_b", *_EDITS)
MIX_FIELDS = ("weight", *PAIR_FIELDS)
STRIP_FIELDS = ("steps", *PAIR_FIELDS)
RECIPE_FILES = tuple(f"photo_{index}" for index in range(32))
RECIPE_FIELDS = ("recipe", "image_format", "portable", "reencode")
LONG_FIELDS = {"recipe": 256 * 1024, "attributes": 8 * 1024, "prompt": 8 * 1024, "negative_prompt": 8 * 1024}

_SPACE = b" \t\r\n"
_DATA_URI = re.compile(r"^data:[^,]{0,200};base64,", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_POINT = re.compile(r"^\s*(-?[0-9]{1,7}(?:\.[0-9]{1,9})?)\s*,\s*(-?[0-9]{1,7}(?:\.[0-9]{1,9})?)\s*\Z")

_SAVED = re.compile(r"^[A-Za-z0-9_-]{16}\Z")

B = TypeVar("B", bound=BaseModel)


_PLAIN = Edits()


@dataclass(frozen=True)
class Wanted:
    """Edits as they were asked for: `edits` holds all but what the words of the prompts add to its attributes."""

    edits: Edits = _PLAIN
    prompt: str = ""
    negative_prompt: str = ""


_NOTHING = Wanted()


@dataclass(frozen=True)
class MixInput:
    parents: tuple[GivenParent, ...]
    wanted: Wanted = _NOTHING
    image_format: str = "image/png"
    portable: bool = False
    replay: GivenReplay | None = None  # then there are neither parents nor wishes


@dataclass(frozen=True)
class StripInput:
    parents: tuple[GivenParent, GivenParent]
    steps: int
    wanted: Wanted = _NOTHING


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
    attributes: dict[str, Moved] = Field(default_factory=dict, max_length=64)
    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    detail: Detail = 0.0
    keep: Keep = Field(default_factory=dict)
    size: Size | None = None
    placement: Placement | None = None
    seed: Seed = 0
    steps: int | None = Field(None, ge=3)

    @field_validator("attributes", mode="before")
    @classmethod
    def _parsed(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return json.loads(text)  # of the kilobytes that a form's field may have
        except (ValueError, RecursionError):
            raise ValueError('write JSON, as in {"smile": 1}') from None

    @field_validator("keep", mode="before")
    @classmethod
    def _keep(cls, text: Any) -> Any:
        return keep_of_field(text) if isinstance(text, str) else text

    @field_validator("placement", mode="before")
    @classmethod
    def _placement(cls, text: Any) -> Any:
        return placement_of_field(text) if isinstance(text, str) else text


class ReplayFields(BaseModel):
    """The text fields of a form that holds a recipe."""

    model_config = ConfigDict(frozen=True)

    image_format: ImageMediaType = "image/png"
    portable: bool = False
    reencode: bool = False


def decode_base64(text: str, *, where: str, max_bytes: int) -> bytes:
    """Bytes of a base64 text or data: URI; white space, the URL-safe alphabet and lost padding are forgiven.

    Raises:
        ImageTooLarge: it would decode to more than `max_bytes`; found before decoding.
        RequestInvalid: it is not base64.
    """
    uri = _DATA_URI.match(text)
    try:
        # As bytes and in one go: a regular expression would hold the interpreter for seconds.
        payload = text[uri.end() if uri else 0 :].encode("ascii").translate(_URL_SAFE, _SPACE).rstrip(b"=")
        size = len(payload) * 3 // 4
        if size > max_bytes:
            raise too_large(where, max_bytes, size)
        return base64.b64decode(payload + b"=" * (-len(payload) % 4), validate=True)
    except (binascii.Error, ValueError):  # a text beyond ASCII is a ValueError, too
        hint = "encode the file's bytes in base64, as the command `base64 -w0 photo.jpg` does"
        if re.match(r"https?:", text, re.IGNORECASE):
            hint = "facemix fetches no addresses; send the file's bytes in base64"
        raise RequestInvalid("image is not base64", hint=hint, where=where) from None


# --- JSON --------------------------------------------------------------------------------------------------


def parse(model: type[B], body: bytes, most: int = MOST_VALUES) -> B:
    """A strict JSON body of at most about `most` values. Raises `RequestInvalid`, which names the member."""
    check_values(body, most)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise from_validation(error) from error


def _kind_of(document: Any) -> str:
    return "replay" if isinstance(document, dict) and "recipe" in document and "parents" not in document else "mix"


_MIX_OR_REPLAY: TypeAdapter[MixBody | ReplayBody] = TypeAdapter(
    Annotated[Annotated[MixBody, Tag("mix")] | Annotated[ReplayBody, Tag("replay")], Discriminator(_kind_of)]
)


def given_parents(parents: Sequence[ParentBody], settings: Settings) -> tuple[GivenParent, ...]:
    """The parents of a JSON body.

    Raises:
        RequestInvalid, ImageTooLarge: too many, a weight for some only, or what `decode_base64` refuses.
    """
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
    return tuple(
        _given(parent, weight, f"parents.{index}", settings)
        for index, (parent, weight) in enumerate(zip(parents, weights, strict=True))
    )


def _given(parent: ParentBody, weight: float, where: str, settings: Settings) -> GivenParent:
    if parent.image is not None:
        data = decode_base64(parent.image, where=where, max_bytes=settings.max_upload_bytes)
        return PhotoInput(data=data, where=where, face=parent.face, weight=weight, placed=parent.placed)
    if parent.sample is not None:
        return SampleInput(number=parent.sample, where=where, weight=weight)
    if parent.face_id is not None:
        return GivenFace(parent.face_id, where, weight)
    if parent.latent is not None:
        return GivenLatent(parent.latent.model, parent.latent.z, where, weight, parent.latent.origin)
    assert parent.recipe is not None  # the schema takes exactly one source
    return GivenRecipe(parent.recipe, where, weight)


def given_edits(body: EditsBody) -> Wanted:
    """The edits of a JSON body; weights of regions and colours are scaled to sum to 1.

    Raises:
        RecipeInvalid: a value that does not fit, or weights that cannot be scaled.
        RequestInvalid: see `check_keep`.
    """
    regions = {name: normalise_weights(weights, where=f"regions.{name}") for name, weights in body.regions.items()}
    colour = None if body.colour is None else normalise_weights(body.colour, where="colour")
    edits = Edits.of(
        interpolation=body.interpolation,
        vividness=body.vividness,
        attributes=body.attributes,
        regions=regions,
        colour=colour,
        variation=body.variation,
        **{name: getattr(body, name) for name in _CARRIED},
        seed=body.seed,
    )
    check_keep(edits)
    return Wanted(edits, body.prompt, body.negative_prompt)


def check_keep(edits: Edits) -> None:
    """Raises `RequestInvalid` where something of the photographs is to be kept whole and none of their detail carried.
    For what is asked for anew; a recipe that has both is drawn again as it was."""
    if edits.keep and not edits.detail:
        raise RequestInvalid(
            "nothing of the photographs is in a mix without their detail",
            hint="give detail, as in 1, or leave keep out",
            where="keep",
        )


def _steps(steps: int | None, settings: Settings) -> int:
    steps = min(settings.strip_steps, settings.max_steps) if steps is None else steps
    if steps > settings.max_steps:
        raise RequestInvalid(
            f"steps is {steps}", hint=f"this server draws at most {settings.max_steps} frames", where="steps"
        )
    return steps


def _strip(
    parents: tuple[GivenParent, GivenParent], steps: int | None, wanted: Wanted, settings: Settings
) -> StripInput:
    count = _steps(steps, settings)
    check_frames(wanted.edits, count, "a strip")
    return StripInput(parents, count, wanted)


def mix_from_json(body: bytes, settings: Settings) -> MixInput:
    """A mix, or a recipe to draw again. Raises `RequestInvalid` and what `decode_base64` raises."""
    check_values(body)
    try:
        wanted = _MIX_OR_REPLAY.validate_json(body, strict=True)
    except ValidationError as error:
        raise from_validation(error, drop=1) from error  # which of the two it was taken for
    if isinstance(wanted, ReplayBody):
        return replay_input(wanted.recipe, (), settings, wanted.image_format, wanted.portable)
    return mix_from_body(wanted, settings)


def mix_from_body(body: MixBody, settings: Settings) -> MixInput:
    return MixInput(given_parents(body.parents, settings), given_edits(body), body.image_format, body.portable)


def strip_from_json(body: bytes, settings: Settings) -> StripInput:
    """Raises `RequestInvalid` and what `decode_base64` raises."""
    wanted = parse(StripBody, body)
    first, second = given_parents(wanted.parents, settings)
    return _strip((first, second), wanted.steps, given_edits(wanted), settings)


# --- replay ------------------------------------------------------------------------------------------------


def replay_input(
    recipe: Recipe | str,
    files: Iterable[bytes],
    settings: Settings,
    image_format: str,
    portable: bool,
    reencode: bool = False,
) -> MixInput:
    """A recipe to draw again, or the id of a saved one, with its photographs.

    Args:
        reencode: see `GivenReplay`.

    Raises:
        RequestInvalid: a photograph of the recipe is not among them, or it has more parents than the operator allows.
    """
    photos = {hashlib.sha256(data).hexdigest(): data for data in files}
    if isinstance(recipe, Recipe):
        check_replay(recipe, photos, settings)
    return MixInput((), _NOTHING, image_format, portable, GivenReplay(recipe, photos, reencode))


def check_replay(recipe: Recipe, photos: Container[str], settings: Settings) -> None:
    """Raises `RequestInvalid` as `replay_input`."""
    if len(recipe.parents) > settings.max_parents:
        raise RequestInvalid(
            f"the recipe has {len(recipe.parents)} parents",
            hint=f"this server mixes at most {settings.max_parents} faces at once",
            where="recipe.parents",
        )
    for index, parent in enumerate(recipe.parents):
        if isinstance(parent, PhotoParent) and parent.sha256 not in photos:
            raise RequestInvalid(
                f"the photo with SHA-256 {parent.sha256[:16]}... is missing",
                hint="send the recipe's photos as files photo_0, photo_1, ... of a form beside it",
                where=f"recipe.parents.{index}",
            )


def _replay_from_form(form: Form, settings: Settings) -> MixInput:
    text = form.fields.get("recipe")
    if text is None:
        raise RequestInvalid("there is no recipe", hint="send it as the field recipe, as JSON", where="recipe")
    fields = validated(ReplayFields, {name: form.fields[name] for name in RECIPE_FIELDS[1:] if name in form.fields})
    recipe: Recipe | str = text
    if not _SAVED.match(text):
        check_values(text, where="recipe")
        recipe = Recipe.from_json(text)
    return replay_input(recipe, form.files.values(), settings, fields.image_format, fields.portable, fields.reencode)


# --- forms -------------------------------------------------------------------------------------------------


def validated(model: type[B], fields: Mapping[str, str]) -> B:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from error


def _pair(form: Form, fields: PairFields) -> tuple[GivenParent, GivenParent]:
    def slot(letter: Literal["a", "b"], weight: float) -> GivenParent:
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


def _form_edits(fields: PairFields) -> Wanted:
    return given_edits(EditsBody(**{name: getattr(fields, name) for name in _EDITS}))


def mix_from_form(form: Form) -> MixInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = validated(PairFields, form.fields)
    return MixInput(_pair(form, fields), _form_edits(fields))


def strip_from_form(form: Form, settings: Settings) -> StripInput:
    """Raises `RequestInvalid`, its `where` naming the field."""
    fields = validated(PairFields, form.fields)
    return _strip(_pair(form, fields), fields.steps, _form_edits(fields), settings)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, *, form: str = "face_a and face_b") -> bytes | None:
    """The body if it is JSON; None for multipart, which is read as it arrives.

    Raises:
        MediaTypeUnsupported: it is neither.
    """
    media_type = _media_type(request)
    if media_type == "multipart/form-data":
        return None
    if media_type == "application/json":
        return await request.body()
    raise MediaTypeUnsupported(
        f"the body is {media_type[:100]!r}" if media_type else "the request has no Content-Type",
        hint=f"send multipart/form-data with {form}, or application/json with parents",
    )


async def read_photo_form(
    request: Request, settings: Settings, *, files: Sequence[str], fields: Sequence[str], most: int | None = None
) -> Form:
    """A form with photographs. The field by which consent is stated is taken out of it and noted.

    Args:
        most: bytes of a file; None means those of a photograph.

    Raises:
        RequestInvalid, ImageTooLarge, MediaTypeUnsupported: see `read_form`.
        ConsentMissing: see `note_consent`.
    """
    form = await read_form(
        request,
        files=files,
        fields=(*fields, consent.FIELD),
        max_file_bytes=most or settings.max_upload_bytes,
        long_fields=LONG_FIELDS,
    )
    take_consent(request, form.fields)
    note_consent(request, bool(form.files))
    return form


def has_photos(parents: Iterable[GivenParent]) -> bool:
    return any(isinstance(parent, PhotoInput) for parent in parents)


async def read_pair_form(request: Request, settings: Settings, fields: Sequence[str]) -> Form:
    return await read_photo_form(request, settings, files=PAIR_FILES, fields=fields)


async def read_mix(request: Request, settings: Settings) -> MixInput:
    """Reads ``POST /api/v1/mix``; JSON is parsed in a thread, since 32 MB of it would hold up the loop."""
    body = await json_body(request)
    if body is not None:
        wanted = await to_thread.run_sync(mix_from_json, body, settings)
        note_consent(request, has_photos(wanted.parents))
        return wanted
    form = await read_photo_form(
        request, settings, files=(*PAIR_FILES, *RECIPE_FILES), fields=(*MIX_FIELDS, *RECIPE_FIELDS)
    )
    if "recipe" not in form.fields and not any(name in RECIPE_FILES for name in form.files):
        return mix_from_form(form)
    extra = [name for name in (*form.files, *form.fields) if name not in (*RECIPE_FILES, *RECIPE_FIELDS)]
    if extra:
        raise RequestInvalid(
            f"{extra[0]} was given beside a recipe", hint="a recipe says everything; leave it out", where=extra[0]
        )
    return await to_thread.run_sync(_replay_from_form, form, settings)


async def read_strip(request: Request, settings: Settings) -> StripInput:
    """Reads ``POST /api/v1/strip``."""
    body = await json_body(request)
    if body is not None:
        wanted = await to_thread.run_sync(strip_from_json, body, settings)
        note_consent(request, has_photos(wanted.parents))
        return wanted
    return strip_from_form(await read_pair_form(request, settings, STRIP_FIELDS), settings)


PLACED_FIELDS = ("left_eye", "right_eye", "mouth")


async def read_photo(request: Request, settings: Settings) -> PhotoInput:
    """Reads ``POST /api/v1/faces``: one file, `image`, and perhaps where the face is."""
    form = await read_photo_form(request, settings, files=("image",), fields=PLACED_FIELDS)
    if "image" not in form.files:
        raise RequestInvalid("there is no photo", hint="send one as the field image", where="image")
    return PhotoInput(data=form.files["image"], where="image", placed=_placed(form))


def _placed(form: Form) -> PlacedPoints | None:
    if not form.fields:
        return None
    points = {}
    for name in PLACED_FIELDS:
        match = _POINT.match(form.fields.get(name, ""))
        if match is None:
            raise RequestInvalid(
                f"{name} is {form.fields[name][:40]!r}" if name in form.fields else f"there is no {name}",
                hint="send left_eye, right_eye and mouth, each as x,y in pixels of the upright photo, or none of them",
                where=name,
            )
        points[name] = (float(match[1]), float(match[2]))
    return validated(PlacedPoints, points)
