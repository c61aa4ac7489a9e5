"""Absolute addresses: where the operator says the server is, or as it was called by its client."""

from __future__ import annotations

from starlette.requests import Request

from facemix.storage.recipes import SavedRecipe
from facemix.web.state import ServerState


def absolute(request: Request, path: str) -> str:
    """path: from the application's root, beginning with a slash. Without ``FACEMIX_PUBLIC_URL`` the address is the one
    that the client has used, or that a proxy before the server says it has."""
    root = ServerState.of(request).settings.public_url or str(request.base_url)
    return root.rstrip("/") + path


def page_of(request: Request, identity: str) -> str:
    """The page of a saved recipe."""
    return absolute(request, f"/r/{identity}")


def picture_of(request: Request, identity: str) -> str:
    """The picture of a saved recipe."""
    return absolute(request, f"/api/v1/recipes/{identity}/picture")


def delete_page_of(request: Request, saved: SavedRecipe) -> str:
    """The page on which a saved recipe can be deleted by whoever has this address."""
    return absolute(request, f"/r/{saved.id}/delete?token={saved.delete_token}")
