"""Whether a result may leave: the likeness guard, the margin of the checks, and the reviewers' random share.

What has to be looked at by a person is put into the queue, and `Held` is raised in its place.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

import numpy as np

from facemix.errors import FacemixError, Held, StorageUnavailable
from facemix.mixing.recipe import ModelIdentity
from facemix.settings import Settings
from facemix.web.rejections import Rejections, withheld
from facemix.web.threads import Threads

if TYPE_CHECKING:
    from facemix.governance.operators import Operators
    from facemix.governance.review import Review, Reviews
    from facemix.governance.review_states import Trigger
    from facemix.safety.gallery import Gallery
    from facemix.safety.guard import Guard, Match

log = logging.getLogger("facemix.web")

# Of the checks' margin, 0 where a result is withheld and 1 where nothing is near; below this a person looks. As
# `facemix.safety.results.LOW_MARGIN`, which brings torch; a test compares the two.
LOW_MARGIN = 0.2
LATELY_SECONDS = 15.0  # how long a new reviewer, or somebody newly enrolled, may go unnoticed
SHARE_SECONDS = 2.0  # how long a result of the random share may be kept waiting by the queue
CALLS_AT_ONCE = 4
PICTURE_TYPE = "image/png"

Write = Callable[[np.ndarray], bytes]
T = TypeVar("T")


@dataclass(frozen=True)
class About:
    """Whose result it is.

    Attributes:
        request_id: as in the answer's header, or a job's.
        owner: name of the API key, None without one.
        model: which model made it.
        consent: version of the terms that was stated with the request, None where none was.
    """

    request_id: str
    owner: str | None
    model: ModelIdentity
    consent: str | None = None


class Judge(Protocol):
    """What decides."""

    async def judge(
        self,
        about: About,
        frames: np.ndarray,
        whole: str,
        margins: Sequence[float],
        write: Write,
        *,
        path: bool = False,
        by_lot: bool = True,
        hashes: Collection[str] = (),
        shown: np.ndarray | None = None,
    ) -> None:
        """Returns if the frames may be given out.

        Args:
            frames: (N, S, S, 3) uint8 RGB, unmarked.
            whole: hash of all that is given out together: what is decided is decided about that.
            margins: of the checks, for each frame.
            write: makes the file of a picture as it would be given out; called in a thread.
            path: they go evenly from one face to another.
            by_lot: whether they may be drawn for the random share; what is part of a larger result was, with that.
            hashes: of the single recipes, where they are not `whole`: none of these may have been rejected either.
            shown: (H, W, 3) uint8 RGB, what leaves, where that is more than the one frame: what is held is this, since
                it may be given out later. A copy by lot, for which nobody waits, is of the frame alone.

        Raises:
            Held: a person looks at it first.
            ResultWithheld: a reviewer has rejected just this before.
            Busy, StorageFull, StorageUnavailable: it would have to be held, and cannot be; or nobody can tell.
        """
        ...

    async def check_rejected(self, hashes: Collection[str]) -> None:
        """Returns if no recipe of these hashes was rejected, for what was let out before and is given out again.

        Raises:
            ResultWithheld: a reviewer has rejected one of them.
            StorageUnavailable: nobody can tell.
        """
        ...

    async def era(self) -> object:
        """Something that is another when somebody was put under protection: what was let out before is judged again."""
        ...


class LetAll:
    """Where there is no database nobody is protected, and nobody reviews."""

    async def judge(
        self,
        about: About,
        frames: np.ndarray,
        whole: str,
        margins: Sequence[float],
        write: Write,
        *,
        path: bool = False,
        by_lot: bool = True,
        hashes: Collection[str] = (),
        shown: np.ndarray | None = None,
    ) -> None:
        return None

    async def check_rejected(self, hashes: Collection[str]) -> None:
        return None

    async def era(self) -> object:
        return None


class Reviewed:
    """See `Judge`. Belongs to one event loop; what waits for a database or the embedder runs in threads of its own.

    Args:
        guard: None where nobody can be enrolled.
        gallery: that of the guard, for `era`.
        draw: numbers from 0 to 1, for the random share.
    """

    def __init__(
        self,
        settings: Settings,
        reviews: Reviews,
        operators: Operators,
        guard: Guard | None,
        gallery: Gallery | None = None,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = settings.review_share
        self._reviews, self._guard = reviews, guard
        self._draw = draw
        # Apart: a queue that hangs must not hold up the looks at other results.
        self._looking, self._asking = Threads(CALLS_AT_ONCE), Threads(CALLS_AT_ONCE)
        self._rejections = Rejections(reviews, clock=clock)
        self._reviewers = _Lately(lambda: operators.count("reviewer"), 0, self._asking, clock)
        self._protected = None if gallery is None else _Lately(gallery.ids, frozenset[str](), self._asking, clock)

    async def judge(
        self,
        about: About,
        frames: np.ndarray,
        whole: str,
        margins: Sequence[float],
        write: Write,
        *,
        path: bool = False,
        by_lot: bool = True,
        hashes: Collection[str] = (),
        shown: np.ndarray | None = None,
    ) -> None:
        await self._rejections.check({whole, *hashes})
        guard = self._guard
        if guard is not None:
            found = await self._looking.run(lambda: guard.matches(frames, path=path))
            await self._check_likeness(about, found, frames, whole, write, shown)
        margin, lowest = min(zip(margins, range(len(frames)), strict=True))
        doubted = margin < LOW_MARGIN
        chosen = by_lot and not doubted and self._share > 0 and self._draw() < self._share
        if doubted and await self._has_reviewers():
            detail = f"the checks' margin is {margin:.3f}; below {LOW_MARGIN:g} a person looks"
            leaves = frames[lowest] if shown is None else shown
            if not await self._approved(whole, "margin"):
                await self._hold(about, "margin", detail, whole, leaves, write)
        elif chosen:
            await self._offer(about, whole, frames[len(frames) // 2], write)

    async def _check_likeness(
        self,
        about: About,
        found: Sequence[Match],
        frames: np.ndarray,
        whole: str,
        write: Write,
        shown: np.ndarray | None,
    ) -> None:
        """Returns if a reviewer has approved the likeness to each person who was found; else raises as `judge`.

        Each is decided on apart: an approval is about one person, whoever is enrolled later. Of the others the reviewer
        is told, since the picture that an approval gives out is the same.
        """
        asked = [one for one in found if not await self._approved(whole, "guard", one.id)]
        if not asked:
            return
        nearest = asked[0]
        detail = f"at a distance of {nearest.distance:.3f} from protected person {nearest.id}"
        if further := ", ".join(f"{one.distance:.3f} from {one.id}" for one in asked[1:]):
            detail += f"; approve it only if it is none of the others whom it resembles, either: {further}"
        leaves = frames[nearest.frame] if shown is None else shown
        await self._hold(about, "guard", detail, whole, leaves, write, subject=nearest.id)

    async def check_rejected(self, hashes: Collection[str]) -> None:
        await self._rejections.check(hashes)

    async def era(self) -> object:
        if self._protected is None:
            return None
        try:
            return await self._protected.get()
        except StorageUnavailable:
            return self._protected.last

    async def _hold(
        self,
        about: About,
        trigger: Trigger,
        detail: str,
        whole: str,
        frame: np.ndarray,
        write: Write,
        *,
        subject: str | None = None,
    ) -> NoReturn:
        """Raises `Held`."""
        review, token = await self._put(about, trigger, detail, whole, frame, write, released=False, subject=subject)
        raise held(review, token)

    async def _approved(self, whole: str, trigger: Trigger, subject: str | None = None) -> bool:
        """Whether a reviewer has approved just this before. Raises `ResultWithheld` where it was rejected."""
        decided = await self._asking.run(lambda: self._reviews.verdict(whole, trigger=trigger, subject=subject))
        if decided == "rejected":
            raise withheld()
        return decided == "approved"

    async def _offer(self, about: About, whole: str, frame: np.ndarray, write: Write) -> None:
        """Puts a copy of what is given out into the queue. Nobody waits for a decision, so whatever fails here fails
        for nobody."""
        try:
            async with asyncio.timeout(SHARE_SECONDS):
                # Where nobody could ever decide, nothing is collected.
                if await self._reviewers.get():
                    await self._put(about, "sample", "drawn by lot", whole, frame, write, released=True)
        except (FacemixError, TimeoutError) as error:
            why = str(error) or "it took too long"
            log.warning("a result of the random share is not put before a reviewer: %s", why)

    async def _put(
        self,
        about: About,
        trigger: Trigger,
        detail: str,
        whole: str,
        frame: np.ndarray,
        write: Write,
        *,
        released: bool,
        subject: str | None = None,
    ) -> tuple[Review, str]:
        def put() -> tuple[Review, str]:
            return self._reviews.hold(
                about.request_id,
                trigger,
                detail,
                owner=about.owner,
                model_id=str(about.model),
                recipe_hash=whole,
                picture=write(frame),
                media_type=PICTURE_TYPE,
                released=released,
                subject=subject,
            )

        return await self._asking.run(put)

    async def _has_reviewers(self) -> bool:
        """Whether anybody may decide: where nobody could ever decide, nothing waits for a decision. A database that
        does not answer counts as yes: what is doubtful does not get out by it."""
        try:
            return await self._reviewers.get() > 0
        except StorageUnavailable:
            return True


class _Lately(Generic[T]):
    """What a database says, asked again after some seconds.

    Attributes:
        last: what it said last; at first what was given.
    """

    def __init__(self, ask: Callable[[], T], first: T, threads: Threads, clock: Callable[[], float]) -> None:
        self._ask, self._threads, self._clock = ask, threads, clock
        self.last, self._asked_at = first, -float("inf")

    async def get(self) -> T:
        """Raises `StorageUnavailable`."""
        if self._clock() - self._asked_at >= LATELY_SECONDS:
            self.last = await self._threads.run(self._ask)
            self._asked_at = self._clock()
        return self.last


def held(review: Review, token: str) -> Held:
    """What is raised in the place of a result that waits for a person. It does not say why it waits: whoever tries the
    guard out should not learn from it what it knows."""
    return Held(
        "a person will look at the result first",
        hint=f"look at its status page from time to time: /held/{token}",
        review_id=review.id,
        status_path=f"/held/{token}",
    )


def hash_of(hashes: Sequence[str]) -> str:
    """What stands for several recipes together; of one it is its own hash. Hexadecimal, 64 characters."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
