"""The models in the console: which answer, their figures side by side, and the forms that change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import FacemixError, PromotionRefused, RecordMissing, RequestInvalid
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.problems import note_refusal
from facemix.web.state import ServerState

if TYPE_CHECKING:
    from facemix.governance.model_version import ModelVersion
    from facemix.governance.registry import Registry
    from facemix.governance.served import Served
    from facemix.governance.sessions import Session

PATH = "/console/models"
DAYS = 30
_NONE = "–"
# What is shown of the results: name, words, digits, what it means.
_FIGURES = (
    ("reconstruction.identity_distance", "identity distance", 3, "of the reconstruction; less is more alike"),
    ("reconstruction.psnr", "PSNR, dB", 2, "more is closer to the photograph"),
    ("reconstruction.sharpness", "sharpness kept", 2, "1 is all of the photograph's"),
    ("midpoints.sharpness", "sharpness of mid-points", 2, "1 is as sharp as the faces they lie between"),
    ("midpoints.ghost", "distance from a cross-fade", 3, "0 is a cross-fade"),
    (
        "midpoints.identity_both",
        "mid-points taken for both parents",
        3,
        "share: the risk of one portrait for two people",
    ),
)

router = APIRouter(prefix=PATH, include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True)
class Row:
    """One line of the comparison: words, what they mean, and a text for each model."""

    words: str
    note: str
    cells: Sequence[str]


@router.get("")
async def models(request: Request) -> Response:
    """All versions, what each may be done to, and their figures side by side."""
    return await _page(request, await signed_in(request))


@router.post("")
async def change(request: Request) -> Response:
    """Promotes, rolls back, retires, or gives a share."""
    session, governed = await signed_in(request), Governed.of(request)
    fields = await checked_form(request, session)
    try:
        await governed.run(_wanted(governed.registry, session.operator, fields))
    except (PromotionRefused, RecordMissing, RequestInvalid) as error:
        return await _page(request, session, problem=error)
    return redirected(request, PATH)


def _wanted(registry: Registry, actor: str, fields: dict[str, str]) -> Callable[[], object]:
    """The call that the form asks for. Raises `RequestInvalid`."""
    action, model = fields.get("action", ""), fields.get("model", "")
    if action in ("promote", "rollback", "retire") and fields.get("sure") != "1":
        raise RequestInvalid("it was not confirmed", hint="tick the box, too", where="sure")
    if action == "promote":
        require = [part for part in fields.get("require", "").split(",") if part.strip()]
        by_default = fields.get("default") == "1"
        return partial(registry.promote, model, actor=actor, require=require, default=by_default)
    if action == "rollback":
        return partial(registry.rollback, actor=actor)
    if action == "retire":
        return partial(registry.retire, model, actor=actor)
    if action == "share":
        return partial(registry.set_share, model, _share(fields.get("share", "")), actor=actor)
    raise RequestInvalid(f"a model cannot {action[:40]!r}", hint="use the forms of the page", where="action")


def _share(text: str) -> float:
    try:
        return float(text) / 100
    except ValueError:
        raise RequestInvalid(f"{text[:40]!r} is no share", hint="write percent, as 5", where="share") from None


async def _page(request: Request, session: Session, *, problem: FacemixError | None = None) -> Response:
    governed, state = Governed.of(request), ServerState.of(request)
    context = await governed.run(lambda: _found(governed))
    if problem is not None:
        note_refusal(problem, request)
    return console_page(
        request,
        session,
        "models",
        200 if problem is None else problem.status,
        problem=problem,
        loaded={one.mixer.model.weights for one in state.models.held},
        checkpoint=state.settings.checkpoint,
        days=DAYS,
        **context,
    )


def _found(governed: Governed) -> dict[str, Any]:
    from facemix.governance.served import served_by_model

    versions = governed.registry.list()
    served = served_by_model(governed.database, since=datetime.now(UTC) - timedelta(days=DAYS))
    compared = [one for one in versions if one.status != "retired" or one.id in served]
    default = next((one for one in versions if one.is_default), None)
    former = None if default is None else next((one for one in versions if one.weights == default.former), None)
    return {"versions": versions, "former": former, "compared": compared, "rows": _rows(compared, served)}


def _rows(versions: Sequence[ModelVersion], served: dict[str, Served]) -> list[Row]:
    rows = [
        Row(
            words,
            note,
            [_figure(None if one.measured is None else one.measured.figures.get(name), digits) for one in versions],
        )
        for name, words, digits, note in _FIGURES
    ]
    found = [served.get(one.id) for one in versions]
    rows += [
        Row(
            "requests kept",
            f"in {DAYS} days, that drew something",
            [_NONE if one is None else str(one.requests) for one in found],
        ),
        Row(
            "milliseconds",
            "mean of a request, from its header to its last byte",
            [_figure(None if one is None else one.milliseconds, 0) for one in found],
        ),
        Row(
            "device, ms per frame",
            "decoded, mean",
            [_figure(None if one is None else one.device_milliseconds, 1) for one in found],
        ),
        Row("cost of a thousand", "requests, by the price tables of their time", [_cost(one) for one in found]),
        Row("licence", "terms of the weights", [one.licence for one in versions]),
    ]
    return rows


def _figure(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _cost(served: Served | None) -> str:
    if served is None or not served.cost_per_thousand:
        return _NONE
    return ", ".join(f"{currency} {cost:.3g}" for currency, cost in sorted(served.cost_per_thousand.items()))
