"""The pages to read: the interface, what happens to photos, every kind of refusal."""

from __future__ import annotations

import inspect

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from facemix.errors import NotFound
from facemix.web import openapi
from facemix.web.links import absolute
from facemix.web.pages import render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/docs")
async def docs(request: Request) -> Response:
    return render(
        request,
        "docs.html",
        address=absolute(request, ""),
        kinds=sorted(openapi.error_classes(), key=lambda kind: (kind.status, kind.code)),
    )


@router.get("/privacy")
@router.get("/about")
async def about(request: Request) -> Response:
    return render(request, "about.html")


@router.get("/problems/{code}")
async def problem_page(request: Request, code: str) -> Response:
    """What the `type` of a problem document points to."""
    for kind in openapi.error_classes():
        if kind.code == code:
            own = "__doc__" in vars(kind)  # inherited sentences describe another class
            about = inspect.cleandoc(kind.__doc__ or "").splitlines()[0] if own and kind.__doc__ else ""
            return render(request, "problem.html", kind=kind, about=about)
    raise NotFound(f"there is no problem {code[:80]!r}", hint="the page /docs lists every code")
