"""What the calling key has used, and what it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix.errors import KeyRequired
from facemix.web import openapi
from facemix.web.accounts import Accounts
from facemix.web.answers import json_answer
from facemix.web.rates import Sender
from facemix.web.schemas_usage import UsagePeriod, UsageResponse

_DETAIL, _HINT = "usage is told to a key", "send it as Authorization: Bearer ..."

if TYPE_CHECKING:
    from facemix.governance.costs import Usage

router = APIRouter(default_response_class=Response)


@router.get(
    "/api/v1/usage",
    tags=["server"],
    summary="What your key has used",
    responses={
        200: openapi.ok("Requests, cost and budget of this day and this month (UTC).", UsageResponse),
        401: openapi.keyed_errors(_DETAIL, _HINT)[401],
        429: openapi.TOO_MANY,
        500: openapi.INTERNAL,
        503: openapi.UNAVAILABLE,
    },
)
async def usage(request: Request) -> Response:
    sender: Sender | None = getattr(request.state, "sender", None)
    if sender is None:
        raise KeyRequired(_DETAIL, hint=_HINT)
    accounts: Accounts = request.app.state.accounts  # there is one, if a key was found
    table, day, month = await accounts.usage(sender.name)
    return json_answer(
        UsageResponse(
            key=sender.name,
            currency=table.currency,
            price_version=table.version,
            day=_period(day, sender.budget_day),
            month=_period(month, sender.budget_month),
        )
    )


def _period(used: Usage, budget: float | None) -> UsagePeriod:
    return UsagePeriod(
        since=used.period.since,
        until=used.period.until,
        requests=used.requests,
        outcomes=used.outcomes,
        cost=used.cost,
        budget=budget,
        left=None if budget is None else max(0.0, budget - used.cost),
    )
