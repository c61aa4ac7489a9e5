"""What a review is, and which way it may go.

    pending --claim--> claimed --approve--> approved
       ^                  |  \\--reject---> rejected --appeal--> appealed
       +---release--------+   \\-escalate-> escalated

An appeal and what was escalated are decided without a claim. Whatever nobody has decided on when its time is up is
expired, which is final, and closed: what was held is never given out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

State = Literal["pending", "claimed", "approved", "rejected", "escalated", "appealed", "expired"]
Action = Literal["claim", "release", "approve", "reject", "escalate", "appeal", "expire"]
Trigger = Literal["guard", "margin", "report", "sample"]

STATES: tuple[State, ...] = get_args(State)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
OPEN: tuple[State, ...] = ("pending", "claimed", "escalated", "appealed")

TRANSITIONS: dict[tuple[State, Action], State] = {
    ("pending", "claim"): "claimed",
    ("pending", "approve"): "approved",
    ("pending", "reject"): "rejected",
    ("pending", "escalate"): "escalated",
    ("pending", "expire"): "expired",
    ("claimed", "release"): "pending",
    ("claimed", "approve"): "approved",
    ("claimed", "reject"): "rejected",
    ("claimed", "escalate"): "escalated",
    ("claimed", "expire"): "expired",
    ("escalated", "approve"): "approved",
    ("escalated", "reject"): "rejected",
    ("escalated", "expire"): "expired",
    ("rejected", "appeal"): "appealed",
    ("appealed", "approve"): "approved",
    ("appealed", "reject"): "rejected",
    ("appealed", "escalate"): "escalated",
    ("appealed", "expire"): "expired",
}

TRIGGER_WORDS: dict[Trigger, str] = {
    "guard": "It resembles a protected person.",
    "margin": "Its quality lies at the edge of what is given out.",
    "report": "Somebody has reported it.",
    "sample": "It was drawn by lot, as a share of all results is.",
}


@dataclass(frozen=True)
class Review:
    """Something that a person decides; all times in UTC.

    Attributes:
        id: 16 hexadecimal digits; names it in the console and in the audit log, and opens nothing by itself.
        request_id: of the request whose result it is; a client may have chosen it.
        version: rises with every change; whoever acts names the one they saw.
        detail: in plain words what the trigger found, or what somebody who reports it has written.
        owner: name of the API key that asked; None where there was none.
        recipe_hash: SHA-256 of the recipe, hexadecimal; None where no recipe gives just this result again.
        subject: the saved recipe that was reported; of the guard's, the protected person.
        released: whether the result is out already, and is only looked at afterwards.
        has_picture: whether there is a picture still.
        due_at: until when somebody should have decided; `expires_at`: when it is too late.
        reason, text: of the last decision; `text` is for reviewers.
        appeal: what the person wrote who was refused.
    """

    id: str
    request_id: str
    state: State
    version: int
    trigger: Trigger
    detail: str
    owner: str | None
    model_id: str | None
    recipe_hash: str | None
    subject: str | None
    released: bool
    media_type: str | None
    has_picture: bool
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    claimed_by: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    text: str | None
    appeal: str | None

    @property
    def open(self) -> bool:
        """Whether somebody has yet to decide."""
        return self.state in OPEN

    @property
    def standing(self) -> bool:
        """Whether it is a saved recipe that was found wanting, and is still there."""
        return self.trigger == "report" and self.state == "rejected" and self.subject is not None and self.released

    def overdue(self, now: datetime) -> bool:
        return self.open and self.due_at <= now

    def may(self, action: Action) -> bool:
        return (self.state, action) in TRANSITIONS

    def may_be_appealed(self, now: datetime) -> bool:
        """Once, while its time lasts, by whoever was refused a result; what was out already was refused nobody."""
        return (
            self.state == "rejected"
            and self.appeal is None
            and not self.released
            and self.trigger != "report"
            and now < self.expires_at
        )


@dataclass(frozen=True)
class Picture:
    """What was held; `content` is the file as it would have been given out."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class Tally:
    """How the queue stands.

    Attributes:
        counts: reviews by state, zeros included.
        overdue: those that wait, and should have been decided on.
        oldest: when the one that has waited the longest came; None where none waits.
    """

    counts: dict[State, int]
    overdue: int
    oldest: datetime | None

    @property
    def waiting(self) -> int:
        return sum(self.counts[state] for state in OPEN)

    def oldest_seconds(self, now: datetime) -> float:
        """For how long that one has waited; 0 where none does."""
        return 0.0 if self.oldest is None else max(0.0, (now - self.oldest).total_seconds())
