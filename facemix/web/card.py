"""Reads what the pages show from a checkpoint's card, whatever of it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WEIGHTS_LICENCE = "non-commercial research"


def card_licence(card: Mapping[str, Any]) -> str:
    """The weights' terms in a line; the house's own line when the card says nothing."""
    licence = card.get("licence") or card.get("license") or WEIGHTS_LICENCE
    if isinstance(licence, Mapping):
        licence = licence.get("weights") or licence.get("name") or licence.get("text") or WEIGHTS_LICENCE
    return str(licence)


def card_licence_short(card: Mapping[str, Any]) -> str:
    """The weights' terms in a few words, for the foot of every page."""
    licence = card_licence(card)
    if "non-commercial" in licence.lower():
        return WEIGHTS_LICENCE
    return licence if len(licence) <= 60 else "terms of their own, see the model's page"


def card_limitations(card: Mapping[str, Any]) -> list[str]:
    """One sentence each; an empty list when the card names none."""
    limitations = card.get("limitations") or []
    if isinstance(limitations, str):
        return [limitations]
    return [str(item) for item in limitations]


def card_rows(section: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Flattens a section of the card into rows for a table: dotted name, value as text."""
    if isinstance(section, Mapping):
        rows = []
        for key, value in section.items():
            rows += card_rows(value, f"{prefix}.{key}" if prefix else str(key))
        return rows
    if isinstance(section, list | tuple):
        text = ", ".join(_text(item) for item in section[:12]) + (", ..." if len(section) > 12 else "")
        return [(prefix, text)] if text else []
    return [] if section is None else [(prefix, _text(section))]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
