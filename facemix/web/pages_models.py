"""The pages about the models: each with its card, its figures and its pictures."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from facemix.errors import NotFound
from facemix.resources import resource_dir
from facemix.web.card import card_licence, card_licence_short
from facemix.web.catalogue import TERMS, Entry, catalogue
from facemix.web.model_views import ModelView, model_view
from facemix.web.pages import render
from facemix.web.state import ServerState

_TYPES = {".webp": "image/webp", ".svg": "image/svg+xml", ".json": "application/json"}
_TEXT = "text/plain; charset=utf-8"
# A file stays as it is until another checkpoint takes the folder.
_KEPT = {"Cache-Control": "public, max-age=3600"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


async def _entries(request: Request) -> list[Entry]:
    state = ServerState.of(request)
    return await to_thread.run_sync(catalogue, state.settings, state.loaded, state.models.answering())


async def _entry(request: Request, identity: str) -> Entry:
    for entry in await _entries(request):
        if entry.id == identity:
            return entry
    raise NotFound(f"there is no model {identity[:80]!r}", hint="the page /models lists those there are")


@router.get("/models")
async def models(request: Request) -> Response:
    """The default with its whole card, the others in a line each."""
    entries = await _entries(request)
    live = next((entry for entry in entries if entry.default), None)
    view = None if live is None else await to_thread.run_sync(model_view, live)
    others = [
        (entry.id, entry.model.name, str(entry.card.get("created", ""))[:10], card_licence_short(entry.card))
        for entry in entries
        if entry is not live
    ]
    return _page(request, view, others)


@router.get("/model")
async def model(request: Request) -> Response:
    return RedirectResponse(request.scope.get("root_path", "") + "/models", 308)


@router.get("/models/terms")
async def terms(request: Request) -> Response:
    path = resource_dir("checkpoints") / TERMS
    if not path.is_file():
        raise NotFound("this installation has no file of terms", hint="each model's page names its own")
    return FileResponse(path, media_type=_TEXT, headers=_KEPT)


@router.get("/models/{identity}")
async def one_model(request: Request, identity: str) -> Response:
    entry = await _entry(request, identity)
    return _page(request, await to_thread.run_sync(model_view, entry), None)


@router.get("/models/{identity}/{name}")
async def file_of_model(request: Request, identity: str, name: str) -> Response:
    """A picture, or a document as it is."""
    entry = await _entry(request, identity)
    path = await to_thread.run_sync(entry.file, name)
    if path is None or not path.is_file():
        raise NotFound(f"the model has no file {name[:80]!r}", hint="its page lists those there are")
    return FileResponse(path, media_type=_TYPES.get(path.suffix, _TEXT), headers=_KEPT)


def _page(request: Request, view: ModelView | None, others: list[tuple[str, str, str, str]] | None) -> Response:
    """others: id, name, day and terms of each; None on the page of one model."""
    licence = card_licence({}) if view is None else view.licence
    return render(request, "models.html", view=view, others=others, licence=licence)
