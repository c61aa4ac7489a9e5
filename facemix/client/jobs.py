"""Work that takes longer than a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from facemix.client.answers import moment
from facemix.client.reviews import token_in
from facemix.client.transport import Transport

_ENDED = ("done", "failed", "cancelled")


class JobFailed(Exception):
    """A job has ended without a result. problem: why, as a problem document, or None for one that was cancelled."""

    def __init__(self, message: str, problem: Mapping[str, Any] | None) -> None:
        super().__init__(message)
        self.problem = problem

    @property
    def held(self) -> str | None:
        """By what `Client.review` asks about a result that waits for a person; None where it failed otherwise."""
        if self.problem is None or self.problem.get("code") != "held_for_review":
            return None
        return token_in(self.problem.get("hint", ""))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.problem)


class Job:
    """An animation or a batch.

    Attributes:
        id, kind: which, and what it makes.
        state: queued, running, done, failed or cancelled, as it was when last asked.
        done, total: units of work.
        expires_at: from when on neither it nor its result is found.
        notes: what to know about the result.
        recipes: of an animation's stops, where it was started here.
    """

    def __init__(
        self, transport: Transport, answer: Mapping[str, Any], recipes: tuple[dict[str, Any], ...] = ()
    ) -> None:
        self._transport = transport
        self.recipes = recipes
        self._take(answer)

    def refresh(self) -> Job:
        """Asks how it stands. Raises `ApiError`."""
        self._take(self._transport.json("GET", self._path))
        return self

    def wait(
        self,
        on_progress: Callable[[int, int], None] | None = None,
        *,
        timeout: float | None = None,
        every: float = 0.5,
    ) -> Job:
        """Returns when it is done.

        Args:
            on_progress: called with `done` and `total`.
            timeout: seconds.
            every: seconds between two questions.

        Raises:
            JobFailed: it failed, or was cancelled.
            TimeoutError: it has not ended in time; it goes on.
            ApiError: it is not kept any more.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            if on_progress is not None:
                on_progress(self.done, self.total)
            if self.state in _ENDED:
                break
            if give_up is not None and time.monotonic() >= give_up:
                raise TimeoutError(f"the job is {self.state} after {timeout:g} s, {self.done} of {self.total} done")
            time.sleep(every)
            self.refresh()
        if self.state != "done":
            raise JobFailed(self.problem["detail"] if self.problem else f"the job was {self.state}", self.problem)
        return self

    def result(self) -> bytes:
        """The file that it has made. Raises `ApiError`, as long as there is none, too."""
        return self._transport.send("GET", f"{self._path}/result").content

    def save(self, path: str | Path) -> Path:
        """Writes the result to a file. Raises `ApiError`, OSError."""
        path = Path(path)
        path.write_bytes(self.result())
        return path

    def cancel(self) -> None:
        """Gives it up, or forgets it and its result. Raises `ApiError`."""
        self._transport.send("DELETE", self._path)

    @property
    def _path(self) -> str:
        return f"/api/v1/jobs/{self.id}"

    def _take(self, answer: Mapping[str, Any]) -> None:
        self.id: str = answer["id"]
        self.kind: str = answer["kind"]
        self.state: str = answer["state"]
        self.done: int = answer["done"]
        self.total: int = answer["total"]
        self.expires_at = moment(answer["expires_at"])
        self.media_type: str | None = answer["media_type"]
        self.filename: str | None = answer["filename"]
        self.notes: tuple[str, ...] = tuple(answer["notes"])
        self.problem: dict[str, Any] | None = answer["problem"]

    def __repr__(self) -> str:
        return f"<Job {self.id}: {self.kind}, {self.state}, {self.done} of {self.total}>"
