"""The FastAPI application, put together."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import facemix
from facemix.errors import FacemixError, Held, SignInRequired
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.web import (
    api,
    api_attributes,
    api_batches,
    api_explain,
    api_faces,
    api_grids,
    api_jobs,
    api_latents,
    api_models,
    api_recipes,
    api_reviews,
    api_usage,
    api_verify,
    console,
    console_audit,
    console_health,
    console_keys,
    console_models,
    console_people,
    console_review,
    console_sign_in,
    console_spend,
    console_stop,
    openapi,
    pages,
    pages_models,
    pages_reading,
    pages_reviews,
    pages_shared,
    pages_terms,
)
from facemix.web.accounts import Accounts
from facemix.web.fleet import Fleet
from facemix.web.governed import Governed
from facemix.web.held import held_response
from facemix.web.judging import Reviewed
from facemix.web.lifecycle import lifespan, watch
from facemix.web.limits import Buffered
from facemix.web.metrics import Metrics, MetricsMiddleware
from facemix.web.metrics import router as metrics_router
from facemix.web.negotiation import prefers_html
from facemix.web.problems import from_http_exception, from_validation, note_refusal, problem_response
from facemix.web.release import Release
from facemix.web.stack import surround
from facemix.web.state import MixerFactory, ServerState
from facemix.web.stores import Stores
from facemix.web.tracing import TracingMiddleware, open_tracing

_INTERFACE = (
    api,
    api_grids,
    api_faces,
    api_latents,
    api_recipes,
    api_jobs,
    api_batches,
    api_attributes,
    api_models,
    api_reviews,
    api_usage,
    api_explain,
    api_verify,
)
_CONSOLE = (
    console_sign_in,
    console_health,
    console_keys,
    console_models,
    console_people,
    console_audit,
    console_stop,
    console_spend,
    console_review,
)
_MACHINE_PATHS = ("/api/", "/static/", "/healthz", "/readyz", "/metrics", "/openapi.json")


def create_app(
    settings: Settings,
    mixer_factory: MixerFactory,
    accounts: Accounts | None = None,
    stores: Stores | None = None,
    governed: Governed | None = None,
    fleet: Fleet | None = None,
) -> FastAPI:
    """Builds the application.

    Args:
        settings: what the operator chose.
        mixer_factory: makes the mixer, which tells the observer that it is given what it does; called in a thread
            when the server starts, and again for every change of the model. The server answers from the first
            moment; what needs the mixer is refused with 503 until it is there, and with the error of the factory
            if that fails.
        accounts: the ledger and the keys; closed when the application ends. Without them nothing is written down, and
            the Authorization header is not looked at.
        stores: where faces, jobs, answers and recipes are kept. Without them faces, jobs and answers are kept in
            memory, and recipes cannot be saved.
        governed: who may do what, and what is written down about it. Without it there is no console, and
            no kill switch.
        fleet: says which models are live; None means the one of the factory.

    Raises:
        InstallationError: the templates or the static files are missing.
    """
    metrics = Metrics()
    tracing = open_tracing(settings.otlp_endpoint)
    release, name = _release(settings, governed), None if governed is None else governed.secrets.names("record")
    if accounts is None:
        state = ServerState(settings, mixer_factory, metrics, stores, fleet=fleet, release=release, name=name)
    else:
        state = ServerState(
            settings,
            mixer_factory,
            metrics,
            stores,
            accounts.add_job,
            fleet,
            release,
            account_item=accounts.add_item,
            afford=accounts.check_budget,
            name=name,
        )
    buffered = Buffered(settings.max_buffered_bytes)
    controls = None if governed is None else governed.controls
    reviews = None if governed is None else governed.reviews

    app = FastAPI(
        title="facemix",
        version=facemix.__version__,
        lifespan=lambda app: lifespan(state, accounts, tracing, controls, reviews),
        docs_url=None,  # FastAPI's own pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # they would tell addresses
    )
    app.state.facemix = state
    app.state.metrics = metrics
    app.state.governed = governed
    watch(metrics.figures, state, buffered, accounts, reviews)
    if accounts is not None:
        accounts.heard = metrics.accounted
        if governed is not None:
            governed.prices, governed.budgets = accounts.prices, accounts.budgets
    app.state.accounts = accounts
    app.state.templates = pages.environment()
    for module in _INTERFACE:
        app.include_router(module.router)
    for module in (pages, pages_shared, pages_models, pages_reading, pages_reviews, pages_terms):
        app.include_router(module.router)
    app.include_router(api_verify.pages)
    if governed is not None:
        for module in _CONSOLE:
            app.include_router(module.router)
    if settings.metrics:
        app.include_router(metrics_router)
    app.mount("/static", StaticFiles(directory=resource_dir("static")), name="static")
    openapi.install(app, *(module.router for module in _INTERFACE))

    app.add_exception_handler(FacemixError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http_exception)

    observing = [Middleware(MetricsMiddleware, metrics=metrics)]
    if tracing.on:
        observing.insert(0, Middleware(TracingMiddleware, tracing=tracing))
    surround(
        app,
        settings,
        respond,
        accounts=accounts,
        buffered=buffered,
        shelf=state.stores.shelf,
        observing=observing,
        governed=governed,
    )
    return app


def _release(settings: Settings, governed: Governed | None) -> Release | None:
    if governed is None:
        return None
    judge = Reviewed(settings, governed.reviews, governed.operators, governed.guard, governed.gallery)
    return Release(judge, governed.marker)


def respond(request: Request, error: FacemixError) -> Response:
    """A problem document for programs, a page for people."""
    if isinstance(error, Held):
        request.state.outcome, request.state.reason = "held", error.code
        return held_response(request, error)
    note_refusal(error, request)
    if isinstance(error, SignInRequired) and prefers_html(request.headers.get("accept")):
        return console.to_sign_in(request)
    machine = request.url.path.startswith(_MACHINE_PATHS)
    if machine or not prefers_html(request.headers.get("accept")):
        return problem_response(error, request)
    return pages.error_page(request, error, console.ways_back(request, error))


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
