"""The same figures for every labelled group of people, and how far the worst is from the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.results import Figure, Group, Grouping

AGE_BANDS = ((18, 29), (30, 44), (45, 59), (60, math.inf))
# Below this many faces a group's mean says more about who happened to be drawn than about the group.
LEAST_FACES = 30
_FIGURES = ("psnr", "ssim", "sharpness", "mse", "identity_distance", "strangers")


def age_of(row: dict[str, Any]) -> float:
    """The labelled age of a manifest's row in years; NaN without a label."""
    age = row.get("labels", {}).get("age")
    return float(age) if isinstance(age, int | float) and not isinstance(age, bool) else math.nan


def age_band(age: float) -> str | None:
    """``18-29``, ``30-44``, ``45-59`` or ``60+``; None for children and where the age is not known."""
    for low, high in AGE_BANDS:
        if low <= age < high + 1:
            return f"{low}+" if high == math.inf else f"{low}-{high}"
    return None


def labels_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[str | None]]:
    """For ``age``, ``gender`` and ``ethnicity`` the group of each row, None where it has no such label."""
    labels = [row.get("labels", {}) for row in rows]
    return {
        "age": [age_band(age_of(row)) for row in rows],
        "gender": [label.get("gender") for label in labels],
        "ethnicity": [label.get("ethnicity") for label in labels],
    }


def group_figures(values: dict[str, np.ndarray], labels: Sequence[str | None], bootstrap: Bootstrap) -> Grouping:
    """Figures per group, groups in alphabetical order.

    Args:
        values: (N,) each, from `measure_reconstructions`, and where they are known ``identity_distance``, of the
            reconstructions from the photographs, and ``strangers``, of the photographs from others of the group.
        labels: N group names, None where there is none.
    """
    members = {
        name: np.array([label == name for label in labels])
        for name in sorted({one for one in labels if one is not None})
    }
    enough = [name for name, mask in members.items() if mask.sum() >= LEAST_FACES]
    return Grouping(
        groups={
            group: Group(
                count=int(mask.sum()),
                figures={name: bootstrap.mean(values[name][mask]) for name in _FIGURES if name in values},
            )
            for group, mask in members.items()
        },
        unlabelled=sum(label is None for label in labels),
        too_few=tuple(name for name in members if name not in enough),
        worst_to_best=_worst_to_best(values["mse"], [members[name] for name in enough], bootstrap),
        worst_to_best_identity=_worst_to_best(
            values.get("identity_distance"), [members[name] for name in enough], bootstrap
        ),
    )


def _worst_to_best(errors: np.ndarray | None, masks: list[np.ndarray], bootstrap: Bootstrap) -> Figure | None:
    """Largest over smallest mean error of the groups; None with fewer than two, or where it was not measured."""
    if len(masks) < 2 or errors is None or np.isnan(errors).any():
        return None

    def compute(counts: np.ndarray) -> np.ndarray:
        drawn = np.stack([counts @ mask for mask in masks], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.stack([counts @ (errors * mask) for mask in masks], axis=1) / drawn
            found = means.max(1) / means.min(1)
        found[~np.isfinite(found)] = np.nan
        return found

    return bootstrap.statistic(len(errors), compute)
