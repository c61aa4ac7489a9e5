"""The FastAPI application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import facemix
from facemix.errors import FacemixError
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.web import api, openapi, pages
from facemix.web.middleware import (
    BodyLimitMiddleware,
    CatchMiddleware,
    HeadMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
)
from facemix.web.negotiation import prefers_html
from facemix.web.problems import from_http_exception, from_validation, problem_response
from facemix.web.state import MixerLike, ServerState

_MACHINE_PATHS = ("/api/", "/static/", "/healthz", "/readyz", "/openapi.json")


def create_app(settings: Settings, mixer_factory: Callable[[], MixerLike]) -> FastAPI:
    """Builds the application.

    Args:
        settings: what the operator chose.
        mixer_factory: makes the mixer; called once, in a thread, when the server starts. The server answers
            from the first moment; what needs the mixer is refused with 503 until it is there, and with the
            error of the factory if that fails.

    Raises:
        InstallationError: the templates or the static files are missing.
    """
    state = ServerState(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(state.load(mixer_factory))
        try:
            yield
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading

    app = FastAPI(
        title="facemix",
        version=facemix.__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.facemix = state
    app.state.templates = pages.environment()
    app.include_router(api.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=resource_dir("static")), name="static")
    openapi.install(app, api.router)

    app.add_exception_handler(FacemixError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http_exception)

    # The one added last is the outermost.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes)
    app.add_middleware(CatchMiddleware, respond=respond)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


def respond(request: Request, error: FacemixError) -> Response:
    """A problem document for programs, a page for people."""
    machine = request.url.path.startswith(_MACHINE_PATHS)
    if machine or not prefers_html(request.headers.get("accept")):
        return problem_response(error, request)
    return pages.error_page(request, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, FacemixError)
    return respond(request, error)


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The first part of a location is FastAPI's word for where the value came from.
    return respond(request, from_validation(error, drop=1))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return respond(request, from_http_exception(error, request))
