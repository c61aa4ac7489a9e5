"""From a request to what is wanted: which kind of body it is, read within bounds, and consent noted.

Nothing here needs a model. The bodies are understood elsewhere (`facemix.web.inputs_json`, `facemix.web.inputs_form`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from anyio import to_thread
from pydantic import BaseModel
from starlette.requests import Request

from facemix.errors import MediaTypeUnsupported, RequestInvalid
from facemix.serving.types import PhotoInput
from facemix.settings import Settings
from facemix.web import consent
from facemix.web.consent import note_consent, take_consent
from facemix.web.forms import Form, read_form
from facemix.web.inputs_form import (
    MIX_FIELDS,
    PAIR_FILES,
    PLACED_FIELDS,
    RECIPE_FIELDS,
    RECIPE_FILES,
    STRIP_FIELDS,
    mix_from_form,
    photo_from_form,
    replay_from_form,
    strip_from_form,
)
from facemix.web.inputs_json import mix_from_json, parse, strip_from_json
from facemix.web.wanted import MixInput, StripInput, has_photos

LONG_FIELDS = {"recipe": 256 * 1024, "attributes": 8 * 1024, "prompt": 8 * 1024, "negative_prompt": 8 * 1024}
_JSON = "application/json"

B = TypeVar("B", bound=BaseModel)
W = TypeVar("W", MixInput, StripInput)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(media_type: str, hint: str) -> MediaTypeUnsupported:
    said = f"the body is {media_type[:100]!r}" if media_type else "the request has no Content-Type"
    return MediaTypeUnsupported(said, hint=hint)


async def read_json(request: Request, model: type[B]) -> B:
    """A strict JSON body; read in a thread, since tens of megabytes of it would hold up the loop.

    Raises:
        MediaTypeUnsupported: it is something else.
        RequestInvalid: it does not fit; names the member.
    """
    media_type = _media_type(request)
    if media_type != _JSON:
        raise _unsupported(media_type, f"send {_JSON}")
    return await to_thread.run_sync(parse, model, await request.body())


async def json_body(request: Request, *, form: str = "face_a and face_b") -> bytes | None:
    """The body if it is JSON; None for multipart, which is read as it arrives.

    Raises:
        MediaTypeUnsupported: it is neither.
    """
    media_type = _media_type(request)
    if media_type == "multipart/form-data":
        return None
    if media_type == _JSON:
        return await request.body()
    raise _unsupported(media_type, f"send multipart/form-data with {form}, or {_JSON} with parents")


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


async def read_pair_form(request: Request, settings: Settings, fields: Sequence[str]) -> Form:
    return await read_photo_form(request, settings, files=PAIR_FILES, fields=fields)


async def _read_json_parents(request: Request, settings: Settings, read: Callable[[bytes, Settings], W]) -> W | None:
    """What a JSON body asks for; None for a form. Parsed in a thread, since 32 MB of it would hold up the loop."""
    body = await json_body(request)
    if body is None:
        return None
    wanted = await to_thread.run_sync(read, body, settings)
    note_consent(request, has_photos(wanted.parents))
    return wanted


async def read_mix(request: Request, settings: Settings) -> MixInput:
    """Reads ``POST /api/v1/mix``."""
    wanted = await _read_json_parents(request, settings, mix_from_json)
    if wanted is not None:
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
    return await to_thread.run_sync(replay_from_form, form, settings)


async def read_strip(request: Request, settings: Settings) -> StripInput:
    """Reads ``POST /api/v1/strip``."""
    wanted = await _read_json_parents(request, settings, strip_from_json)
    if wanted is not None:
        return wanted
    return strip_from_form(await read_pair_form(request, settings, STRIP_FIELDS), settings)


async def read_photo(request: Request, settings: Settings) -> PhotoInput:
    """Reads ``POST /api/v1/faces``: one file, `image`, and perhaps where the face is."""
    return photo_from_form(await read_photo_form(request, settings, files=("image",), fields=PLACED_FIELDS))
