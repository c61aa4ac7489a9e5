"""Whom the quality gates of `facemix prepare` turn away: the share refused per labelled group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.groups import LEAST_FACES, labels_of
from facemix.evaluation.results import Figure, Gates, Group, Grouping

# Codes of `facemix.errors.FaceError`: what was decided by looking at a face, not at a file.
_OF_FACES = "face_"


def read_manifest(data: Path) -> list[dict[str, Any]]:
    """All rows of a prepared data set, the refused ones, too."""
    return [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]


def gate_figures(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap) -> Gates:
    """Shares of photographs in which no usable face was seen, over all splits.

    Files that cannot be read are counted by their reason, but are no photographs of anybody: they are in no share.
    """
    reasons = Counter(row["refused"] for row in rows if "refused" in row)
    seen = [row for row in rows if row.get("refused", _OF_FACES).startswith(_OF_FACES)]
    refused = np.array(["refused" in row for row in seen], bool)
    return Gates(
        photographs=len(seen),
        refused=int(refused.sum()),
        reasons=dict(sorted(reasons.items())),
        groups={
            label: _grouping(refused, names, bootstrap)
            for label, names in labels_of(seen).items()
            if any(name is not None for name in names)
        },
    )


def _grouping(refused: np.ndarray, labels: Sequence[str | None], bootstrap: Bootstrap) -> Grouping:
    counts = Counter(label for label in labels if label is not None)
    turned_away = Counter(label for label, away in zip(labels, refused, strict=True) if label is not None and away)
    enough = [name for name in sorted(counts) if counts[name] >= LEAST_FACES]
    # Of so many photographs so many refused: the resamples of a share are binomial draws.
    generator = np.random.default_rng((bootstrap.seed, 3))
    drawn = {
        name: generator.binomial(counts[name], turned_away[name] / counts[name], bootstrap.resamples)
        for name in sorted(counts)
    }
    return Grouping(
        groups={
            name: Group(
                count=counts[name],
                figures={
                    "refused": bootstrap.interval(
                        turned_away[name] / counts[name], drawn[name] / counts[name], counts[name]
                    )
                },
            )
            for name in sorted(counts)
        },
        unlabelled=sum(label is None for label in labels),
        too_few=tuple(name for name in sorted(counts) if name not in enough),
        worst_to_best=_worst_to_best(counts, turned_away, drawn, enough, bootstrap),
    )


def _worst_to_best(
    counts: Counter, turned_away: Counter, drawn: dict[str, np.ndarray], enough: list[str], bootstrap: Bootstrap
) -> Figure | None:
    """Largest over smallest share, half a refusal added to each group: one with none would make it infinite."""
    if len(enough) < 2 or not any(turned_away[name] for name in enough):
        return None
    sizes = np.array([counts[name] + 1 for name in enough])
    shares = (np.array([turned_away[name] for name in enough]) + 0.5) / sizes
    resampled = (np.stack([drawn[name] for name in enough], axis=1) + 0.5) / sizes
    return bootstrap.interval(
        float(shares.max() / shares.min()), resampled.max(1) / resampled.min(1), sum(counts[name] for name in enough)
    )
