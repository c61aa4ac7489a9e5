"""Fits who wears glasses, and measures how often that is wrong: ``python -m benchmarks.glasses data/utkface128``.

The labels in ``results/glasses_labels.json`` were made by looking at aligned crops of a prepared data set; doubtful
faces were left out. ``random`` faces of the training split were drawn at random, ``chosen`` ones after a first fit
among those it was sure or least sure of, ``test`` is all of the test split. Writes the weights into the package and the
rates into ``results/glasses.json``, and prints what `docs/faces.md` quotes. The threshold in `facemix/faces/glasses.py`
is set by hand to what is printed of the random training faces; the rates are those of the test split alone.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import record
from facemix.evaluation.groups import LEAST_FACES, labels_of
from facemix.evaluation.ordinary import sunglasses
from facemix.faces import glasses as package
from facemix.faces.glasses import THRESHOLD, eyewear_mask, features, glasses
from facemix.training.dataset import load_split

LABELS = record.RESULTS / "glasses_labels.json"
FOLDS, SEED = 5, 0
PENALTY = 60.0  # of the squared weights of standardised features, for a face that is seen once
SHARE_OF_FALSE_ALARMS = 0.02  # of random training faces without glasses; it sets the threshold
SOFT = (64, 32)  # sides to which crops are reduced to see what soft photographs cost
# How far the landmarks of serving lie beside those of training, about: degrees, logarithm of the size, pixels of 128.
TURN, GROWTH, SHIFT = 2.5, 0.03, 1.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data set of `facemix prepare` that was labelled")
    parser.add_argument("--out", type=Path, default=record.RESULTS / "glasses.json")
    options = parser.parse_args()
    labels = json.loads(LABELS.read_text())
    crops, worn, _ = labelled(options.data, "train", labels["random"] | labels["chosen"])
    drawn = np.arange(len(crops)) < len(labels["random"])
    views = seen(crops)
    suggested, held_out = threshold_of(views, worn, drawn)
    weights = fit(np.concatenate(views), np.tile(worn, len(views)), PENALTY * len(views))
    np.save(package.WEIGHTS, weights, allow_pickle=False)
    package._weights.cache_clear()
    covered = coverage(crops, worn)
    test, truth, rows = labelled(options.data, "test", labels["test"])
    scores = np.array([glasses(crop) for crop in test])
    found = {
        "format": "facemix-glasses",
        "data": json.loads((options.data / "dataset.json").read_text())["manifest_sha256"],
        "machine": record.machine(),
        "training": {"faces": len(crops), "glasses": int(worn.sum()), "random": int(drawn.sum())},
        "threshold": THRESHOLD,
        "threshold_suggested": suggested,
        "held_out": held_out,
        "test": rates(scores, truth, rows),
        "changed": changed(test, truth),
        "auc": float((scores[truth][:, None] > scores[~truth]).mean()),
        "mask_covers": covered,
        "milliseconds": milliseconds(test),
    }
    record.write(options.out, found)
    print(record.table(found["test"]))
    for name in ("changed", "threshold_suggested", "held_out", "auc", "mask_covers", "milliseconds"):
        print(name, found[name])


def labelled(data: Path, split: str, labels: dict[str, int]) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Crops, (N, S, S, 3) uint8, who wears glasses, (N,) bool, and rows of the manifest, in the order of the labels."""
    faces = load_split(data, split)
    places = {row["sha256"]: index for index, row in enumerate(faces.rows)}
    missing = [digest for digest in labels if digest not in places]
    if missing:
        raise SystemExit(f"{len(missing)} labelled photographs are not in the split {split!r} of {data}")
    order = [places[digest] for digest in labels]
    crops = np.stack([faces.images[index].numpy() for index in order])
    return crops, np.array(list(labels.values()), bool), [faces.rows[index] for index in order]


def seen(crops: np.ndarray) -> list[np.ndarray]:
    """Features of the crops as they are, mirrored, and both as misplaced landmarks would show them: (N, F) each."""
    rng = np.random.default_rng(SEED)
    moved = np.stack([_moved(crop, rng) for crop in crops])
    return [
        np.stack([features(np.ascontiguousarray(crop)) for crop in view])
        for view in (crops, crops[:, :, ::-1], moved, moved[:, :, ::-1])
    ]


def _moved(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = crop.shape[0]
    angle, grown = np.deg2rad(rng.normal(0, TURN)), math.exp(rng.normal(0, GROWTH))
    turn = grown * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([0.5, 0.35]) * side
    matrix = np.c_[turn, centre - turn @ centre + rng.normal(0, SHIFT, 2) * side / 128]
    moved = cv2.warpAffine(crop, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.5, 1.3)) if rng.random() < 0.3 else moved


def fit(figures: np.ndarray, worn: np.ndarray, penalty: float) -> np.ndarray:
    """Ridge-penalised logistic regression by Newton's method; (F + 1,) float32 over the features as they come."""
    mean, scale = figures.mean(0, dtype=np.float64), figures.std(0, dtype=np.float64) + 1e-6
    x = np.c_[(figures - mean) / scale, np.ones(len(figures))]
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6  # the constant is not held back
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -60, 60)))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge), x.T @ (p - worn) + ridge * weights)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    plain = weights[:-1] / scale
    return np.append(plain, weights[-1] - plain @ mean).astype(np.float32)


def threshold_of(views: Sequence[np.ndarray], worn: np.ndarray, drawn: np.ndarray) -> tuple[float, dict[str, float]]:
    """The likeness that so many of the random faces without glasses reach, each judged by a fit without it, and how
    many random faces are misjudged there and at a half."""
    fold = np.random.default_rng(SEED).integers(0, FOLDS, len(worn))
    scores = np.zeros(len(worn))
    for number in range(FOLDS):
        kept = fold != number
        weights = fit(np.concatenate([v[kept] for v in views]), np.tile(worn[kept], len(views)), PENALTY * len(views))
        scores[~kept] = 1 / (1 + np.exp(-(views[0][~kept] @ weights[:-1] + weights[-1])))
    with_none, with_some = scores[drawn & ~worn], scores[drawn & worn]
    suggested = float(np.quantile(with_none, 1 - SHARE_OF_FALSE_ALARMS))
    shares = {
        f"{kind} at {at:.3f}": float((part >= at).mean() if kind == "false alarms" else (part < at).mean())
        for at in (suggested, THRESHOLD, 0.5)
        for kind, part in (("false alarms", with_none), ("misses", with_some))
    }
    return suggested, shares


def rates(scores: np.ndarray, worn: np.ndarray, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """False alarms and misses of all, and of every group with enough faces; 95 % Wilson intervals, in per cent."""
    found = [_rate("all", scores, worn)]
    for label, groups in labels_of(rows).items():
        names = np.array([group or "" for group in groups])
        for name in sorted(set(names) - {""}):
            found.append(_rate(f"{label}: {name}", scores[names == name], worn[names == name]))
    return found


def _rate(name: str, scores: np.ndarray, worn: np.ndarray) -> dict[str, Any]:
    false_alarms, misses = int((scores[~worn] >= THRESHOLD).sum()), int((scores[worn] < THRESHOLD).sum())
    return {
        "group": name,
        "without": int((~worn).sum()),
        "false alarms": false_alarms,
        "false alarms, %": _interval(false_alarms, int((~worn).sum())),
        "with": int(worn.sum()),
        "misses": misses,
        "misses, %": _interval(misses, int(worn.sum())),
    }


def _interval(count: int, of: int) -> str | None:
    """``share (low to high)``; None of too few faces to say anything."""
    if of < LEAST_FACES:
        return None
    low, high = wilson(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def wilson(count: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % score interval of a share (E. B. Wilson, "Probable Inference, the Law of Succession", 1927)."""
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def changed(crops: np.ndarray, worn: np.ndarray) -> dict[str, str | None]:
    """Rates where the photographs are soft, and how often dark glasses are seen that code drew over bare eyes."""
    rng = np.random.default_rng(SEED)
    side = crops.shape[1]
    found = {}
    for soft in SOFT:
        small = [cv2.resize(crop, (soft, soft), interpolation=cv2.INTER_AREA) for crop in crops]
        scores = np.array([glasses(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)) for crop in small])
        whole = _rate("", scores, worn)
        found |= {f"{kind} at {soft} px": whole[kind] for kind in ("false alarms, %", "misses, %")}
    dark = np.array([glasses(sunglasses(crop, rng)) for crop in crops[~worn]])
    return found | {"drawn dark glasses missed, %": _interval(int((dark < THRESHOLD).sum()), len(dark))}


def coverage(crops: np.ndarray, worn: np.ndarray) -> dict[str, float]:
    """Of the edges that faces with glasses have more of than faces without, above the nostrils: the share under the
    mask; and the share of the crop that it takes."""
    energy = np.stack([_edges(crop) for crop in crops])
    surplus = energy[worn].mean(0) - energy[~worn].mean(0)
    surplus = np.maximum(cv2.GaussianBlur((surplus + surplus[:, ::-1]) / 2, (0, 0), 1.5), 0)
    mask = eyewear_mask(crops.shape[1])
    upper = slice(0, crops.shape[1] * 62 // 100)
    return {"edges": float((surplus * mask)[upper].sum() / surplus[upper].sum()), "crop": float(mask.mean())}


def _edges(crop: np.ndarray) -> np.ndarray:
    luma = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY).astype(np.float32)
    strength = cv2.magnitude(cv2.Scharr(luma, cv2.CV_32F, 1, 0), cv2.Scharr(luma, cv2.CV_32F, 0, 1))
    return strength / (strength.mean() + 1)


def milliseconds(crops: np.ndarray) -> float:
    """Median time of one call."""
    times = []
    for crop in crops[:200]:
        start = time.perf_counter()
        glasses(crop)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


if __name__ == "__main__":
    main()
