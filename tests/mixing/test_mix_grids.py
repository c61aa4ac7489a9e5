import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.mixing.grids import corners_grid, letters, pairs_grid, percent, weights_grid
from facemix.mixing.recipe import MOST_PARENTS

parents = st.integers(2, MOST_PARENTS)
counts = st.integers(2, 12)
grids = st.one_of(
    st.builds(lambda n, c: (n, weights_grid(n, c)), parents, counts),
    st.builds(lambda n: (n, pairs_grid(n)), parents),
    st.builds(lambda r, c: (4, corners_grid(r, c)), counts, counts),
)


@given(grids)
def test_every_cell_has_a_weight_for_each_parent_that_sum_to_one(made):
    count, grid = made
    assert len(grid.rows) == len(grid.cells)
    for row in grid.cells:
        assert len(row) == len(grid.columns)
        for weights in row:
            assert len(weights) == count
            assert all(0 <= weight <= 1 for weight in weights)
            assert math.fsum(weights) == pytest.approx(1, abs=1e-12)


def test_a_grid_of_weights_goes_from_the_first_parent_to_each_other():
    grid = weights_grid(3, 3)
    assert grid.cells == (
        ((1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.0, 1.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0.0, 0.0, 1.0)),
    )
    assert grid.rows == ("B", "C")
    assert grid.columns == ("0 %", "50 %", "100 %")


def test_a_grid_of_pairs_has_the_parents_on_its_diagonal():
    grid = pairs_grid(3)
    assert grid.cells[1] == ((0.5, 0.5, 0.0), (0.0, 1.0, 0.0), (0.0, 0.5, 0.5))
    assert grid.rows == grid.columns == ("A", "B", "C")


@given(parents)
def test_a_grid_of_pairs_is_the_same_across_its_diagonal(count):
    cells = pairs_grid(count).cells
    assert all(cells[one][other] == cells[other][one] for one in range(count) for other in range(count))


@given(counts, counts)
def test_the_four_parents_stand_in_the_corners(rows, columns):
    cells = corners_grid(rows, columns).cells
    corners = (cells[0][0], cells[0][-1], cells[-1][0], cells[-1][-1])
    assert corners == ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


def test_between_the_corners_weights_are_bilinear():
    grid = corners_grid(3, 5)
    assert grid.cells[1][2] == (0.25, 0.25, 0.25, 0.25)
    assert grid.cells[0][1] == (0.75, 0.25, 0.0, 0.0)
    assert grid.cells[1][3] == (0.125, 0.375, 0.125, 0.375)
    assert grid.columns == ("A", "B 25 %", "B 50 %", "B 75 %", "B")
    assert grid.rows == ("A", "C 50 %", "C")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: weights_grid(1, 5), "parents is 1, not 2 to 32"),
        (lambda: weights_grid(33, 5), "parents is 33"),
        (lambda: weights_grid(2, 1), "columns is 1, not 2 or more"),
        (lambda: pairs_grid(1), "parents is 1"),
        (lambda: corners_grid(1, 4), "rows is 1"),
        (lambda: corners_grid(4, 0), "columns is 0"),
    ],
)
def test_what_makes_no_grid_is_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()


def test_every_parent_has_a_name_of_its_own():
    names = letters(MOST_PARENTS)
    assert names[:3] == ("A", "B", "C")
    assert names[25:28] == ("Z", "AA", "AB")
    assert len(set(names)) == MOST_PARENTS


def test_shares_are_written_as_people_read_them():
    assert [percent(share) for share in (0, 0.25, 1 / 3, 1)] == ["0 %", "25 %", "33.3 %", "100 %"]
