"""How a job stands, and the note beside it on the shelf, by which other processes tell of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from facemix.errors import Busy, FacemixError, JobGone
from facemix.storage.shelf import Kept
from facemix.web.problems import clean_text

# A job waits for its turn, and works, for so long at most; then it is given up.
LONGEST_SECONDS = 3600.0
LOST_SECONDS = 60.0  # one whose process has not been heard of for so long is taken for lost

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """How a job stands.

    Attributes:
        kind: what it makes, as ``animation``.
        done, total: units of work.
        created_at: in UTC.
        expires_at: from when on job and result are not found any more; of one that has not ended, at the latest.
        problem: why it failed, as a problem document without its request's id; None otherwise.
        result: id on the shelf.
    """

    id: str
    kind: str
    state: State
    done: int
    total: int
    created_at: datetime
    expires_at: datetime
    media_type: str | None = None
    filename: str | None = None
    bytes: int | None = None
    notes: tuple[str, ...] = ()
    problem: dict[str, Any] | None = None
    result: str | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def note_of(job: Job) -> str:
    """What the shelf is to say of a job, with the time: its process lives."""
    document: dict[str, Any] = {
        "kind": job.kind,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "beat": time.time(),
        "media_type": job.media_type,
        "filename": job.filename,
        "bytes": job.bytes,
        "notes": job.notes,
        "problem": job.problem,
        "result": job.result,
        "expires_at": job.expires_at.isoformat() if job.ended else None,
    }
    return json.dumps({name: value for name, value in document.items() if value not in (None, ())})


def job_of(kept: Kept) -> Job:
    """What the shelf says of a job of another process, or of one that has ended. A process that has not been heard of
    for long is taken for lost, and its job for failed."""
    found = json.loads(kept.note)
    beat = found.pop("beat")
    expires = found.pop("expires_at", None)
    job = Job(
        id=kept.id,
        created_at=kept.created_at,
        expires_at=kept.expires_at if expires is None else datetime.fromisoformat(expires),
        notes=tuple(found.pop("notes", ())),
        **found,
    )
    if not job.ended and datetime.now(UTC) - datetime.fromtimestamp(beat, UTC) > timedelta(
        seconds=LOST_SECONDS if job.state == "running" else LONGEST_SECONDS
    ):
        lost = Busy("the process that worked on this has ended", hint="start the job again")
        return replace(job, state="failed", problem=problem_of(lost))
    return job


def problem_of(error: FacemixError) -> dict[str, Any]:
    """Why a job failed; of a problem document what is known without a request."""
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": clean_text(error.message, 1000),
        "code": error.code,
        "hint": clean_text(error.hint, 500),
        "where": None if error.where is None else clean_text(error.where, 200),
    }


def gone(identity: str) -> JobGone:
    return JobGone(f"there is no job {identity[:64]!r}", hint="it may have expired or been deleted; start another")
