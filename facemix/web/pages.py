"""The studio, and what every page is made with. It works as a plain form; scripts only make it pleasant."""

from __future__ import annotations

import asyncio
import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jinja2
import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import ConsentMissing, FacemixError, Held, RequestInvalid
from facemix.resources import resource_dir
from facemix.safety import terms
from facemix.serving.types import FoundFace, MixResult, ParentFace, SampleInput
from facemix.web.access import shut_out
from facemix.web.card import card_licence_short
from facemix.web.forms import Form
from facemix.web.inputs import read_pair_form
from facemix.web.inputs_form import MIX_FIELDS, mix_from_form
from facemix.web.leaving import about, release_mix
from facemix.web.mixes import frames_of_mix, mix_wanted
from facemix.web.problems import clean_text, error_headers, note_refusal, problem_document, request_id
from facemix.web.release import Release, sample_recipe
from facemix.web.reports import embed, embedded, percent, released_image
from facemix.web.schemas_parts import EmbeddedImage, Problem
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput
from facemix.web.work import charge, do_work

SAMPLES_OFFERED = 12
_TICK = "read the sentence above “Mix”, tick its box if it is true, and choose the photos again"
_WEIGHT = re.compile(r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)\Z")
_NAMED = re.compile(r"[A-Za-z]+[_.0-9]\w")
_SLOT = re.compile(r"^(?:face|sample)_([ab])(?:_index)?$")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def environment() -> jinja2.Environment:
    """The templates; everything put into them is escaped, and a name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["sentence"] = as_sentence
    made.filters["moment"] = as_moment
    made.filters["duration"] = as_duration
    return made


def as_sentence(text: str) -> str:
    """A message as it stands on a page: errors are written in lower case and without a full stop. What begins with the
    name of a field or a file (``face_a``, ``parents.0``) keeps it as it is."""
    text = text.strip()
    if not text:
        return ""
    first = text if _NAMED.match(text) else text[0].upper() + text[1:]
    return first + ("" if text[-1] in ".!?" else ".")


def as_moment(moment: datetime) -> str:
    """A time as it stands on a page: ``21 November 2026, 10:32 UTC``."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {calendar.month_name[moment.month]} {moment:%Y, %H:%M} UTC"


def as_duration(seconds: float) -> str:
    """So many seconds in words, in the largest unit of which there are at least two: ``90 minutes``."""
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size or seconds == size:
            count = f"{seconds / size:.3g}"
            return f"{count} {name}{'' if count == '1' else 's'}"
    return f"{seconds:.3g} second{'' if seconds == 1 else 's'}"


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    state = ServerState.of(request)
    mixer = state.loaded
    page = request.app.state.templates.get_template(template).render(
        base=request.scope.get("root_path", ""),
        settings=state.settings,
        model=None if mixer is None else mixer.model,
        weights_licence=card_licence_short({} if mixer is None else mixer.card),
        request_id=request_id(request),
        reviewing=getattr(getattr(request.app.state, "governed", None), "reviews", None) is not None,
        **context,
    )
    return HTMLResponse(page.encode("utf-8", "replace"), status_code=status)


# --- the studio --------------------------------------------------------------------------------------------


@dataclass
class SlotView:
    """One of the two faces as the page shows it."""

    letter: str
    name: str
    crop: str | None = None
    found: str | None = None
    warnings: list[str] = field(default_factory=list)
    problem: Problem | None = None
    sample: int | None = None

    @property
    def key(self) -> str:
        return self.letter.lower()


@dataclass
class ResultView:
    source: str
    filename: str
    percent: int
    width: int
    height: int


def _slots() -> dict[str, SlotView]:
    return {"a": SlotView("A", "First face"), "b": SlotView("B", "Second face")}


def _studio(
    request: Request,
    *,
    status: int = 200,
    slots: dict[str, SlotView] | None = None,
    weight: float = 0.5,
    result: ResultView | None = None,
    problem: Problem | None = None,
) -> Response:
    state = ServerState.of(request)
    waiting = None
    if state.failure is not None:
        waiting = problem_document(state.failure, request)
    return render(
        request,
        "studio.html",
        status,
        slots=slots or _slots(),
        weight=weight,
        result=result,
        with_photos=any(slot.crop is not None and slot.sample is None for slot in (slots or {}).values()),
        problem=problem,
        loading=state.loaded is None and state.failure is None,
        failure=waiting,
        halted=_halted(request, problem),
        samples=range(SAMPLES_OFFERED),
        max_megabytes=f"{state.settings.max_upload_bytes / 1024 / 1024:.3g}",
        accept=_accept(state),
        shut_out=shut_out(request, state.settings),
        consent=None if state.settings.consent == "off" else terms,
    )


def _halted(request: Request, problem: Problem | None) -> Problem | None:
    """What the page says while generation is switched off, unless that is its problem already."""
    error = ServerState.of(request).halt.error
    if error is None or (problem is not None and problem.code == error.code):
        return None
    return problem_document(error, request)


def _accept(state: ServerState) -> str:
    kinds = ["image/jpeg", "image/png", "image/webp"]
    kinds += ["image/heic", "image/heif"] if state.settings.allow_heif else []
    kinds += ["image/avif"] if state.settings.allow_avif else []
    return ",".join(kinds)


@router.get("/")
async def studio(request: Request) -> Response:
    return _studio(request)


@router.post("/")
async def studio_form(request: Request) -> Response:
    """The form without scripts: the answer is the page again, with the mix or with what went wrong."""
    state = ServerState.of(request)
    form = Form()

    async def read() -> MixInput:
        nonlocal form
        form = await read_pair_form(request, state.settings, MIX_FIELDS)
        _settle_choices(form)
        if form.files and state.settings.consent != "off" and not getattr(request.state, "consent", None):
            raise ConsentMissing("it has not been stated that everybody in the photos agrees", hint=_TICK)
        return mix_from_form(form)

    async def work(mixer: MixerLike, wanted: MixInput, deadline: float) -> Response:
        result = await mix_wanted(request, mixer, wanted, deadline)
        numbers = [given.number for given in wanted.parents if isinstance(given, SampleInput)]
        seed = wanted.wanted.edits.seed
        drawn = await asyncio.gather(*(mixer.sample(number, seed=seed, deadline=deadline) for number in numbers))
        charge(request, mixer, sum((one.cost for one in drawn), result.cost), result.stage_ms)
        await release_mix(request, mixer, result)
        samples = {number: one.image for number, one in zip(numbers, drawn, strict=True)}
        for number, one in zip(numbers, drawn, strict=True):
            recipe = sample_recipe(mixer.model, number, seed)
            await state.release.judged(
                about(request, mixer.model), one.image[None], recipe, margins=[one.margin], by_lot=False
            )
        slots, view = await mixer.write(_views, state.release, wanted, result, samples)
        return _studio(request, slots=slots, result=view, weight=result.recipe.weights[1])

    try:
        return await do_work(request, read, _frames_of_form, work)
    except Held:
        raise  # it has a page of its own
    except ConsentMissing as error:  # however a program would state it, here is a box
        told = ConsentMissing(error.message, hint=_TICK, version=terms.VERSION)
        return _studio_error(request, told, form)
    except FacemixError as error:
        return _studio_error(request, error, form)


def _frames_of_form(wanted: MixInput) -> int:
    """The page shows its sample faces, too."""
    return frames_of_mix(wanted) + sum(isinstance(parent, SampleInput) for parent in wanted.parents)


def _settle_choices(form: Form) -> None:
    """What a person means by the form: a chosen photo outranks a sample that is still selected, and whoever gives one
    wants the result as sharp as it is.

    Raises:
        RequestInvalid: a slot has neither.
    """
    for letter in ("a", "b"):
        if f"face_{letter}" in form.files:
            form.fields.pop(f"sample_{letter}", None)
        elif f"sample_{letter}" not in form.fields:
            raise RequestInvalid(
                "no face was chosen here", hint="choose a photo, or a sample face", where=f"face_{letter}"
            )
    if form.files:
        form.fields.setdefault("detail", "1")


def _studio_error(request: Request, error: FacemixError, form: Form) -> Response:
    """The page with the message, and with what of the form can be put back."""
    note_refusal(error, request)
    problem = problem_document(error, request)
    slots = _slots()
    for slot in slots.values():
        number = form.fields.get(f"sample_{slot.key}", "")
        slot.sample = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else None
    match = _SLOT.match(error.where or "")
    if match is not None:
        slots[match[1]].problem = problem
    weight = form.fields.get("weight", "")
    response = _studio(
        request,
        status=error.status,
        slots=slots,
        problem=None if match else problem,
        weight=float(weight) if _WEIGHT.match(weight) else 0.5,
    )
    response.headers.update(error_headers(error))
    return response


def _views(
    release: Release, wanted: MixInput, result: MixResult, samples: dict[int, np.ndarray]
) -> tuple[dict[str, SlotView], ResultView]:
    slots = _slots()
    for slot, used, given in zip(slots.values(), result.parents, wanted.parents, strict=True):
        if isinstance(given, SampleInput):
            slot.sample = given.number
            recipe = sample_recipe(result.recipe.model, given.number, wanted.wanted.edits.seed)
            data = release.picture(samples[given.number], "image/jpeg", recipe)
            slot.crop = _data_uri(embedded(data, samples[given.number], "image/jpeg"))
            slot.found = f"Sample face {given.number + 1}, drawn by the model."
        else:
            _describe(slot, used)
    return slots, _result_view(release, result)


def _describe(slot: SlotView, used: ParentFace) -> None:
    chosen: FoundFace | None = used.chosen
    if used.photo is None or chosen is None:
        return
    slot.crop = _data_uri(embed(chosen.crop, "image/jpeg"))
    count = len(used.photo.faces)
    slot.found = "One face found." if count == 1 else f"{count} faces found; number {chosen.index + 1} is used."
    slot.warnings = [clean_text(message) for _, message in chosen.quality.warnings]


def _data_uri(image: EmbeddedImage) -> str:
    return f"data:{image.media_type};base64,{image.base64}"


def _result_view(release: Release, result: MixResult) -> ResultView:
    image = released_image(release, result)
    share = percent(result)
    return ResultView(_data_uri(image), f"facemix-{share}.png", share, image.width, image.height)


def error_page(request: Request, error: FacemixError, back: Sequence[tuple[str, str]] = ()) -> Response:
    """A refusal of a page, in the same words as the endpoint's.

    Args:
        back: where to go on besides the studio, path and words.
    """
    response = render(request, "error.html", error.status, problem=problem_document(error, request), back=back)
    response.headers.update(error_headers(error))
    return response
