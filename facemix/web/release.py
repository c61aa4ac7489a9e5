"""How a result leaves: judged, noted for the ledger, marked, then written with its credentials."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from facemix.errors import FacemixError
from facemix.imaging.encode import MediaType
from facemix.mixing.recipe import ModelIdentity, Recipe, SampleParent
from facemix.safety.marking import Facts, Marker
from facemix.serving.types import ParentFace
from facemix.web.judging import About, Judge, LetAll

if TYPE_CHECKING:
    from facemix.safety.credentials import UploadCredentials

log = logging.getLogger("facemix.web")

WARM_UP_SIDE = 128


class Release:
    """The last step of every result of one application.

    Attributes:
        judge: says whether a result may leave.
        marker: marks what leaves.
    """

    def __init__(self, judge: Judge | None = None, marker: Marker | None = None) -> None:
        self.judge: Judge = judge or LetAll()
        self.marker = marker or Marker.off()

    async def judged(
        self,
        about: About,
        frames: np.ndarray,
        recipe: Recipe,
        parents: Sequence[ParentFace] = (),
        margins: Sequence[float] | None = None,
        *,
        whole: str | None = None,
        path: bool = False,
        by_lot: bool = True,
        hashes: Collection[str] = (),
        shown: np.ndarray | None = None,
    ) -> None:
        """Returns if the frames may leave.

        Args:
            frames: (N, S, S, 3) uint8 RGB, unmarked.
            recipe: by which they are marked; see `named`.
            parents: what was used of their parents.
            margins: of the checks, for each frame; None where they have none.
            whole: hash of all that is given out together, see `hash_of`; None for the recipe's own.
            path: they go evenly from one face to another.
            by_lot: whether they may be drawn for the reviewers' random share.
            hashes: of the recipes of the single frames, and others that stand for them.
            shown: (H, W, 3) uint8 RGB, what leaves, where that is more than the one frame; see `Judge.judge`.

        Raises:
            Held, ResultWithheld, Busy, StorageFull, StorageUnavailable: see `Judge.judge`.
        """

        def write(frame: np.ndarray) -> bytes:
            return self.picture(frame, "image/png", recipe, parents)

        whole = whole or recipe.hash
        margins = margins or [1.0] * len(frames)
        await self.judge.judge(
            about, frames, whole, margins, write, path=path, by_lot=by_lot, hashes=hashes, shown=shown
        )

    # What follows takes milliseconds, and belongs into a thread.

    def warm_up(self) -> None:
        """Loads the libraries that mark and sign, which takes most of a second, before anybody waits for it. What keeps
        them from working is told by the first result."""
        frame = np.full((WARM_UP_SIDE, WARM_UP_SIDE, 3), 128, np.uint8)
        try:
            self.marker.file(self.marker.pixels(frame, ["0" * 64]), "image/png", Facts("0" * 64, "none"))
        except FacemixError as error:
            log.error("results cannot be marked: %s; %s", error.message, error.hint)

    def mark(self, frames: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Frames with the label and the mark: (N, S, S, 3) or (S, S, 3) uint8 RGB, as they were.

        Args:
            recipe: the one by which the ledger has them; see `named`.
        """
        return self.marker.pixels(frames, [recipe.hash])

    def file(
        self,
        marked: np.ndarray,
        media_type: MediaType,
        recipe: Recipe,
        parents: Sequence[ParentFace] = (),
        *,
        quality: int = 92,
    ) -> bytes:
        """A file of pixels that are marked already, with its credentials."""
        return self.marker.file(marked, media_type, facts_of(recipe, parents), quality=quality)

    def picture(
        self, frame: np.ndarray, media_type: MediaType, recipe: Recipe, parents: Sequence[ParentFace] = ()
    ) -> bytes:
        """Both for one frame."""
        return self.file(self.mark(frame, recipe), media_type, recipe, parents)

    def signed(self, data: bytes, media_type: str, recipe: Recipe, parents: Sequence[ParentFace] = ()) -> bytes:
        """A file that was written elsewhere, as an animation, with its credentials."""
        return self.marker.sign(data, media_type, facts_of(recipe, parents))


def named(recipes: Sequence[Recipe]) -> Recipe:
    """The one, of several that are given out together, by which the ledger has them; mark and credentials of each frame
    bear its hash, so that they lead to the row."""
    return recipes[len(recipes) // 2]


def facts_of(recipe: Recipe, parents: Sequence[ParentFace] = ()) -> Facts:
    """What credentials say of a result."""
    return Facts(recipe.hash, str(recipe.model), credentials_of(parents))


def credentials_of(parents: Sequence[ParentFace]) -> tuple[UploadCredentials, ...]:
    """Those that the photographs brought along, each once."""
    return tuple(dict.fromkeys(used.credentials for used in parents if used.credentials is not None))


def sample_recipe(model: ModelIdentity, number: int, seed: int) -> Recipe:
    """The recipe of a sample face: one parent, at weight 1."""
    return Recipe(model=model, parents=(SampleParent(number=number, weight=1),), seed=seed)
