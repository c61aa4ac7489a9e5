"""The terms of use and the statement of consent: one text for the page ``/terms``, for ``docs/terms.md`` and for the
dialog that asks.

Whoever changes the meaning of a sentence changes `VERSION`: consent is recorded as the version that it was stated to,
and a browser that has stated another is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "2026-11-1"

STATEMENT = (
    "Everybody who can be seen in my photos is of age and agrees that their face is mixed, or I am that person; "
    "and I keep to the terms of use."
)


@dataclass(frozen=True)
class Section:
    """name: for a link to it. paragraphs: plain text; points: what stands below them as a list."""

    name: str
    title: str
    paragraphs: tuple[str, ...]
    points: tuple[str, ...] = ()


TERMS: tuple[Section, ...] = (
    Section(
        "allowed",
        "What it may be used for",
        (
            "facemix mixes faces into pictures of people who do not exist. Use it for what is your own and for what "
            "the "
            "people in the photos want:",
        ),
        (
            "play, art, illustration and teaching, with photos of yourself or of people who agree;",
            "research on models of faces, with data that may be used for it;",
            "sample faces, which are photographs of nobody, within the terms of the model that drew them.",
        ),
    ),
    Section(
        "forbidden",
        "What it must not be used for",
        ("Whatever a law where you are forbids, and in any case:",),
        (
            "Identity documents. No result may be used for a passport, an identity card, a licence, a visa, a pass to "
            "a building, an account that wants proof of who you are, or an application for any of these. A face "
            "mixed of "
            "two can pass for both of them; that is why this stands first.",
            "Deception. No result may be shown as a photograph of a real person, as proof of anything, or as the face "
            "behind an account, an advertisement, a review or a message that pretends to come from somebody.",
            "Other people's likeness without their consent. No photo of somebody who has not agreed, whoever they are: "
            "the famous and the dead too, whose heirs decide.",
            "Minors. No photo of anybody under eighteen, and no edit that makes a person look like a child.",
            "Harm. Nothing sexual, nothing that mocks, threatens or accuses, nothing that sorts people by looks, "
            "health, "
            "origin, faith or desire, and no recognising of who somebody is.",
            "Taking marks away. The label, the invisible mark and the content credentials of a result stay on it.",
        ),
    ),
    Section(
        "consent",
        "What you state",
        (
            f"Before the first photo this is asked: “{STATEMENT}”",
            "With a request the version of this text is kept that was agreed to, and nothing about who agreed. Your "
            "browser "
            "remembers the version so that you are asked once. Nothing checks that the statement is true: it is yours.",
        ),
    ),
    Section(
        "person",
        "If you are the person in the photo",
        (
            "Ask whoever runs this server to take down a result, to delete a saved link, or to enrol you among the "
            "people "
            "whose likeness is held back. You need not give a reason. What facemix keeps of a photo, and for how long, "
            "stands on the page “Your photos”.",
        ),
    ),
    Section(
        "limits",
        "What this text is not",
        (
            "This is what the software's makers ask of everybody who uses it. It is no legal advice, and it does "
            "not replace "
            "what the law or the operator of a server asks. An operator who needs other terms writes "
            "them, and answers for them.",
            "The weights of a model have terms of their own; its page names them.",
        ),
    ),
)


def as_markdown() -> str:
    """The terms as ``docs/terms.md`` has them."""
    parts = ["# Terms of use", f"Version {VERSION}. A server shows the same text at `/terms`."]
    for section in TERMS:
        parts.append(f"## {section.title}")
        parts.extend(section.paragraphs)
        if section.points:
            parts.append("\n".join(f"- {point}" for point in section.points))
    return "\n\n".join(parts) + "\n"
