"""Absolute addresses, as this server was called by its client."""

from __future__ import annotations

from starlette.requests import Request

from facemix.storage.recipes import SavedRecipe


def absolute(request: Request, path: str) -> str:
    """path: from the application's root, beginning with a slash."""
    root = str(request.base_url).rstrip("/")
    return root + path


def page_of(request: Request, identity: str) -> str:
    """The page of a saved recipe."""
    return absolute(request, f"/r/{identity}")


def picture_of(request: Request, identity: str) -> str:
    """The picture of a saved recipe."""
    return absolute(request, f"/api/v1/recipes/{identity}/picture")


def delete_page_of(request: Request, saved: SavedRecipe) -> str:
    """The page on which a saved recipe can be deleted by whoever has this address."""
    return absolute(request, f"/r/{saved.id}/delete?token={saved.delete_token}")
