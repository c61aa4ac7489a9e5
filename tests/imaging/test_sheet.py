import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemix.imaging.sheet import labelled_sheet

PAPER, INK = (0xF7, 0xF4, 0xEF), (0x24, 0x21, 0x1D)
CODE = np.array([1, 256, 65536])  # three levels as one number
ENDLESS = "a name that never ends " * 30


def faces(rows, columns, side=64):
    """Cells of one colour each, none of them that of paper or ink."""
    return [
        [np.full((side, side, 3), (10 + 12 * row, 200 - 11 * column, 90), np.uint8) for column in range(columns)]
        for row in range(rows)
    ]


def places(sheet, cells):
    """{(row, column): (top, left)} of cells of one colour each; each must be whole."""
    found, codes = {}, sheet @ CODE
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            mask = codes == cell[0, 0] @ CODE
            top, left = np.argwhere(mask)[0]
            assert mask.sum() == cell.shape[0] ** 2
            assert mask[top : top + len(cell), left : left + len(cell)].all()
            found[row, column] = (int(top), int(left))
    return found


def is_paper(pixels):
    return (pixels == PAPER).all()


def frame(sheet, width):
    """The outermost pixels."""
    return np.concatenate(
        [part.reshape(-1, 3) for part in (sheet[:width], sheet[-width:], sheet[:, :width], sheet[:, -width:])]
    )


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 16),
    st.sampled_from([24, 48, 96]),
    st.sampled_from(["", "B", "100 %", ENDLESS, "Jürgen–日本"]),
    st.sampled_from([None, "Title", ENDLESS]),
    st.sampled_from(["", "Made by a machine.", ENDLESS]),
)
def test_cells_are_whole_in_even_rows_and_columns_whatever_is_written(rows, columns, side, label, title, caption):
    cells = faces(rows, columns, side)
    sheet = labelled_sheet(cells, [label] * rows, [label] * columns, title=title, caption=caption)
    assert (sheet.ndim, sheet.dtype) == (3, np.uint8)
    at = places(sheet, cells)
    tops = [at[row, 0][0] for row in range(rows)]
    lefts = [at[0, column][1] for column in range(columns)]
    assert at == {(row, column): (tops[row], lefts[column]) for row in range(rows) for column in range(columns)}
    gaps = {*np.diff(tops), *np.diff(lefts)}
    assert len(gaps) <= 1
    assert all(gap > side for gap in gaps)
    assert is_paper(frame(sheet, 6))  # nothing is clipped at the edge
    between = [sheet[tops[0] : tops[-1] + side, left + side : left + side + 2] for left in lefts[:-1]]
    assert all(map(is_paper, between))


@pytest.mark.parametrize("columns", [2, 7, 16])
def test_long_names_of_columns_stay_over_their_faces(columns):
    cells = faces(1, columns)
    sheet = labelled_sheet(cells, [""], [ENDLESS] * columns)
    at = places(sheet, cells)
    for column in range(columns):
        top, left = at[0, column]
        assert not is_paper(sheet[:top, left : left + 64])
        assert is_paper(sheet[:top, left + 64 : left + 68])


def test_every_name_stands_by_its_row_or_column():
    cells = faces(3, 4)
    sheet = labelled_sheet(cells, ["", "X", ""], ["", "", "X", ""])
    at = places(sheet, cells)
    inked = [[not is_paper(sheet[: at[0, 0][0], at[0, column][1] :][:, :64]) for column in range(4)]]
    inked += [[not is_paper(sheet[at[row, 0][0] :, : at[0, 0][1]][:64]) for row in range(3)]]
    assert inked == [[False, False, True, False], [False, True, False]]


def test_names_title_and_caption_take_room_only_where_there_are_any():
    cells = faces(2, 3)
    none = labelled_sheet(cells, [""] * 2, [""] * 3)
    assert (set(map(tuple, none.reshape(-1, 3))) - {PAPER}) == {
        tuple(map(int, cell[0, 0])) for row in cells for cell in row
    }
    named_rows = labelled_sheet(cells, ["B", "C"], [""] * 3)
    assert (named_rows.shape[0], named_rows.shape[1] > none.shape[1]) == (none.shape[0], True)
    for options in ({"title": "T"}, {"caption": "C"}):
        more = labelled_sheet(cells, [""] * 2, [""] * 3, **options)
        assert (more.shape[0] > none.shape[0], more.shape[1]) == (True, none.shape[1])


def test_ink_is_dark_on_paper():
    sheet = labelled_sheet(faces(2, 2, 128), ["A", "B"], ["C", "D"], title="Title")
    assert (sheet == INK).all(axis=2).sum() > 50


def test_one_array_will_do():
    cells = faces(2, 3)
    names = ["a", "b"], ["c", "d", "e"]
    np.testing.assert_array_equal(labelled_sheet(np.array(cells), *names), labelled_sheet(cells, *names))


def test_the_same_sheet_comes_out_twice():
    first, second = (labelled_sheet(faces(2, 2), ["a", "b"], ["c", "d"], caption="e") for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("cells", "rows", "columns", "words"),
    [
        ([], [], [], "at least one"),
        ([[]], ["a"], [], "at least one"),
        ([*faces(1, 2), *faces(1, 3)], ["a", "b"], ["c", "d"], r"\[2, 3\]"),
        (faces(2, 2), ["a"], ["c", "d"], "1 and 2 names"),
        (faces(2, 2), ["a", "b"], ["c"], "2 and 1 names"),
        ([*faces(1, 1), *faces(1, 1, 32)], ["a", "b"], ["c"], r"\[32, 64\]"),
        ([[np.zeros((4, 4), np.uint8)]], ["a"], ["c"], r"\(S, S, 3\)"),
    ],
)
def test_what_is_no_grid_is_refused(cells, rows, columns, words):
    with pytest.raises(ValueError, match=words):
        labelled_sheet(cells, rows, columns)
