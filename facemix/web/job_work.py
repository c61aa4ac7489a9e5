"""The work of a job: what it makes, what it tells of itself, what there is to account for when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from facemix.errors import FacemixError
from facemix.mixing.recipe import ModelIdentity
from facemix.serving.meter import Meter
from facemix.serving.types import Cost
from facemix.web.job_notes import Job
from facemix.web.routes import CLIENT_LEFT


@dataclass(frozen=True)
class Result:
    """What a job has made: a file. `notes`: what to know about it, one plain sentence each."""

    data: bytes = field(repr=False)
    media_type: str
    filename: str
    notes: tuple[str, ...] = ()


class Progress:
    """What a piece of work tells of itself. Used on the event loop.

    Attributes:
        model, weights: which model works on it, and the SHA-256 of its weights.
        recipe_hash: of the recipe that its file is marked and signed with; None where it has none.
        cost: what it has taken of the device so far; told even if it fails.
        meter: what it has taken of the processors.
    """

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self.stopped = False
        self.done = 0
        self.model: str | None = None
        self.weights: str | None = None
        self.recipe_hash: str | None = None
        self.cost = Cost()
        self.meter = Meter()

    def advance(self, count: int = 1) -> None:
        """Another `count` units are done."""
        self.done += count
        self._told(self.done)

    def stop(self) -> bool:
        """Whether to give up: asked by what runs in a thread, and so hears of no cancellation."""
        return self.stopped


Work = Callable[[Progress], Awaitable[Result]]


@dataclass(frozen=True)
class Ended:
    """What there is to account for of a job that has ended. `status`: as a request would have been answered."""

    id: str
    kind: str
    owner: str | None
    status: int
    error_code: str | None
    model: str | None
    cost: Cost
    milliseconds: float
    bytes_out: int
    cpu_seconds: float = 0.0
    weights: str | None = None
    recipe_hash: str | None = None


@dataclass(frozen=True)
class GivenItem:
    """One of several results that a job gives out together.

    Attributes:
        request_id: of the request that started the job.
        kind: of the job.
        recipe_hash: by which the item is marked and signed.
        consent: version of the terms that was stated with the request, None where none was.
        record: the conditioning record, None where none is kept.
    """

    request_id: str
    kind: str
    owner: str | None
    model: ModelIdentity
    recipe_hash: str
    consent: str | None = None
    record: dict[str, Any] | None = None


Account = Callable[[Ended], None]
AccountItem = Callable[[GivenItem], None]


@dataclass
class Entry:
    """A job of this process.

    Attributes:
        holds: bytes of memory that its work holds.
        working: the work; it is what is cancelled when the job is given up.
        release: lets go of what its work holds.
        task: sees to the end of it; nothing but the end of the event loop cancels it.
        refusal: why it was given up, unless somebody asked for that.
        over: set once nothing changes any more.
    """

    job: Job
    owner: str | None
    holds: int
    progress: Progress
    working: asyncio.Task[Result]
    release: Callable[[], None]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    refusal: FacemixError | None = None

    def change(self, **changes: Any) -> None:
        """Changes members of `job`."""
        self.job = replace(self.job, **changes)

    def give_up(self) -> None:
        """Once the work has ended it is too late: what it has made is kept."""
        if not self.progress.stopped:
            self.progress.stopped = True
            self.working.cancel()

    def fail(self, error: FacemixError) -> None:
        """Gives it up for a reason, unless that was done before."""
        if not self.progress.stopped:
            self.refusal = error
            self.give_up()

    def ended(self, error: FacemixError | None, made: Result | None, milliseconds: float) -> Ended:
        """What there is to account for."""
        return Ended(
            id=self.job.id,
            kind=self.job.kind,
            owner=self.owner,
            status=CLIENT_LEFT if self.job.state == "cancelled" else 200 if error is None else error.status,
            error_code=None if error is None else error.code,
            model=self.progress.model,
            cost=self.progress.cost,
            milliseconds=milliseconds,
            bytes_out=0 if made is None else len(made.data),
            cpu_seconds=self.progress.meter.cpu_seconds,
            weights=self.progress.weights,
            recipe_hash=self.progress.recipe_hash,
        )
