"""What was spent, in the console; and the form that sets prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import FacemixError, RequestInvalid
from facemix.web.console import checked_form, console_page, redirected, signed_in
from facemix.web.governed import Governed
from facemix.web.problems import note_refusal

if TYPE_CHECKING:
    from facemix.governance.prices import Prices
    from facemix.governance.sessions import Session

PATH = "/console/spend"
KINDS: tuple[Literal["day", "model", "key", "outcome"], ...] = ("day", "model", "key", "outcome")
SPANS = (1, 7, 30, 90)
_PRICES = ("cpu_second", "device_second", "gigabyte")
_EMPTY = dict.fromkeys(("currency", *_PRICES), "")

router = APIRouter(prefix=PATH, include_in_schema=False, default_response_class=HTMLResponse)


@router.get("")
async def spend(
    request: Request,
    by: Annotated[Literal["day", "model", "key", "outcome"], Query()] = "day",
    days: Annotated[int, Query(ge=1, le=366)] = 30,
) -> Response:
    """Sums by day, model, key or outcome; what a thousand mixes cost; the forecast; budgets and prices."""
    session = await signed_in(request)
    return await _page(request, session, by, days)


@router.post("/prices")
async def prices(request: Request) -> Response:
    """Makes the next version of the price table."""
    from facemix.governance.prices import Prices

    session, governed = await signed_in(request), Governed.of(request)
    fields = await checked_form(request, session)
    try:
        given = {name: _price(fields, name) for name in _PRICES}
        currency = fields.get("currency", "").strip().upper() or None
        await governed.run(lambda: _set(Prices(governed.database), session.operator, currency, given))
    except RequestInvalid as error:
        return await _page(request, session, "day", 30, problem=error, given=fields)
    return redirected(request, PATH)


def _set(store: Prices, actor: str, currency: str | None, given: dict[str, float | None]) -> None:
    """Raises `RequestInvalid` also where the next version would be the same as the present one."""
    wanted = {name: value for name, value in {"currency": currency, **given}.items() if value is not None}
    if not wanted:
        raise RequestInvalid("no price was given", hint="name at least one price, or a currency")
    current = store.current()
    if all(getattr(current, name) == value for name, value in wanted.items()):
        raise RequestInvalid(
            f"these are the prices that are in force, of version {current.version}",
            hint="change at least one of them, or leave the form as it is",
        )
    store.set(actor=actor, currency=currency, **given)


async def _page(
    request: Request,
    session: Session,
    by: Literal["day", "model", "key", "outcome"],
    days: int,
    *,
    problem: FacemixError | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    governed = Governed.of(request)
    context = await governed.run(lambda: _found(governed, by, days))
    if problem is not None:
        note_refusal(problem, request)
    return console_page(
        request,
        session,
        "spend",
        200 if problem is None else problem.status,
        by=by,
        days=days,
        kinds=KINDS,
        spans=SPANS,
        problem=problem,
        given=_EMPTY | (given or {}),
        **context,
    )


def _found(governed: Governed, by: Literal["day", "model", "key", "outcome"], days: int) -> dict[str, Any]:
    from facemix.governance.costs import Costs, figure
    from facemix.governance.prices import Prices, has_gpu

    store = Prices(governed.database, gpu=has_gpu(governed.settings))
    current = store.current()
    report = Costs(governed.database).report(days, by)
    budgets = _budgets(governed)
    return {"report": report, "prices": current, "versions": store.list(), "budgets": budgets, "figure": figure}


def _budgets(governed: Governed) -> list[dict[str, Any]]:
    """The installation's budgets and what is spent of them, as the database knows it."""
    from facemix.governance.budgets import day_of, month_of
    from facemix.storage.ledger import Ledger

    now, found = datetime.now(UTC), []
    settings = governed.settings
    for period, limit in ((day_of(now), settings.budget_day), (month_of(now), settings.budget_month)):
        if limit is not None:
            spent = sum(Ledger(governed.database).spent(period.since, period.until).values())
            found.append({"name": period.name, "limit": limit, "spent": spent, "until": period.until})
    return found


def _price(fields: dict[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise RequestInvalid(
            f"{text[:40]!r} is no price", hint="write a number, as 0.0000133, or leave it empty", where=name
        ) from None
