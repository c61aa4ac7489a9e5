"""The frames of an animation: a path through stops, with the pace of each stretch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

Easing = Literal["linear", "ease", "ease-in", "ease-out"]
Loop = Literal["once", "loop", "ping-pong"]

_EASINGS: dict[Easing, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease": lambda t: t * t * (3 - 2 * t),  # "smoothstep"
    "ease-in": lambda t: t * t,
    "ease-out": lambda t: t * (2 - t),
}


class Stop(NamedTuple):
    """A face on the way.

    Attributes:
        weights: of all parents, in their order; they sum to 1.
        attributes: values by name, in standard deviations; one that is missing is 0.
    """

    weights: tuple[float, ...]
    attributes: Mapping[str, float] = {}


def frames(stops: Sequence[Stop], count: int, easing: Easing = "linear", loop: Loop = "once") -> list[Stop]:
    """What each of `count` frames shows, at even times.

    Between two stops weights and attributes go straight, at a pace that `easing` gives; each stretch takes as long.

    Args:
        easing: ``linear``; ``ease`` starts and ends slowly, ``ease-in`` starts and ``ease-out`` ends so.
        loop: ``once`` goes from the first stop to the last, both shown. ``loop`` goes on from the last stop to the
            first and ends before it is shown again, ``ping-pong`` goes back the way it came and ends likewise:
            repeated, they show no frame twice in a row.

    Returns:
        `count` frames; weights sum to 1, and attributes of 0 are left out.

    Raises:
        ValueError: fewer than two stops or frames, or stops of different numbers of parents.
    """
    if len(stops) < 2 or count < 2:
        raise ValueError(f"{len(stops)} stops and {count} frames; two of each are the least")
    if len({len(stop.weights) for stop in stops}) != 1:
        raise ValueError("the stops have different numbers of weights")
    way = list(stops) if loop != "loop" else [*stops, stops[0]]
    found = []
    for position in _positions(len(way) - 1, count, loop):
        place, rest = divmod(position, 1)
        found.append(_between(way[place], way[min(place + 1, len(way) - 1)], _EASINGS[easing](float(rest))))
    return found


def _positions(stretches: int, count: int, loop: Loop) -> list[Fraction]:
    """Where on the way each frame is, in stretches. Fractions, so that a stop is met exactly or not at all."""
    if loop == "once":
        return [Fraction(frame * stretches, count - 1) for frame in range(count)]
    if loop == "loop" and stretches > 2:
        return [Fraction(frame * stretches, count) for frame in range(count)]
    # Back over the faces of the way there: with an odd number of frames, even steps would show those at the turn twice.
    steps = count // 2
    there = [Fraction(frame, steps) for frame in range(steps + 1)]
    back = [Fraction(frame, count - steps) for frame in range(1, count - steps)]
    if loop == "loop":
        return [*there, *(1 + position for position in back)]
    return [stretches * position for position in (*there, *(1 - position for position in back))]


def _between(one: Stop, other: Stop, share: float) -> Stop:
    # Written so that what both have alike stays as it is, bit for bit.
    weights = tuple(min(a + share * (b - a), 1.0) for a, b in zip(one.weights, other.weights, strict=True))
    names = sorted({*one.attributes, *other.attributes})
    pairs = {name: (one.attributes.get(name, 0.0), other.attributes.get(name, 0.0)) for name in names}
    values = {name: a + share * (b - a) for name, (a, b) in pairs.items()}
    return Stop(weights, {name: value for name, value in values.items() if value})
