"""Results of commands are compared with the likeness guard's gallery, as those of a server in the same data folder.

A server holds what resembles somebody, until a reviewer has decided. A command has nobody who would wait, and refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facemix.cli.files import face_of
from facemix.errors import Held, InstallationError
from facemix.settings import Settings, load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.governance.review_verdicts import Verdicts
    from facemix.mixing.recipe import Recipe
    from facemix.safety.guard import Guard
    from facemix.serving.types import MixResult
    from facemix.storage.database import Database


class Likeness:
    """Says whether results may be written. Thread-safe; blocking.

    Args:
        guard: None where nobody is compared with.
        verdicts: what reviewers have decided; goes with the guard.
    """

    def __init__(self, guard: Guard | None = None, verdicts: Verdicts | None = None) -> None:
        self._guard, self._verdicts = guard, verdicts

    def check_mix(self, result: MixResult) -> None:
        """Returns if a mix may be written. Raises as `check`."""
        self.check(face_of(result), [result.recipe])  # who else is in a photograph is not mixed

    def check(
        self, frames: np.ndarray, recipes: Sequence[Recipe], *, whole: str | None = None, path: bool = False
    ) -> None:
        """Returns if the frames may be written: they resemble nobody who is protected, or a reviewer has approved it.

        Args:
            frames: (N, S, S, 3) uint8 RGB, unmarked.
            recipes: one for each.
            whole: hash of all that is written together, as the server reckons it; None for that of these recipes.
            path: they go evenly from one face to another, see `Guard.matches`.

        Raises:
            Held: they resemble somebody. It does not say whom.
            ResultWithheld: a reviewer has rejected just this, or one of its frames.
            StorageUnavailable: nobody can tell.
        """
        if self._guard is None or self._verdicts is None:
            return
        from facemix.web.judging import hash_of
        from facemix.web.rejections import withheld

        hashes = [recipe.hash for recipe in recipes]
        whole = whole or hash_of(hashes)
        if self._verdicts.rejected({whole, *hashes}):  # whatever for, and whomever it resembles now
            raise withheld()
        found = self._guard.matches(frames, path=path)
        if not all(self._verdicts.verdict(whole, trigger="guard", subject=one.id) == "approved" for one in found):
            raise Held(
                "the result resembles a protected person: a server would hold it until a person has looked at it",
                hint="mix other faces, or in other shares; or make it on the server of this data folder, where a "
                "reviewer decides: what they approve is written here, too; or ask the operator, who may take out of "
                "the gallery who should not be in it (`facemix guard remove`)",
            )


def likeness_for_files() -> Likeness:
    """What compares the results of one command. Where nobody is protected it loads nothing, and no database is made for
    the question; where not everybody can be compared with, stderr is told. The database stays open until the command
    ends.

    Raises:
        ConfigError, InstallationError, StorageUnavailable, SchemaTooNew: nobody can tell whether anybody is protected.
    """
    from facemix.storage.glance import DATABASE_FILE, surely_empty

    settings = load_settings()
    if settings.database_url is None and surely_empty(settings.data_dir.expanduser() / DATABASE_FILE, "protected"):
        return Likeness()
    database = _database(settings)
    return Likeness() if database is None else _compared(settings, database)


def _database(settings: Settings) -> Database | None:
    """The one that the settings name, not upgraded; None where it has no gallery yet."""
    from facemix.storage.database import Database
    from facemix.storage.engine import default_url, parse_url
    from facemix.storage.glance import surely_empty
    from facemix.storage.governance_tables import protected

    url = parse_url(settings.database_url or default_url(settings.data_dir))
    if url.get_backend_name() == "sqlite" and surely_empty(Path(url.database or ""), protected.name):
        return None
    database = Database.open(url)
    if not database.has(protected):
        database.close()
        return None
    database.check()
    return database


def _compared(settings: Settings, database: Database) -> Likeness:
    from facemix.faces.embedder import load_embedder
    from facemix.governance.review_verdicts import Verdicts
    from facemix.governance.secrets import open_secrets
    from facemix.safety.gallery import Gallery
    from facemix.safety.guard import ABSENT, Guard

    secrets = open_secrets(settings)
    gallery = Gallery(database, secrets)
    if not gallery.ids():
        database.close()
        return Likeness()
    embedder, reason = None, ABSENT
    try:
        embedder = load_embedder()
    except InstallationError as error:  # its weights are damaged
        reason = error.message
    if embedder is None:
        database.close()
        return _told(Likeness(), reason)
    guard = Guard(gallery, embedder, settings.guard_distance)
    verdicts = Verdicts(database, secrets, settings.review_hours, settings.review_due_hours)
    return _told(Likeness(guard, verdicts), guard.state().reason)


def _told(likeness: Likeness, reason: str) -> Likeness:
    """reason: why not everybody is compared with; empty where all are."""
    if reason:
        print(f"note: not everybody who is protected is compared with: {reason}", file=sys.stderr)
    return likeness
