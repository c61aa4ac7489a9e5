"""From a request for a grid to what each of its cells is made of."""

from __future__ import annotations

from dataclasses import dataclass

from facemix.errors import RequestInvalid
from facemix.mixing.grids import Grid, Weights, corners_grid, pairs_grid, weights_grid
from facemix.mixing.recipe import Edits, Variation
from facemix.serving.admission import frames_to_draw
from facemix.serving.types import FrameSpec
from facemix.settings import Settings
from facemix.web.inputs_json import given_edits, given_parents
from facemix.web.many_faces import check_frames
from facemix.web.parents import GivenParent
from facemix.web.schemas_grids import GridBody, GridKind
from facemix.web.wanted import Wanted

_SIDE, _SIDE_OF_VARIATIONS = 5, 3
_RADIUS = 0.3
_DRAWS = 2**31  # as in `Variation`
# What a kind of grid takes besides faces and edits; the rest follows from the faces.
_TAKES: dict[GridKind, frozenset[str]] = {
    "weights": frozenset(("columns",)),
    "pairs": frozenset(),
    "corners": frozenset(("rows", "columns")),
    "variations": frozenset(("rows", "columns", "radius", "first")),
}
_CAPTIONS: dict[GridKind, str] = {
    "weights": "From A, at the left, to each further face.",
    "pairs": "Half of the one and half of the other.",
    "corners": "A and B above, C and D below, and what lies between them.",
    "variations": "Neighbours of the mix, by number.",
}
_LEAST: dict[GridKind, int] = {"weights": 2, "corners": 2}


Cell = tuple[Weights, Variation | None]


@dataclass(frozen=True)
class GridInput:
    """A grid as it was asked for.

    Attributes:
        grid: the cells' weights and the labels.
        faces: those that differ; the first cell of every row of weights is the same, and so are pairs of A and B.
        places: which of the faces stands in each cell, row by row.
        caption: what a picture of the grid shows, in a few words.
    """

    kind: GridKind
    parents: tuple[GivenParent, ...]
    grid: Grid
    faces: tuple[Cell, ...]
    places: tuple[int, ...]
    caption: str
    wanted: Wanted
    image_format: str
    portable: bool

    @property
    def rows(self) -> int:
        return len(self.grid.rows)

    @property
    def columns(self) -> int:
        return len(self.grid.columns)

    @property
    def drawn(self) -> int:
        """What drawing all cells costs, in frames."""
        return frames_to_draw(self.wanted.edits, len(self.parents), len(self.faces))

    def specs(self, edits: Edits) -> list[FrameSpec]:
        """The faces, all with these edits."""
        return [
            FrameSpec(weights, edits if variation is None else edits.model_copy(update={"variation": variation}))
            for weights, variation in self.faces
        ]


def grid_input(body: GridBody, settings: Settings) -> GridInput:
    """What a request asks for.

    Raises:
        RequestInvalid: members that do not belong to the kind of grid, or more cells than the operator allows; what
            `given_parents` and `given_edits` refuse.
    """
    _check_members(body)
    _check_parents(body)
    rows, columns = _size(body)
    if rows * columns > settings.max_cells:
        raise RequestInvalid(
            f"the grid has {rows} x {columns} cells",
            hint=f"this server draws at most {settings.max_cells} at once",
            where="parents" if body.kind == "pairs" else "columns",
        )
    parents, wanted = given_parents(body.parents, settings), given_edits(body)
    check_frames(wanted.edits, rows * columns, "a grid")
    grid, variations = _laid_out(body, rows, columns, tuple(parent.weight for parent in parents))
    cells = list(zip([cell for row in grid.cells for cell in row], variations, strict=True))
    faces = tuple(dict.fromkeys(cells))
    places = {face: place for place, face in enumerate(faces)}
    return GridInput(
        kind=body.kind,
        parents=parents,
        grid=grid,
        faces=faces,
        places=tuple(places[cell] for cell in cells),
        caption=_CAPTIONS[body.kind],
        wanted=wanted,
        image_format=body.image_format,
        portable=body.portable,
    )


def _check_members(body: GridBody) -> None:
    for name in ("rows", "columns", "radius", "first"):
        if getattr(body, name) is not None and name not in _TAKES[body.kind]:
            takes = ", ".join(sorted(_TAKES[body.kind])) or "none of rows, columns, radius and first"
            raise RequestInvalid(
                f"{name} was given for a grid of {body.kind}", hint=f"a grid of {body.kind} takes {takes}", where=name
            )
    if body.kind == "variations" and body.variation is not None:
        raise RequestInvalid(
            "a variation was given for a grid of variations", hint="give radius and first instead", where="variation"
        )
    for name in ("rows", "columns"):
        side, least = getattr(body, name), _LEAST.get(body.kind, 1)
        if side is not None and side < least:
            raise RequestInvalid(f"{name} is {side}", hint=f"a grid of {body.kind} has at least {least}", where=name)


def _check_parents(body: GridBody) -> None:
    count = len(body.parents)
    wrong, wanted = False, ""
    if body.kind == "corners":
        wrong, wanted = count != 4, "exactly four, one for each corner"
    elif body.kind in ("weights", "pairs"):
        wrong, wanted = count < 2, "at least two"
    if wrong:
        raise RequestInvalid(
            f"{count} parents were given for a grid of {body.kind}", hint=f"give {wanted}", where="parents"
        )


def _size(body: GridBody) -> tuple[int, int]:
    count = len(body.parents)
    if body.kind == "pairs":
        return count, count
    if body.kind == "weights":
        return count - 1, body.columns or _SIDE
    usual = _SIDE if body.kind == "corners" else _SIDE_OF_VARIATIONS
    return body.rows or usual, body.columns or usual


def _laid_out(body: GridBody, rows: int, columns: int, weights: Weights) -> tuple[Grid, tuple[Variation | None, ...]]:
    """The cells' weights with labels, and the variation of each cell, row by row."""
    plain = (None,) * (rows * columns)
    if body.kind == "weights":
        return weights_grid(len(weights), columns), plain
    if body.kind == "pairs":
        return pairs_grid(len(weights)), plain
    if body.kind == "corners":
        return corners_grid(rows, columns), plain
    first, radius = body.first or 0, _RADIUS if body.radius is None else body.radius
    last = first + rows * columns - 1
    if last >= _DRAWS:
        raise RequestInvalid(
            f"first is {first}, and the last variation would be draw {last}",
            hint=f"the last draw is {_DRAWS - 1}",
            where="first",
        )
    grid = Grid(
        cells=((weights,) * columns,) * rows,
        rows=tuple(str(first + row * columns) for row in range(rows)),
        columns=tuple(f"+{column}" for column in range(columns)),
    )
    return grid, tuple(Variation(number=number, radius=radius) for number in range(first, last + 1))
