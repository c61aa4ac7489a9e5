"""The terms of use, as a page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.safety import terms
from facemix.web.pages import render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/terms")
async def terms_of_use(request: Request) -> Response:
    return render(request, "terms.html", version=terms.VERSION, sections=terms.TERMS)
