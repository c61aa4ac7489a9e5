"""What outlives a request, of one application: the shelf of expiring things, and saved recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facemix.settings import Settings
from facemix.storage.memory_shelf import MemoryShelf
from facemix.storage.shelf import Shelf
from facemix.web.kept_faces import KeptFaces
from facemix.web.saved import SavedRecipes
from facemix.web.shelf import AsyncShelf

if TYPE_CHECKING:
    from facemix.storage.database import Database
    from facemix.storage.recipes import RecipeStore


class Stores:
    """The stores of one application. What they stand on is closed by whoever opened it.

    Args:
        shelf: where faces, jobs and answers are kept until they expire.
        recipes: None where nothing can be saved behind a link.

    Attributes:
        shelf: the shelf as coroutines; ``shelf.shelf`` is the one behind it.
        faces: the uploaded faces on it.
        saved: the saved recipes as coroutines; they refuse where there is no store.
    """

    def __init__(self, settings: Settings, shelf: Shelf, recipes: RecipeStore | None = None) -> None:
        self.shelf = AsyncShelf(shelf)
        self.recipes = recipes
        self.faces = KeptFaces(self.shelf, settings.face_seconds)
        self.saved = SavedRecipes(recipes, longest_days=settings.link_days)

    @classmethod
    def in_memory(cls, settings: Settings) -> Stores:
        """A shelf that ends with this process, and nowhere to save recipes."""
        return cls(settings, MemoryShelf(settings.keep_bytes))

    @classmethod
    def open(cls, settings: Settings, database: Database) -> Stores:
        """As the settings say.

        Args:
            database: upgraded.

        Raises:
            ConfigError, StorageUnavailable: see `BlobStore.open`.
        """
        from facemix.storage.blobs import open_blobs
        from facemix.storage.recipes import RecipeStore

        return cls(settings, open_shelf(settings, database), RecipeStore(database, open_blobs(settings)))


def open_shelf(settings: Settings, database: Database) -> Shelf:
    """The shelf that ``settings.keep`` names."""
    if settings.keep == "memory":
        return MemoryShelf(settings.keep_bytes)
    from facemix.storage.database_shelf import DatabaseShelf

    return DatabaseShelf(database, settings.keep_bytes)
