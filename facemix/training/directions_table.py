"""Attribute directions as a table in plain text."""

from __future__ import annotations

from collections.abc import Sequence

from facemix.vae.directions import Attribute, AttributesCard, Effect

_HEAD = ("attribute", "R2", "one step", "read back", "in the picture", "moves most besides", "identity")


def text(card: AttributesCard) -> str:
    """One line per direction, and one per attribute that has none.

    A step is a standard deviation of the data set along the direction. *Read back* and *in the picture* are shares of
    the step that the probe reads from the decoded picture and that are measured in it.
    """
    rows = [_HEAD, *(_row(attribute) for attribute in card.attributes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{name}: no direction, {reason}" for name, reason in card.refused.items()]
    return "\n".join(lines) + "\n"


def _row(attribute: Attribute) -> Sequence[str]:
    step, effect = attribute.step / attribute.spread, attribute.effect
    return (
        attribute.name,
        f"{attribute.r2:.2f}",
        f"{attribute.step:.3g} {attribute.unit}",
        "-" if effect is None else f"{effect.probe / step:.0%}",
        "-" if effect is None or effect.picture is None else f"{effect.picture / step:.0%}",
        _largest(attribute.side_effects),
        "-" if attribute.identity is None else f"{attribute.identity:.2f}",
    )


def _largest(effects: dict[str, Effect]) -> str:
    """The side effect that is largest by what is seen in the picture, or else by the probe."""
    if not effects:
        return "-"
    seen = {name: effect.probe if effect.picture is None else effect.picture for name, effect in effects.items()}
    name = max(seen, key=lambda one: abs(seen[one]))
    return f"{name} {seen[name]:+.2f} sd"
