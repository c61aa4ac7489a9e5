"""What to know about a result: a stable code, and a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they bring torch, and a front before replicas has no use for it
    import torch

    from facemix.mixing.attributes import AttributeReader
    from facemix.vae.directions import Attribute, AttributesCard

# By so many steps must a reading lie beyond every parent's: less is within what a probe misses anyway.
_MARGIN = 0.5
# A face further out than all but this share of those that the model knows is worth a word.
_RARE = 0.001

# Downwards and upwards. {parent} is as "either parent", {by} as ", by about 12 years".
_SENTENCES = {
    "age": ("The face looks younger than {parent}{by}.", "The face looks older than {parent}{by}."),
    "gender_label": (
        "The face is further towards the data set's label “male” than {parent}.",
        "The face is further towards the data set's label “female” than {parent}.",
    ),
    "smile": ("The smile is narrower than {parent}'s.", "The smile is broader than {parent}'s."),
    "mouth_open": ("The mouth is closed further than {parent}'s.", "The mouth is open wider than {parent}'s."),
    "head_turn": (
        "The head is turned further to the left of the picture than {parent}'s.",
        "The head is turned further to the right of the picture than {parent}'s.",
    ),
    "brightness": ("The picture is darker than {parent}'s.", "The picture is brighter than {parent}'s."),
    "warmth": ("The light is cooler than {parent}'s.", "The light is warmer than {parent}'s."),
}


@dataclass(frozen=True)
class Note:
    """`code` for programs, `message` for people: a whole sentence."""

    code: str
    message: str


def edit_notes(
    reader: AttributeReader, parents: torch.Tensor, z: torch.Tensor, moved: Mapping[str, float]
) -> tuple[Note, ...]:
    """What moving attributes pulls into a face that none of its parents has.

    At most one note per attribute: ``beyond_parents`` where the result lies beyond every parent because the attribute
    was moved, ``side_effect`` where the card says that moving others does that. Then ``untypical`` where hardly any
    face that the model knows lies so far out, and no parent does.

    Args:
        parents: (N, Z), those that have a weight; N at least 1.
        z: (Z,), the mix of them after the edit.
        moved: values by attribute, as in `facemix.mixing.attributes.apply`; without any there are no notes.
    """
    moved = {name: value for name, value in moved.items() if value}
    if not moved:
        return ()
    known, result = reader.read(parents), reader.read(z)
    parent = {1: "the parent", 2: "either parent"}.get(len(parents), "any parent")
    notes = []
    for place, attribute in enumerate(reader.card.attributes):
        effects = _side_effects(reader.card, attribute, moved)
        aside = sum(effects.values())
        pushed = moved.get(attribute.name, 0.0) + aside
        reading, readings = float(result[place]) + aside, known[:, place]
        beyond = reading - float(readings.max()) if pushed > 0 else float(readings.min()) - reading
        if not beyond - abs(pushed) < _MARGIN <= beyond:
            continue
        sentence = _sentence(attribute, pushed > 0, beyond, parent)
        if attribute.name in moved:
            notes.append(Note("beyond_parents", sentence))
        else:
            source = max(effects, key=lambda name: abs(effects[name]))
            notes.append(Note("side_effect", f"{sentence[:-1]}, a side effect of moving “{_title(reader, source)}”."))
    share = float(reader.share_beyond(z))
    if share < min(_RARE, float(reader.share_beyond(parents).min())):
        notes.append(
            Note(
                "untypical",
                f"Of the faces that the model knows, fewer than 1 in {1 / _RARE:,.0f} lie so far out: "
                "parts of this one may not look real.",
            )
        )
    return tuple(notes)


def _side_effects(card: AttributesCard, attribute: Attribute, moved: Mapping[str, float]) -> dict[str, float]:
    """What moving each other attribute was measured to do to this one, in its steps."""
    found = {}
    for other in card.attributes:
        effect = other.side_effects.get(attribute.name)
        if effect is not None and other.name in moved:
            # What can be seen counts, where it can be measured; the card has it in deviations over the faces.
            size = effect.probe if effect.picture is None else effect.picture
            found[other.name] = moved[other.name] * size * attribute.spread / attribute.step
    return found


def _sentence(attribute: Attribute, upwards: bool, beyond: float, parent: str) -> str:
    """beyond: by how many steps."""
    by = f", by about {beyond * abs(attribute.step):.0f} {attribute.unit}"
    if attribute.name in _SENTENCES:
        return _SENTENCES[attribute.name][upwards].format(parent=parent, by=by)
    end = attribute.high if upwards else attribute.low
    return f"“{attribute.title}” is further towards “{end}” than in {parent}."


def _title(reader: AttributeReader, name: str) -> str:
    return next(one.title for one in reader.card.attributes if one.name == name)
