"""Results at the photographs' own size as tables to read: ways side by side, a line per figure."""

from __future__ import annotations

from facemix.evaluation.results import BANDS, Figure, Sharp, SharpView

_NONE = "–"
# Label, digits after the point, name.
_FIGURES: tuple[tuple[str, int, str], ...] = (
    ("sharpness over the photographs'", 2, "sharpness"),
    *((f"of lines of {2**n} to {2 ** (n + 1)} pixels", 2, f"sharpness_band_{n + 1}") for n in range(BANDS)),
    ("added texture kept", 2, "texture_kept"),
    ("ghosts, 1 is a cross-fade", 2, "ghosts"),
    ("contours of nobody's, share", 2, "own_contours"),
    ("both: not one parent's, 1 is a cross-fade", 2, "not_one_parents"),
    ("double edges at 128 pixels", 3, "double_edges"),
    ("seen as a face, share", 3, "found"),
    ("landmarks off the middle of their ends'", 3, "landmark_offset"),
    ("identity distance to the parents", 3, "identity_to_parents"),
    ("nearer to one parent by", 3, "identity_imbalance"),
    ("morphing: mid-points taken for both parents, share", 3, "identity_both"),
    ("steps that lead from one to the other", 2, "identity_monotone"),
    ("flicker", 3, "flicker"),
    *((f"of lines of {2**n} to {2 ** (n + 1)} pixels", 3, f"flicker_band_{n + 1}") for n in range(BANDS)),
)
_TITLES = {
    "own": "At the photographs' own size",
    "large": "Enlarged",
    "textured": "Enlarged, with texture added to the photographs",
}


def titles(sharp: Sharp) -> dict[str, str]:
    """What each view is called, by its name."""
    return {
        name: f"{_TITLES.get(name, name)} ({view.side} pixels; {sharp.pairs:,} pairs)"
        for name, view in sharp.views.items()
    }


def lines(view: SharpView) -> list[list[str]]:
    """Cells, the names of the ways first, intervals in brackets. Lines that no way has are left out."""
    found = [["", *view.ways]]
    for label, digits, name in _FIGURES:
        figures = [way.get(name) for way in view.ways.values()]
        if any(figure is not None and figure.n for figure in figures):
            found.append([label, *(_cell(figure, digits) for figure in figures)])
    return found


def markdown(sharp: Sharp) -> str:
    """A table per view under its title, ending in a line break."""
    parts = []
    for name, title in titles(sharp).items():
        rows = [f"| {' | '.join(cells)} |" for cells in lines(sharp.views[name])]
        parts.append("\n".join([f"**{title}**", "", rows[0], "|---" * (rows[0].count("|") - 1) + "|", *rows[1:]]))
    return "\n\n".join(parts) + "\n"


def _cell(figure: Figure | None, digits: int) -> str:
    if figure is None or figure.mean is None:
        return _NONE
    return f"{figure.mean:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"
