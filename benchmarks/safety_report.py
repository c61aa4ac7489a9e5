"""Prints the tables of "After the mix" in docs/safety.md: ``python -m benchmarks.safety_report``.

They stand between marks in that page; ``--write`` puts them there. A test compares the page with `tables`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from facemix.evaluation.results import read_results
from facemix.evaluation.table import MORPHING
from facemix.faces.embedder import SAME_PERSON
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint

PAGE = Path(__file__).resolve().parent.parent / "docs" / "safety.md"
CHECKS, GUARD = RESULTS / "results_checks.json", RESULTS / "guard.json"
_KINDS = {"ordinary": "ordinary", "extreme": "extreme, but allowed", "none": "no face"}

Json = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/safety.md")
    found = tables()
    if parser.parse_args().write:
        PAGE.write_text(filled(PAGE.read_text(), found))
    for text in found.values():
        print(text)


def tables() -> dict[str, str]:
    """The tables by the names of their marks, in Markdown."""
    checks, guard = json.loads(CHECKS.read_text()), json.loads(GUARD.read_text())
    return {
        "results-checks": results_table(checks),
        "results-cost": cost_line(checks),
        "documents": documents_table(checks),
        "guard": guard_table(guard),
        "guard-groups": groups_table(guard),
        "guard-cost": guard_line(guard),
        "morphing": morphing_table(),
    }


def filled(page: str, found: Mapping[str, str]) -> str:
    """The page with every table between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    for name, text in found.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, mark, rest = page.partition(opening)
        _, end, after = rest.partition(closing)
        if not (mark and end):
            raise ValueError(f"the page has no place for the table {name!r}")
        page = before + opening + text + closing + after
    return page


def results_table(found: Json) -> str:
    rows = [
        (
            _KINDS[one["kind"]],
            one["words"],
            str(one["pictures"]),
            _percent(one["with"]["asked"]),
            _percent(one["with"]["withheld"]),
            _percent(one["with"]["low"]),
            _percent(one["without"]["withheld"]),
        )
        for one in found["sorts"]
    ]
    head = (
        "kind",
        "pictures",
        "how many",
        "detector asked, %",
        "withheld, %",
        "low margin, %",
        "withheld without latents, %",
    )
    return _markdown(head, rows)


def documents_table(found: Json) -> str:
    rows = [
        (
            one["words"],
            "yes" if one["document"] else "no",
            str(one["pictures"]),
            _percent(one["asked"]),
            _percent(one["refused"]),
        )
        for one in found["documents"]
    ]
    return _markdown(("pictures", "like a document", "how many", "detector asked, %", "refused, %"), rows)


def cost_line(found: Json) -> str:
    cost = found["cost"]
    return (
        f"Of one core: results {cost['one_ms']:.2f} ms for one, {cost['strip_ms']:.1f} ms for a strip of 33; documents "
        f"{cost['document_one_ms']:.2f} ms and {cost['document_strip_ms']:.1f} ms; each look of the detector "
        f"{cost['detector_ms']:.0f} ms.\n"
    )


def guard_table(found: Json) -> str:
    rows = []
    for one in found["distances"]:
        hits = [_percent(share) for share in one["hits"].values()]
        rows.append((f"{one['distance']:g}", _percent(one["gallery"], 2), _percent(one["one_person"], 3), *hits))
    weights = [f"found at weight {weight}, %" for weight in found["distances"][0]["hits"]]
    data = found["data"]
    head = (
        "distance below",
        f"wrong matches, gallery of {data['gallery']}, %",
        "wrong matches with one person, %",
        *weights,
    )
    return _markdown(head, rows)


def groups_table(found: Json) -> str:
    rows = [
        (
            name,
            str(group["people"]),
            *(_percent(group["one_person"][distance], 3) for distance in ("0.4", "0.5", "0.6")),
            str(group["pairs_within"]),
            *(_percent(group["one_person_within"][distance], 3) for distance in ("0.4", "0.5", "0.6")),
        )
        for name, group in found["groups"].items()
    ]
    head = (
        *("label of the protected person", "people"),
        *(f"wrong below {distance}, %" for distance in ("0.4", "0.5", "0.6")),
        "pairs of that label",
        *(f"wrong below {distance}, parents of that label, too, %" for distance in ("0.4", "0.5", "0.6")),
    )
    return _markdown(head, rows)


def guard_line(found: Json) -> str:
    cost, path, data = found["cost"], found["path"], found["data"]
    return (
        f"Measured on {data['pairs']} pairs of {data['faces']} test photographs, {data['galleries']} galleries. "
        f"With anybody in the gallery one result costs about {cost['one_ms']:.0f} ms, a strip "
        f"{cost['strip_ms']:.0f} ms of one core. "
        f"Of a strip's {path['frames']} frames {path['looked_at']} are looked at; in {path['strips']} strips another "
        f"frame was nearer to a parent by at most "
        f"{path['parent_nearer_by']:.3f}, to a stranger by at most {path['stranger_nearer_by']:.3f}.\n"
    )


def morphing_table() -> str:
    results = read_results(newest_checkpoint(resource_dir("checkpoints")) / "results.json")
    rows = []
    for name, subject in results.subjects.items():
        figure = (subject.midpoints or {}).get("identity_both")
        if figure is not None and figure.mean is not None:
            interval = "" if figure.low is None else f" [{_percent(figure.low)}, {_percent(figure.high or 0)}]"
            rows.append((name, f"{_percent(figure.mean)}{interval}", str(figure.n)))
    return _markdown(("model", f"{MORPHING} (below {SAME_PERSON:g} from each), %", "pairs"), rows)


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


if __name__ == "__main__":
    main()
