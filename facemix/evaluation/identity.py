"""Is it still the same person? Distances by a face embedder that was not trained here."""

from __future__ import annotations

import numpy as np

from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.results import Figures
from facemix.faces.embedder import EXTRA, SAME_PERSON

ABSENT = f"identity distances are skipped: `pip install '{EXTRA}'` adds the embedder that measures them"


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row by row Euclidean distances of (N, 128) points, (N,) float64."""
    return np.linalg.norm(a.astype(np.float64) - b, axis=1)


def same_person(apart: np.ndarray) -> np.ndarray:
    """1 where a distance is below `SAME_PERSON`, else 0; NaN stays NaN."""
    return np.where(np.isnan(apart), np.nan, apart < SAME_PERSON)


def strangers(points: np.ndarray, labels: list[str | None]) -> np.ndarray:
    """For every face its mean distance to the other faces of its group: how well the embedder tells them apart.

    Returns:
        (N,) float64, NaN where there is no label or nobody else.
    """
    found = np.full(len(points), np.nan)
    names = np.array([label if label is not None else "" for label in labels])
    for name in sorted({label for label in labels if label is not None}):
        (members,) = np.nonzero(names == name)
        if len(members) > 1:
            group = points[members].astype(np.float64)
            apart = np.sqrt(np.maximum(_squared(group), 0))
            found[members] = apart.sum(1) / (len(members) - 1)
    return found


def reconstruction_identity(apart: np.ndarray, bootstrap: Bootstrap) -> Figures:
    """``identity_distance``, the median of photographs from their reconstructions, and ``same_person``, the share
    below `SAME_PERSON`."""
    return {"identity_distance": bootstrap.median(apart), "same_person": bootstrap.mean(same_person(apart))}


def midpoint_identity(middles: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """How a mid-point lies between its parents' photographs, all (P, 128) points.

    Returns:
        (P,) float64 each: ``identity_to_parents``, the mean of both distances; ``identity_imbalance``, their absolute
        difference; ``identity_both``, 1 where both are below `SAME_PERSON`.
    """
    to_first, to_second = distances(middles, first), distances(middles, second)
    return {
        "identity_to_parents": (to_first + to_second) / 2,
        "identity_imbalance": np.abs(to_first - to_second),
        "identity_both": same_person(np.maximum(to_first, to_second)),
    }


def path_identity(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """How steadily a path leads from one person to the other: the mean of the share of its steps on which it gets
    farther from the first, and of that on which it gets nearer to the second. 1 is every step; NaN without points.

    Args:
        points: (F, 128), of the frames from the first to the second.
        first, second: (128,), of the parents' photographs.
    """
    if np.isnan(points).any():
        return np.nan
    from_first, to_second = (np.linalg.norm(points.astype(np.float64) - one, axis=1) for one in (first, second))
    return float((np.diff(from_first) > 0).mean() + (np.diff(to_second) < 0).mean()) / 2


def _squared(points: np.ndarray) -> np.ndarray:
    squares = (points**2).sum(1)
    found = squares[:, None] + squares[None] - 2 * points @ points.T
    np.fill_diagonal(found, 0)
    return found
