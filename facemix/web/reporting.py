"""A report of somebody's becomes a review: of a saved recipe, or of what a request gave."""

from __future__ import annotations

import re
from functools import partial

from starlette.requests import Request

from facemix.errors import RequestInvalid
from facemix.governance.reasons import OTHER, checked_text, find_reason
from facemix.governance.review_states import Review
from facemix.web.governed import Governed
from facemix.web.held import reviews_of
from facemix.web.problems import request_id
from facemix.web.schemas_reviews import ReportBody
from facemix.web.state import ServerState

_PAGE = re.compile(r"(?:^|/)r/([A-Za-z0-9_-]{16})(?:[/?#]|\Z)")


async def report(request: Request, body: ReportBody) -> tuple[Review, str]:
    """The review, and the token of whoever has reported it.

    Raises:
        NotFound: nothing is reviewed on this server.
        RequestInvalid: the address leads to no saved recipe, or the text is missing.
        RecordMissing: there is no such recipe.
        Busy: too many reports wait.
        StorageFull, StorageUnavailable: it cannot be stored.
    """
    reviews, reason = reviews_of(request), find_reason("report", body.reason)
    text = checked_text(body.text, needed=body.reason == OTHER)
    recipe, recipe_hash, model = _recipe(body), None, None
    if recipe is not None:
        saved = await ServerState.of(request).stores.saved.get(recipe)
        recipe_hash, model = saved.recipe.hash, str(saved.recipe.model)
    hold = partial(
        reviews.hold,
        body.request_id or request_id(request),
        "report",
        f"{reason.sentence}\n{text}".strip(),
        model_id=model,
        recipe_hash=recipe_hash,
        subject=recipe,
        released=True,
    )
    return await Governed.of(request).run(hold)


def _recipe(body: ReportBody) -> str | None:
    if body.page is None:
        return body.recipe
    found = _PAGE.search(body.page)
    if found is None:
        raise RequestInvalid(
            "the address is not that of a saved face",
            hint="it ends in /r/ and 16 characters; anything else is reported by the id of its request",
            where="page",
        )
    return found[1]
