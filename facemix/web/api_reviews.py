"""For whoever waits for a person: how it stands, the result, an appeal; and reports of what should not be there.

The token in the address is all that guards it, as with saved recipes: it was told once, to whoever asked.
"""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from facemix import errors
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.governed import Governed
from facemix.web.held import described, held_page_of, reviews_of, status_of
from facemix.web.inputs import read_json
from facemix.web.middleware import is_head
from facemix.web.reporting import report
from facemix.web.schemas_reviews import AppealBody, ReportBody, ReportResponse, ReviewStatusResponse

router = APIRouter(default_response_class=Response, tags=["reviews"])

_NO_STORE = {"Cache-Control": "no-store"}
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "video/mp4": "mp4"}
_DECIDED = openapi.problem(
    "There is nothing to appeal: it was not rejected, it was appealed before, or its time is up.",
    errors.NothingToAppeal,
    "it was appealed before",
    "only a rejection can, once, and while its time lasts",
)


def file_name(media_type: str) -> str:
    """What the result is called when it is saved."""
    return f"facemix.{_ENDINGS.get(media_type, 'bin')}"


@router.get(
    "/api/v1/reviews/{token}",
    summary="How something stands that a person decides",
    responses={200: openapi.ok("How it stands.", ReviewStatusResponse), **openapi.KEPT_ERRORS},
)
async def review_status(request: Request, token: str) -> Response:
    reviews = reviews_of(request)
    review = await Governed.of(request).run(partial(reviews.status, token))
    return json_answer(described(request, review, token), _NO_STORE)


@router.get(
    "/api/v1/reviews/{token}/picture",
    summary="A result that was held, once it is approved",
    responses={
        200: {
            "description": "The file, as it would have been given out at once.",
            "content": {kind: {"schema": openapi.BINARY} for kind in _ENDINGS},
        },
        **openapi.KEPT_ERRORS,
    },
)
async def review_picture(request: Request, token: str) -> Response:
    reviews = reviews_of(request)
    found = await Governed.of(request).run(partial(reviews.collect, token, fetched=not is_head(request.scope)))
    disposition = f'attachment; filename="{file_name(found.media_type)}"'
    return Response(
        found.content, media_type=found.media_type, headers={"Content-Disposition": disposition, **_NO_STORE}
    )


@router.post(
    "/api/v1/reviews/{token}/appeal",
    summary="Ask for a second look at a rejection",
    openapi_extra=openapi.json_body(AppealBody),
    responses={
        200: openapi.ok("Somebody else will look at it.", ReviewStatusResponse),
        **openapi.UPLOAD_ERRORS,
        404: openapi.MISSING,
        409: _DECIDED,
    },
)
async def appeal(request: Request, token: str) -> Response:
    reviews = reviews_of(request)
    body = await read_json(request, AppealBody)
    review = await Governed.of(request).run(partial(reviews.appeal, token, body.text))
    return json_answer(described(request, review, token), _NO_STORE)


@router.post(
    "/api/v1/reports",
    summary="Report a face",
    description="Puts a saved recipe, or what a request gave, before a person. Whoever reports it learns the outcome.",
    status_code=202,
    openapi_extra=openapi.json_body(ReportBody),
    responses={
        202: openapi.ok("Somebody will look at it.", ReportResponse),
        **{status: said for status, said in openapi.UPLOAD_ERRORS.items() if status != 409},
        404: openapi.MISSING,
    },
)
async def report_face(request: Request) -> Response:
    reviews_of(request)
    review, token = await report(request, await read_json(request, ReportBody))
    body = ReportResponse(
        state=review.state, status_url=status_of(request, token), page_url=held_page_of(request, token)
    )
    return json_answer(body, {"Location": body.status_url, **_NO_STORE}, status=202)
