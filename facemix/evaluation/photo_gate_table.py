"""What a photograph gate was measured to do, as tables: for the command line and for ``docs/safety.md``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def text(report: dict[str, Any]) -> str:
    """report: what `fit_gate` gives."""
    test, validation, groups = report["test"], report["validation"], report["groups"]
    parts = [
        f"Refused of the {test['photographs']:,} test photographs as they are: {_percent(test['refused'])}; of the "
        f"same photographs as people have them: {_percent(test['ordinary_refused'])}. On the "
        f"{validation['photographs']:,} validation photographs, which set the threshold: "
        f"{_percent(validation['refused'])} and {_percent(validation['ordinary_refused'])}. "
        f"Fitted to {report['fitting']['photographs']:,} photographs of {report['fitting']['data']}.",
        _table(("photographs", "refused"), ((name, _percent(rate)) for name, rate in test["ordinary"].items())),
        _table(
            ("what is no photograph", "fitted to", "refused"),
            [
                *((name, "yes", _percent(rate)) for name, rate in test["fitted"].items()),
                *((name, "no", _percent(rate)) for name, rate in test["held_out"].items()),
            ],
        ),
        "By group, of photographs as they are and as people have them together "
        f"({_percent(groups['overall'])} of all):",
        _table(
            ("label", "group", "photographs", "refused", "against all"),
            (
                (
                    row["label"],
                    row["group"],
                    f"{row['photographs']:,}",
                    _percent(row["refused"]),
                    "-" if row["ratio"] is None else f"{row['ratio']:.2f} times",
                )
                for row in groups["rows"]
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"
