"""From JSON to what is wanted: a mix, a recipe to draw again, or a strip, with photographs in base64."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Discriminator, Tag, TypeAdapter, ValidationError

from facemix.errors import RequestInvalid
from facemix.mixing.reading import MOST_VALUES, check_values
from facemix.mixing.recipe import Edits, normalise_weights
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.web.forms import too_large
from facemix.web.parents import GivenFace, GivenLatent, GivenParent, GivenRecipe
from facemix.web.problems import from_validation
from facemix.web.schemas_requests import EditsBody, MixBody, ParentBody, ReplayBody, StripBody
from facemix.web.wanted import MixInput, StripInput, Wanted, check_keep, check_number, replay_input, strip_input

_SPACE = b" \t\r\n"
_DATA_URI = re.compile(r"^data:[^,]{0,200};base64,", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

B = TypeVar("B", bound=BaseModel)


def _kind_of(document: Any) -> str:
    return "replay" if isinstance(document, dict) and "recipe" in document and "parents" not in document else "mix"


_MIX_OR_REPLAY: TypeAdapter[MixBody | ReplayBody] = TypeAdapter(
    Annotated[Annotated[MixBody, Tag("mix")] | Annotated[ReplayBody, Tag("replay")], Discriminator(_kind_of)]
)


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


def parse(model: type[B], body: bytes, most: int = MOST_VALUES) -> B:
    """A strict JSON body of at most about `most` values. Raises `RequestInvalid`, which names the member."""
    check_values(body, most)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise from_validation(error) from error


def given_parents(parents: Sequence[ParentBody], settings: Settings) -> tuple[GivenParent, ...]:
    """The parents of a JSON body.

    Raises:
        RequestInvalid, ImageTooLarge: too many, a weight for some only, or what `decode_base64` refuses.
    """
    check_number(len(parents), settings, f"{len(parents)} parents were given", where="parents")
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
        detail=body.detail,
        keep=body.keep,
        size=body.size,
        placement=body.placement,
        seed=body.seed,
    )
    check_keep(edits)
    return Wanted(edits, body.prompt, body.negative_prompt)


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
    return strip_input((first, second), wanted.steps, given_edits(wanted), settings)
