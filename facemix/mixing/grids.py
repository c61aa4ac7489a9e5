"""Weights of the cells of a grid of mixes, with names for its rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

from facemix.mixing.recipe import MOST_PARENTS

Weights = tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """Which mix stands where.

    Attributes:
        cells: rows of cells, each the weights of all parents, in their order; they sum to 1.
        rows, columns: labels, one for each.
    """

    cells: tuple[tuple[Weights, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def letters(parents: int) -> tuple[str, ...]:
    """What parents are called: A to Z, then AA, AB and so on."""
    return tuple(("" if at < 26 else chr(64 + at // 26)) + chr(65 + at % 26) for at in range(parents))


def weights_grid(parents: int, columns: int) -> Grid:
    """A row for each parent after the first, from the first alone to that one alone in `columns` even steps.

    Rows are called after their parent, columns by its share.

    Raises:
        ValueError: fewer than two parents or columns, or more parents than a recipe takes.
    """
    _check(parents=(parents, 2, MOST_PARENTS), columns=(columns, 2, None))
    shares = [column / (columns - 1) for column in range(columns)]
    cells = tuple(
        tuple(_mix(parents, (0, 1 - share), (other, share)) for share in shares) for other in range(1, parents)
    )
    return Grid(cells, letters(parents)[1:], tuple(percent(share) for share in shares))


def pairs_grid(parents: int) -> Grid:
    """Every parent with every other, half and half; the diagonal is the parents themselves.

    Raises:
        ValueError: fewer than two parents, or more than a recipe takes.
    """
    _check(parents=(parents, 2, MOST_PARENTS))
    names = letters(parents)
    cells = tuple(tuple(_mix(parents, (one, 0.5), (other, 0.5)) for other in range(parents)) for one in range(parents))
    return Grid(cells, names, names)


def corners_grid(rows: int, columns: int) -> Grid:
    """Four parents in the corners: A at the top left, B right of it, C and D below; weights are bilinear in between.

    Raises:
        ValueError: fewer than two rows or columns.
    """
    _check(rows=(rows, 2, None), columns=(columns, 2, None))
    down, across = ([at / (count - 1) for at in range(count)] for count in (rows, columns))
    cells = tuple(tuple(((1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x) for x in across) for y in down)
    return Grid(cells, tuple(_between("A", "C", y) for y in down), tuple(_between("A", "B", x) for x in across))


def percent(share: float) -> str:
    """A share as text: ``25 %``, ``33.3 %``."""
    return f"{round(100 * share, 1):g} %"


def _between(first: str, second: str, share: float) -> str:
    return {0: first, 1: second}.get(share, f"{second} {percent(share)}")


def _mix(parents: int, *shares: tuple[int, float]) -> Weights:
    weights = [0.0] * parents
    for place, share in shares:
        weights[place] += share
    return tuple(weights)


def _check(**given: tuple[int, int, int | None]) -> None:
    for name, (value, least, most) in given.items():
        if value < least or (most is not None and value > most):
            raise ValueError(f"{name} is {value}, not {least} {'or more' if most is None else f'to {most}'}")
