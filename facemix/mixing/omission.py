"""A mix without one of the things it was made of: the same weights and edits, less a parent or less an edit."""

from __future__ import annotations

from collections.abc import Sequence

from facemix.mixing.recipe import Edits, normalise_weights

VARIATION = "variation"


def without_parent(weights: Sequence[float], edits: Edits, place: int) -> tuple[tuple[float, ...], Edits]:
    """Weights and edits with no share of one parent; the others take it in proportion to theirs.

    Where the parent was alone, the others share equally. A region, or colour, that was all its own follows the whole,
    and so does a trait of it that was kept.

    Args:
        weights: N at least 2, summing to 1.
        place: from 0.
    """
    rest = _without(weights, place)
    if rest is None:
        rest = normalise_weights([float(other != place) for other in range(len(weights))])
    regions = {name: _without(shares, place) for name, shares in edits.regions.items()}
    return rest, edits.model_copy(
        update={
            "regions": {name: shares for name, shares in regions.items() if shares is not None},
            "colour": None if edits.colour is None else _without(edits.colour, place),
            "keep": {trait: whose for trait, whose in edits.keep.items() if whose != place},
        }
    )


def edits_without(edits: Edits) -> dict[str, Edits]:
    """The edits less one, by the name of that one: each attribute, the farthest moved first, and the variation."""
    moved = sorted(edits.attributes, key=lambda name: -abs(edits.attributes[name]))
    found = {
        name: edits.model_copy(update={"attributes": {k: v for k, v in edits.attributes.items() if k != name}})
        for name in moved
    }
    if edits.variation is not None:
        found[VARIATION] = edits.model_copy(update={"variation": None})
    return found


def _without(shares: Sequence[float], place: int) -> tuple[float, ...] | None:
    rest = [0.0 if other == place else share for other, share in enumerate(shares)]
    return normalise_weights(rest) if any(rest) else None
