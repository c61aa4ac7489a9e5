"""Explanations as the endpoint gives them: from a request to what is to be explained, and from that to an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from starlette.requests import Request

from facemix.errors import DatasetError
from facemix.mixing.recipe import Recipe
from facemix.serving.conditioning import record_of
from facemix.serving.explain import (
    MOST_EDITS,
    Explained,
    edit_picture,
    explain,
    frames_to_explain,
    parent_picture,
    told,
)
from facemix.serving.training_faces import TrainingFaces
from facemix.settings import Settings
from facemix.web.many_faces import check_alone
from facemix.web.mixes import resolver, settled_edits
from facemix.web.parents import MOST_PICTURES, frames_of
from facemix.web.problems import request_id
from facemix.web.reports import embed, embedded, model_name, parent_reports
from facemix.web.schemas_explain import (
    ClosenessReport,
    EditReport,
    ExplainResponse,
    NeighbourReport,
    ParentInfluence,
)
from facemix.web.schemas_parts import EmbeddedImage
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput

log = logging.getLogger("facemix.web")

_WHAT = "an explanation"


def frames_of_explanation(settings: Settings) -> Callable[[MixInput], int]:
    """What an explanation costs, as for `Admission.ticket`; what is not known yet is taken to be as much as it can."""

    def frames(wanted: MixInput) -> int:
        if wanted.replay is None:
            edits = wanted.wanted.edits
            words = bool(wanted.wanted.prompt or wanted.wanted.negative_prompt)
            count = MOST_EDITS if words else len(edits.attributes) + (edits.variation is not None)
            pictures = edits.as_decoded().pictures
            return frames_of(wanted.parents, frames_to_explain(len(wanted.parents), count, pictures))
        recipe, photos = wanted.replay.recipe, len(wanted.replay.photos)
        if isinstance(recipe, Recipe):
            count = len(recipe.attributes) + (recipe.variation is not None)
            return photos + frames_to_explain(len(recipe.parents), count, recipe.as_decoded().pictures)
        return photos + frames_to_explain(settings.max_parents, MOST_EDITS, MOST_PICTURES)

    return frames


def check_explainable(wanted: MixInput) -> None:
    """Raises `RequestInvalid` for a placement, as far as it is known before a saved recipe is looked up."""
    check_alone(wanted.wanted.edits, _WHAT)
    if wanted.replay is not None and isinstance(wanted.replay.recipe, Recipe):
        check_alone(wanted.replay.recipe, _WHAT, where="recipe.placement")


async def explain_wanted(request: Request, mixer: MixerLike, wanted: MixInput, deadline: float) -> Explained:
    """Explains a mix, or a recipe drawn again. Raises as `facemix.web.mixes.mix_wanted`."""
    resolve = resolver(request, mixer, deadline)
    if wanted.replay is not None:
        parents, edits = await resolve.replay(wanted.replay)
        check_alone(edits, _WHAT, where="recipe.placement")
    else:
        parents = await resolve.parents(wanted.parents)
        edits, _ = await settled_edits(mixer, wanted.wanted)
    found = await explain(mixer, parents, edits, deadline=deadline)
    if wanted.portable:
        found = replace(found, recipe=found.recipe.portable(found.latents))
    return replace(found, cost=resolve.cost + found.cost)


def answer_of(
    request: Request,
    mixer: MixerLike,
    settings: Settings,
    wanted: MixInput,
    found: Explained,
    training: TrainingFaces | None,
) -> ExplainResponse:
    """The answer, pictures and all. Takes some ten milliseconds, so it belongs into a thread."""
    text = told(found)
    state = ServerState.of(request)
    release = state.release
    found = replace(found, image=release.mark(found.image, found.recipe))
    titles = _titles(mixer)

    def picture(pixels: np.ndarray) -> EmbeddedImage:
        data = release.file(pixels, wanted.image_format, found.recipe, found.parents)
        return embedded(data, pixels, wanted.image_format)

    def training_picture(pixels: np.ndarray) -> EmbeddedImage:
        return embed(pixels, wanted.image_format)

    return ExplainResponse(
        request_id=request_id(request),
        model=model_name(mixer.model),
        recipe=found.recipe,
        faces=parent_reports(found.parents, found.recipe),
        parents=[
            ParentInfluence(**one, picture=picture(parent_picture(found, place, one["name"])))
            for place, one in enumerate(text["parents"])
        ],
        edits=[
            EditReport(**one, picture=picture(edit_picture(found, effect, titles.get(effect.name, effect.name))))
            for one, effect in zip(text["edits"], found.edits, strict=True)
        ],
        edits_left_out=text["edits_left_out"],
        closeness=None if text["closeness"] is None else _closeness(text["closeness"], training, training_picture),
        # What the ledger gets, where there is one.
        record=getattr(request.state, "record", None)
        or record_of(mixer, settings, found.recipe, found.parents, name=state.name),
    )


def _closeness(
    text: dict[str, Any], training: TrainingFaces | None, picture: Callable[[np.ndarray], EmbeddedImage]
) -> ClosenessReport:
    neighbours = []
    for one in text["neighbours"]:
        pixels = None if training is None else _pixels(training, one["hash"])
        neighbours.append(NeighbourReport(**one, picture=None if pixels is None else picture(pixels)))
    return ClosenessReport(**{**text, "neighbours": neighbours})


def _pixels(training: TrainingFaces, beginning: str) -> np.ndarray | None:
    try:
        return training.picture(beginning)
    except DatasetError as error:  # the operator's affair; everything else is told all the same
        log.error("a training face cannot be shown: %s; %s", error.message, error.hint)
        return None


def _titles(mixer: MixerLike) -> dict[str, str]:
    known = {} if mixer.attributes is None else {one.name: one.title for one in mixer.attributes.card.attributes}
    return {"variation": "Variation", **known}
