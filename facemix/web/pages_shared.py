"""What a person chose to keep or to share: the gallery of this browser, and the pages behind saved recipes' links."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import parse_qs

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from PIL import Image
from starlette.responses import HTMLResponse, Response

import facemix
from facemix.errors import MediaTypeUnsupported, RecordMissing, RequestInvalid
from facemix.imaging.preview import PREVIEW_SIZE, preview_card
from facemix.mixing.recipe import LatentParent, Recipe
from facemix.web.deletions import receipt_of
from facemix.web.links import page_of
from facemix.web.negotiation import known_copy, prefers_html
from facemix.web.pages import render
from facemix.web.problems import note_refusal
from facemix.web.release import Release
from facemix.web.saved import Saved, SavedRecipes
from facemix.web.shared_views import recipe_view
from facemix.web.state import MixerLike, ServerState

PREVIEWS_AT_ONCE = 2
MOST_FORM_BYTES = 2048  # an id and a token, and room to spare
_HIDDEN = {"X-Robots-Tag": "noindex"}
_FORM = "application/x-www-form-urlencoded"

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_drawing = CapacityLimiter(PREVIEWS_AT_ONCE)


def _saved(request: Request) -> SavedRecipes:
    return ServerState.of(request).stores.saved


@router.get("/gallery")
async def gallery(request: Request) -> Response:
    """The same for everybody: what is in it, a script reads from the browser's own storage."""
    return render(request, "gallery.html")


@router.get("/r/{identity}")
async def shared(request: Request, identity: str) -> Response:
    """The recipe behind a link."""
    try:
        saved = await _saved(request).get(identity)
    except RecordMissing as error:
        return _gone(request, error)
    live = ServerState.of(request).loaded
    view = recipe_view(
        saved.recipe,
        live=None if live is None else live.model,
        origins=await _origins(request, saved.recipe),
        titles=_titles(live),
    )
    response = render(
        request,
        "recipe.html",
        saved=saved,
        view=view,
        available=ServerState.of(request).models.made_by(saved.recipe.model) is not None,
        address=page_of(request, saved.id),
        reports=request.app.state.governed is not None,
        preview_size=PREVIEW_SIZE,
    )
    response.headers.update(_HIDDEN)
    return response


async def _origins(request: Request, recipe: Recipe) -> list[str]:
    """Ids of the saved recipes among the parents that are still there."""
    wanted = {parent.origin for parent in recipe.parents if isinstance(parent, LatentParent) and parent.origin}

    async def there(identity: str) -> str | None:
        try:
            return (await _saved(request).get(identity)).id
        except RecordMissing:
            return None

    found = await asyncio.gather(*map(there, sorted(wanted)))
    return [identity for identity in found if identity is not None]


def _titles(live: MixerLike | None) -> dict[str, str]:
    if live is None or live.attributes is None:
        return {}
    return {one.name: one.title for one in live.attributes.card.attributes}


@router.get("/r/{identity}/preview.png")
async def preview(request: Request, identity: str) -> Response:
    """What other sites show beside the link."""
    saved = await _saved(request).get(identity)  # first: a copy that somebody keeps must not outlive a deletion here
    tag = f'"{saved.id}-{facemix.__version__}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", **_HIDDEN}
    if known_copy(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    picture = await _saved(request).picture(identity)
    release = ServerState.of(request).release
    content = await to_thread.run_sync(_card, release, picture, saved.recipe, limiter=_drawing)
    return Response(content, media_type="image/png", headers=headers)


def _card(release: Release, picture: bytes, recipe: Recipe) -> bytes:
    """The preview, a PNG file, from the picture as it was saved, marked."""
    view = recipe_view(recipe, live=None, origins=(), titles={})
    with Image.open(BytesIO(picture)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    card = preview_card(pixels, title=view.title, lines=(*view.mixed_of, view.disclaimer))
    return release.file(card, "image/png", recipe)


# --- deleting ----------------------------------------------------------------------------------------------


@router.get("/r/{identity}/delete")
async def ask_to_delete(request: Request, identity: str) -> Response:
    """Asks; nothing is deleted by opening a link, which programs do that look at messages."""
    try:
        saved = await _saved(request).get(identity)
    except RecordMissing as error:
        return _gone(request, error)
    return _asking(request, saved, request.query_params.get("token", ""))


@router.post("/r/{identity}/delete")
async def delete(request: Request, identity: str) -> Response:
    """Deletes for whoever has the token, and says so."""
    token = await _token(request)
    try:
        saved = await _saved(request).get(identity)
    except RecordMissing as error:
        return _gone(request, error)
    try:
        await _saved(request).delete(identity, token)
    except RecordMissing as error:
        note_refusal(error, request)
        return _asking(request, saved, "", status=error.status, refused=True)
    receipt = receipt_of(request, "recipe", saved.id)
    now = datetime.now(UTC)
    return render(request, "recipe_delete.html", state="done", saved=saved, at=now, token="", receipt=receipt)


def _asking(request: Request, saved: Saved, token: str, *, status: int = 200, refused: bool = False) -> Response:
    state = "refused" if refused else "ask" if token else "incomplete"
    response = render(request, "recipe_delete.html", status, state=state, saved=saved, at=None, token=token)
    response.headers.update(_HIDDEN)
    return response


async def _token(request: Request) -> str:
    """The token of the form; empty if it has none.

    Raises:
        MediaTypeUnsupported: the body is no form.
        RequestInvalid: it is longer than such a form can be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise MediaTypeUnsupported(
            f"the body is {kind[:100]!r}" if kind else "the request has no Content-Type",
            hint="use the form on this address, or DELETE /api/v1/recipes/{id}",
        )
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            raise RequestInvalid(f"the form has more than {MOST_FORM_BYTES} bytes", hint="send the token alone")
    fields = parse_qs(body.decode("latin-1"), max_num_fields=None)
    return fields.get("token", [""])[0]


def _gone(request: Request, error: RecordMissing) -> Response:
    """A page with advice for people; programs get the problem document."""
    if not prefers_html(request.headers.get("accept")):
        raise error
    note_refusal(error, request)
    response = render(request, "recipe_gone.html", error.status)
    response.headers.update(_HIDDEN)
    return response
