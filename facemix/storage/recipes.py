"""Saved recipes: what a permalink leads to. The text is JSON that this floor does not read; the picture lies in the
blob store, in a group of its own."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from facemix.errors import RecordMissing, RequestInvalid, StorageUnavailable
from facemix.storage.blobs import BlobStore, blob_name
from facemix.storage.database import Database
from facemix.storage.tables import recipes
from facemix.storage.tokens import new_id, new_token, token_hash

MOST_BYTES = 262_144  # 32 latents of a thousand numbers each take about 180 KB
MOST_PICTURE_BYTES = 4 * 1024 * 1024
UNFINISHED = timedelta(minutes=10)  # how long a row waits for its picture
SWEEP_BATCH = 100
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
    has_picture: bool


class RecipeStore:
    """The table of recipes, and their pictures. An expired recipe is not found, whether it has been swept away yet or
    not.

    A crash leaves no picture behind, because a row names its blob from before it is there until after it is gone.
    Saving writes the row, due to expire soon, then the blob, then the row's own expiry: what was cut short is swept.
    Deleting and sweeping take the blob, then the row: what was cut short is deleted again, or met by the next sweep.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database, self._blobs = database, blobs

    def save(
        self,
        recipe: str,
        *,
        model_weights: str,
        expires_at: datetime | None,
        picture: bytes | None = None,
        now: datetime | None = None,
    ) -> SavedRecipe:
        """Stores the recipe under a new id of 16 URL-safe characters.

        Args:
            recipe: JSON text, at most 256 KiB.
            model_weights: SHA-256 of the weights of the model that it is for, hexadecimal.
            expires_at: from when on it is not found any more; None means never.
            picture: a file that shows it, at most 4 MiB.
            now: the time to write down; None means this moment.

        Raises:
            RequestInvalid: the recipe or the picture is too long.
            StorageFull, StorageUnavailable: the database or the blob store refused; nothing is saved.
        """
        size = len(recipe.encode())
        if size > MOST_BYTES:
            raise RequestInvalid(
                f"the recipe takes {size} bytes; {MOST_BYTES} are allowed", hint="save a recipe of fewer parents"
            )
        if picture is not None and len(picture) > MOST_PICTURE_BYTES:
            raise RequestInvalid(
                f"the picture takes {len(picture)} bytes; {MOST_PICTURE_BYTES} are allowed", hint="save a smaller one"
            )
        saved = SavedRecipe(new_id(), new_token())
        now = now or datetime.now(UTC)
        group = f"recipes/{saved.id}"
        row = {
            "id": saved.id,
            "recipe": recipe,
            "model_weights": model_weights,
            "delete_token_hash": token_hash(saved.delete_token),
            "created_at": now,
            "expires_at": expires_at if picture is None else now + UNFINISHED,
            "picture": None if picture is None else blob_name(group, picture),
        }
        with self._database.writing() as connection:
            connection.execute(insert(recipes), row)
        if picture is not None:
            self._blobs.put(group, picture)
            with self._database.writing() as connection:
                finished = update(recipes).where(recipes.c.id == saved.id).values(expires_at=expires_at)
                if not connection.execute(finished).rowcount:
                    raise StorageUnavailable("the picture took too long to store", hint="try again")
        return saved

    def get(self, identity: str, *, now: datetime | None = None) -> StoredRecipe:
        """The recipe of that id.

        Raises:
            RecordMissing: there is none, or it has expired.
            StorageUnavailable: the database refused.
        """
        columns = recipes.c
        row = self._living(
            identity, now, columns.id, columns.recipe, columns.model_weights, columns.created_at, columns.picture
        )
        return StoredRecipe(
            row.id, row.recipe, row.model_weights, row.created_at, row.expires_at, row.picture is not None
        )

    def picture(self, identity: str, *, now: datetime | None = None) -> bytes:
        """The file that shows the recipe of that id.

        Raises:
            RecordMissing: there is no such recipe, it has expired, or it has no picture.
            StorageUnavailable: the database or the blob store refused.
        """
        name = self._living(identity, now, recipes.c.picture).picture
        if name is not None:
            with suppress(RecordMissing):  # while it is being deleted, or where blobs are kept in memory
                return self._blobs.get(name)
        raise RecordMissing(f"the recipe {identity!r} has no picture", hint="draw it from the recipe")

    def delete(self, identity: str, delete_token: str) -> None:
        """Deletes the recipe and its picture, for whoever holds its token.

        Raises:
            RecordMissing: there is no such recipe, or the token is not its own; which of the two is not said.
            StorageFull, StorageUnavailable: the database or the blob store refused; it can be deleted again.
        """
        his = (recipes.c.id == _checked(identity)) & (recipes.c.delete_token_hash == token_hash(delete_token))
        with self._database.reading() as connection:
            row = connection.execute(select(recipes.c.picture).where(his)).one_or_none()
        if row is not None and row.picture is not None:
            self._blobs.delete(row.picture)
        if row is None or not self._deleted(his):
            raise RecordMissing(
                f"there is no recipe {identity!r} with this delete token", hint="both came back when it was saved"
            )

    def take_down(self, identity: str) -> bool:
        """Deletes the recipe and its picture without its token, for an operator; whether there was one.

        Raises:
            StorageFull, StorageUnavailable: the database or the blob store refused; it can be taken down again.
        """
        mine = recipes.c.id == identity[:64]
        with self._database.reading() as connection:
            row = connection.execute(select(recipes.c.picture).where(mine)).one_or_none()
        if row is not None and row.picture is not None:
            self._blobs.delete(row.picture)
        return row is not None and bool(self._deleted(mine))

    def sweep(self, *, now: datetime | None = None) -> int:
        """Deletes what has expired; how many recipes that were. A picture that cannot be deleted keeps only its own
        recipe from going.

        Raises:
            StorageFull, StorageUnavailable: the database or the blob store refused; the next sweep goes on.
        """
        expired = recipes.c.expires_at <= (now or datetime.now(UTC))
        # Most have no blob to delete first.
        swept = self._database.delete_where(recipes, expired & recipes.c.picture.is_(None))
        failure: StorageUnavailable | None = None
        last = ""
        while True:
            batch = (
                select(recipes.c.id, recipes.c.picture)
                .where(expired, recipes.c.picture.is_not(None), recipes.c.id > last)
                .order_by(recipes.c.id)
                .limit(SWEEP_BATCH)
            )
            with self._database.reading() as connection:
                rows = connection.execute(batch).all()
            for row in rows:
                try:
                    self._blobs.delete(row.picture)
                except StorageUnavailable as error:
                    failure = error
                else:
                    swept += self._deleted(recipes.c.id == row.id)
            if len(rows) < SWEEP_BATCH:
                break
            last = rows[-1].id
        if failure is not None:
            raise failure
        return swept

    def _living(self, identity: str, now: datetime | None, *columns: ColumnElement[Any]) -> Row[Any]:
        """The row of that id: the columns, and when it expires. Raises `RecordMissing`."""
        wanted = select(*columns, recipes.c.expires_at).where(recipes.c.id == _checked(identity))
        with self._database.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None or (row.expires_at is not None and row.expires_at <= (now or datetime.now(UTC))):
            raise _missing(identity)
        return row

    def _deleted(self, condition: ColumnElement[bool]) -> int:
        with self._database.writing() as connection:
            return connection.execute(delete(recipes).where(condition)).rowcount


def _checked(identity: str) -> str:
    """Raises: RecordMissing, for text that no database need be asked about (or that it would not even take)."""
    if not _ID.match(identity):
        raise _missing(identity)
    return identity


def _missing(identity: str) -> RecordMissing:
    return RecordMissing(f"there is no recipe {identity[:64]!r}", hint="it may have expired or been deleted")
