"""Saved recipes: what a permalink leads to. The text is JSON that this floor does not read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage.database import Database
from facemix.storage.tables import recipes
from facemix.storage.tokens import new_id, new_token, token_hash

MOST_BYTES = 65_536  # a recipe of 32 parents takes a tenth of it
_ID = re.compile(r"[A-Za-z0-9_-]{16}\Z")


@dataclass(frozen=True)
class SavedRecipe:
    """The id for the link, and the token that deletes it: only its hash is stored, so it is shown this once."""

    id: str
    delete_token: str


@dataclass(frozen=True)
class StoredRecipe:
    """`recipe` is the JSON text as it was saved; the times are in UTC."""

    id: str
    recipe: str
    model_weights: str
    created_at: datetime
    expires_at: datetime | None


class RecipeStore:
    """The table of recipes. An expired recipe is not found, whether it has been swept away yet or not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, recipe: str, *, model_weights: str, expires_at: datetime | None, now: datetime | None = None
    ) -> SavedRecipe:
        """Stores the recipe under a new id of 16 URL-safe characters.

        Args:
            recipe: JSON text, at most 64 KiB.
            model_weights: SHA-256 of the weights of the model that it is for, hexadecimal.
            expires_at: from when on it is not found any more; None means never.
            now: the time to write down; None means this moment.

        Raises:
            RequestInvalid: the recipe is too long.
            StorageFull, StorageUnavailable: the database refused.
        """
        size = len(recipe.encode())
        if size > MOST_BYTES:
            raise RequestInvalid(
                f"the recipe takes {size} bytes; {MOST_BYTES} are allowed", hint="save a recipe of fewer parents"
            )
        saved = SavedRecipe(new_id(), new_token())
        row = {
            "id": saved.id,
            "recipe": recipe,
            "model_weights": model_weights,
            "delete_token_hash": token_hash(saved.delete_token),
            "created_at": now or datetime.now(UTC),
            "expires_at": expires_at,
        }
        with self._database.writing() as connection:
            connection.execute(insert(recipes), row)
        return saved

    def get(self, identity: str, *, now: datetime | None = None) -> StoredRecipe:
        """The recipe of that id.

        Raises:
            RecordMissing: there is none, or it has expired.
            StorageUnavailable: the database refused.
        """
        columns = recipes.c
        wanted = select(
            columns.id, columns.recipe, columns.model_weights, columns.created_at, columns.expires_at
        ).where(columns.id == _checked(identity))
        with self._database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None or (row.expires_at is not None and row.expires_at <= (now or datetime.now(UTC))):
            raise _missing(identity)
        return StoredRecipe(*row)

    def delete(self, identity: str, delete_token: str) -> None:
        """Deletes the recipe, for whoever holds its token.

        Raises:
            RecordMissing: there is no such recipe, or the token is not its own; which of the two is not said.
            StorageFull, StorageUnavailable: the database refused.
        """
        wanted = delete(recipes).where(
            recipes.c.id == _checked(identity), recipes.c.delete_token_hash == token_hash(delete_token)
        )
        with self._database.writing() as connection:
            found = connection.execute(wanted).rowcount
        if not found:
            raise RecordMissing(
                f"there is no recipe {identity!r} with this delete token", hint="both came back when it was saved"
            )

    def sweep(self, *, now: datetime | None = None) -> int:
        """Deletes what has expired; how many recipes that were.

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        return self._database.delete_where(recipes, recipes.c.expires_at <= (now or datetime.now(UTC)))


def _checked(identity: str) -> str:
    """Raises: RecordMissing, for text that no database need be asked about (or that it would not even take)."""
    if not _ID.match(identity):
        raise _missing(identity)
    return identity


def _missing(identity: str) -> RecordMissing:
    return RecordMissing(f"there is no recipe {identity[:64]!r}", hint="it may have expired or been deleted")
