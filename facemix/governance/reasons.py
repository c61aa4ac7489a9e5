"""Why a reviewer decides as they do, and why somebody reports a face: short lists, so that decisions can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from facemix.errors import RequestInvalid

MOST_TEXT = 1000  # characters of what somebody writes beside a reason
OTHER = "other"

Kind = Literal["approve", "reject", "escalate", "report"]


@dataclass(frozen=True)
class Reason:
    """One of the list.

    Attributes:
        key: stable word, as it stands in the database.
        kind: what it is a reason for.
        sentence: as whoever chooses it reads it.
        told: as the person who waits is told it; empty where they are told nothing of it.
    """

    key: str
    kind: Kind
    sentence: str
    told: str = ""


REASONS = (
    Reason("no_match", "approve", "It does not look like the person it was compared with."),
    Reason("agreed", "approve", "Whoever it looks like has agreed."),
    Reason("fine", "approve", "There is nothing wrong with it."),
    Reason(
        "likeness",
        "reject",
        "It looks like somebody who has not agreed.",
        "It looks like somebody who has not agreed to that.",
    ),
    Reason(
        "document",
        "reject",
        "It could pass for the portrait of an identity document.",
        "It could pass for the portrait of an identity document.",
    ),
    Reason("child", "reject", "It shows a child, or seems to.", "It shows a child, or seems to."),
    Reason(
        "degrading", "reject", "It degrades, harasses or sexualises somebody.", "It could be used to degrade somebody."
    ),
    Reason("unusable", "reject", "It is no face that anybody could use.", "It is no face that anybody could use."),
    Reason(OTHER, "reject", "Something else; the note says what.", "It goes against the terms of this server."),
    Reason("unsure", "escalate", "I cannot tell."),
    Reason("legal", "escalate", "It may be a matter of law."),
    Reason("known", "escalate", "I know the person, so somebody else should decide."),
    Reason("me", "report", "It looks like me, and I have not agreed to that."),
    Reason("somebody", "report", "It looks like somebody else who has not agreed to that."),
    Reason("child", "report", "It shows a child, or seems to."),
    Reason("deceives", "report", "It is used to deceive or to harass."),
    Reason(OTHER, "report", "Something else, as I describe."),
)


def reasons_for(kind: Kind) -> tuple[Reason, ...]:
    """Those to choose among."""
    return tuple(reason for reason in REASONS if reason.kind == kind)


def find_reason(kind: Kind, key: str) -> Reason:
    """Raises `RequestInvalid` where the list has none of that name."""
    for reason in reasons_for(kind):
        if reason.key == key:
            return reason
    names = ", ".join(reason.key for reason in reasons_for(kind))
    given = f"the reason is {key[:40]!r}" if key else "no reason was given"
    raise RequestInvalid(given, hint=f"give one of {names}", where="reason")


def told(key: str | None) -> str:
    """What the person who waits is told of a rejection."""
    for reason in reasons_for("reject"):
        if reason.key == key:
            return reason.told
    return ""


def checked_text(text: str, *, needed: bool = False) -> str:
    """What somebody has written, without control characters and without space around it.

    Raises:
        RequestInvalid: it is longer than `MOST_TEXT`, or empty though it is needed.
    """
    kept = "".join(one for one in text.replace("\r\n", "\n") if one == "\n" or one.isprintable()).strip()
    if len(kept) > MOST_TEXT:
        raise RequestInvalid(
            f"the text has {len(kept)} characters",
            hint=f"{MOST_TEXT} are allowed; say the most important",
            where="text",
        )
    if needed and not kept:
        raise RequestInvalid("the text is empty", hint="say in a few words what is meant", where="text")
    return kept
