"""Saved recipes behind links: what a person chose to share. Latents and the result, never a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from facemix.errors import RequestInvalid, StorageUnavailable
from facemix.mixing.recipe import PhotoParent, Recipe
from facemix.web.threads import Threads

if TYPE_CHECKING:
    from facemix.storage.recipes import RecipeStore, SavedRecipe

AT_ONCE = 4


@dataclass(frozen=True)
class Saved:
    """A recipe as it was saved; times are in UTC, `expires_at` None means never."""

    id: str
    recipe: Recipe
    created_at: datetime
    expires_at: datetime | None


class SavedRecipes:
    """The saved recipes of one application.

    Args:
        store: None where the application runs without storage; then nothing is saved.
        longest_days: for how long a link may live; 0 lets it live for ever.
    """

    def __init__(self, store: RecipeStore | None, *, longest_days: int = 0) -> None:
        self._store, self._longest_days = store, longest_days
        self._threads = Threads(AT_ONCE)  # a store that hangs holds no other threads

    async def save(
        self, recipe: Recipe, picture: bytes, *, seconds: float | None
    ) -> tuple[SavedRecipe, datetime | None]:
        """Saves a recipe with its picture; the id and the token that deletes it, and when it expires. For somebody who
        leaves meanwhile, and so never hears of either, nothing stays saved.

        Args:
            picture: the result as a PNG file.
            seconds: for how long; None for as long as the operator allows.

        Raises:
            RequestInvalid: it names a photograph, whose place a latent must take; or it is to live too long.
            StorageFull, StorageUnavailable: it cannot be stored.
        """
        if any(isinstance(parent, PhotoParent) for parent in recipe.parents):
            raise RequestInvalid(
                "the recipe names a photo, and links hold none", hint='ask for it with "portable": true', where="recipe"
            )
        now = datetime.now(UTC)
        expires_at = self._expiry(now, seconds)

        def save() -> SavedRecipe:
            return self._opened().save(
                recipe.to_json(), model_weights=recipe.model.weights, expires_at=expires_at, picture=picture, now=now
            )

        def take_back(saved: SavedRecipe) -> None:
            self._opened().delete(saved.id, saved.delete_token)

        return await self._threads.run(save, undo=take_back), expires_at

    async def get(self, identity: str) -> Saved:
        """Raises `RecordMissing` for one that is unknown, expired or deleted, and `StorageUnavailable`."""
        stored = await self._threads.run(lambda: self._opened().get(identity))
        return Saved(stored.id, Recipe.from_json(stored.recipe), stored.created_at, stored.expires_at)

    async def picture(self, identity: str) -> bytes:
        """The result as it was saved, a PNG file. Raises as `get`."""
        return await self._threads.run(lambda: self._opened().picture(identity))

    async def delete(self, identity: str, token: str) -> None:
        """Deletes recipe and picture for whoever has the token. Raises as `get`."""
        await self._threads.run(lambda: self._opened().delete(identity, token))

    def _opened(self) -> RecipeStore:
        if self._store is None:
            raise StorageUnavailable("this server keeps no recipes", hint="save the recipe as a file instead")
        return self._store

    def _expiry(self, now: datetime, seconds: float | None) -> datetime | None:
        longest = self._longest_days * 86400
        if seconds is None:
            return now + timedelta(seconds=longest) if longest else None
        if longest and seconds > longest:
            raise RequestInvalid(
                f"expires_in is {seconds:g} seconds",
                hint=f"a link lives for at most {self._longest_days} days on this server",
                where="expires_in",
            )
        return now + timedelta(seconds=seconds)
