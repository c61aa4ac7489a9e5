"""What the index of training faces finds, and how often its alarm rings:

    python -m benchmarks.neighbours DATA checkpoints/facemix-128

Compares ways of measuring how near two latents are: unseen faces are changed (encoded anew, cropped anew, brightened,
mirrored) and looked for among all training faces and themselves. Then measures, with the way that was chosen, how often
samples, mid-points of unseen faces, unseen faces and training faces come as near to a training face as copies do.
Writes benchmarks/results/neighbours.json and the tables of docs/explaining.md.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks import record
from facemix.cli.neighbours import copies_of, encoded
from facemix.explaining.closeness import ParentCode, closeness
from facemix.explaining.index import ALARM_SHARE, NeighbourIndex, load_index
from facemix.mixing.interpolation import interpolate
from facemix.serving.engine import Engine
from facemix.training.dataset import FaceSet, load_split
from facemix.vae.prior import LatentPrior

RESULTS = record.RESULTS / "neighbours.json"
DOCUMENT = Path(__file__).parent.parent / "docs" / "explaining.md"
SIZES = (32, 64, 128, 224)
FACES, PAIRS, SAMPLES, SEED = 400, 500, 1000, 0
_BATCH, _BLOCK = 16, 512
CHANGES = {
    "jpeg": "JPEG at quality 30",
    "half": "half the pixels and back",
    "crop": "cropped anew",
    "bright": "brightened",
    "mirror": "mirrored",
}
KINDS = {
    "samples": "samples of the model",
    "midpoints": "mid-points of two unseen faces",
    "unseen": "unseen faces alone",
    "training": "training faces alone",
}
METRICS = {"angle": "direction", "distance": "distance"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the prepared data set that the checkpoint was trained on")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    engine = Engine(options.checkpoint, device="cpu", precision="auto", max_batch=_BATCH)
    index = load_index(options.checkpoint, weights=engine.identity.weights, latent_schema=1)
    if index is None:
        parser.error(f"no index beside {options.checkpoint}; run `facemix neighbours` first")
    try:
        results = measured(engine, index, load_split(options.data, "train"), load_split(options.data, "test"))
    finally:
        engine.close()
    record.write(options.out, {"machine": record.machine(), **results})
    text = tables(json.loads(options.out.read_text()))
    print(text)
    if options.out == RESULTS:
        DOCUMENT.write_text(written(DOCUMENT.read_text(), text))


def measured(engine: Engine, index: NeighbourIndex, train: FaceSet, unseen: FaceSet) -> dict[str, Any]:
    """All figures."""
    training, copies = encoded(engine, train), np.array(copies_of(train))
    crops = unseen.images.numpy()[:FACES]
    originals = encode(engine, crops)
    changed = {name: encode(engine, change(crops)) for name, change in changes().items()}
    ways = [
        {
            "metric": metric,
            "dimensions": size,
            **found(engine.prior, metric, size, training, copies, originals, changed),
        }
        for size in SIZES
        if size <= len(engine.prior.mean)
        for metric in METRICS
    ]
    return {
        "faces": len(index),
        "with_a_copy": index.facts["faces_with_a_copy"],
        "dimensions": len(index.mean),
        "alarm_share": ALARM_SHARE,
        "limit": index.limit,
        "typical": {str(one): float(index.typical[one]) for one in (1, 5, 25, 50, 75, 95)},
        "unseen_faces": len(crops),
        "search_ms": search_time(index, originals),
        "ways": ways,
        "alarms": alarms(engine, index, originals, training),
    }


def changes() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is done to (N, S, S, 3) crops, by name."""

    def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda crops: np.stack([change(crop) for crop in crops])

    random = np.random.default_rng(SEED)

    def cropped(crop: np.ndarray) -> np.ndarray:
        """Up to 3 % of the side aside, 5 % larger or smaller, 3 degrees turned."""
        side = len(crop)
        turned = cv2.getRotationMatrix2D((side / 2, side / 2), random.uniform(-3, 3), random.uniform(0.95, 1.05))
        turned[:, 2] += random.uniform(-0.03, 0.03, 2) * side
        return cv2.warpAffine(crop, turned, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def encoded_anew(crop: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(crop).save(file, "JPEG", quality=30)
        return np.asarray(Image.open(file).convert("RGB"))

    def halved(crop: np.ndarray) -> np.ndarray:
        half = cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return cv2.resize(half, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)

    return {
        "jpeg": each(encoded_anew),
        "half": each(halved),
        "crop": each(cropped),
        "bright": lambda crops: np.clip(crops * 1.15 + 8, 0, 255).astype(np.uint8),
        "mirror": lambda crops: crops[:, :, ::-1],
    }


def found(
    prior: LatentPrior,
    metric: str,
    size: int,
    training: np.ndarray,
    copies: np.ndarray,
    originals: np.ndarray,
    changed: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Of the changed faces, how many find their original first, and how many are as near to it as copies are."""
    whiten = np.linalg.inv(prior.scale[:size, :size].double().numpy()).astype(np.float32)

    def placed(z: np.ndarray) -> np.ndarray:
        white = (z[:, :size] - prior.mean[:size].numpy()) @ whiten.T
        return white / np.linalg.norm(white, axis=1, keepdims=True) if metric == "angle" else white

    faces, own = placed(training), placed(originals)
    others = np.concatenate(
        [nearest(faces[start : start + _BLOCK], faces, start) for start in range(0, len(faces), _BLOCK)]
    )
    limit = float(np.quantile(others[~copies], ALARM_SHARE))
    result: dict[str, Any] = {"limit": limit, "first": {}, "near": {}}
    for name, latents in changed.items():
        asked = placed(latents)
        to_own = np.linalg.norm(asked - own, axis=1)
        to_faces = nearest(asked, faces)
        to_others = nearest(asked, own, 0)
        result["first"][name] = float(np.mean(to_own <= np.minimum(to_faces, to_others)))
        result["near"][name] = float(np.mean(to_own < limit))
    return result


def nearest(asked: np.ndarray, faces: np.ndarray, itself: int | None = None) -> np.ndarray:
    """Distances from each to the nearest of `faces`; `itself` is the place there of the first, which does not count."""
    squares = (asked**2).sum(1)[:, None] + (faces**2).sum(1)[None] - 2 * asked @ faces.T
    if itself is not None:
        rows = np.arange(len(asked))
        squares[rows, itself + rows] = np.inf
    return np.sqrt(np.maximum(squares.min(1), 0))


def search_time(index: NeighbourIndex, latents: np.ndarray) -> float:
    """Median milliseconds of one search with two views."""
    taken = []
    for z in latents[:200]:
        started = time.perf_counter()
        index.nearest(np.stack([z, z]), 5)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))


def alarms(
    engine: Engine, index: NeighbourIndex, unseen: np.ndarray, training: np.ndarray
) -> dict[str, dict[str, float]]:
    """How often each kind of face is near, and how often that is an alarm."""
    random = np.random.default_rng(SEED)
    pairs = np.stack([random.permutation(len(unseen))[:2] for _ in range(PAIRS)])
    some = random.permutation(len(training))[: len(unseen)]
    kinds: dict[str, tuple[torch.Tensor, list[list[ParentCode]]]] = {
        "samples": (
            torch.stack([engine.draw(number) for number in range(SAMPLES)]),
            [[ParentCode(engine.draw(number).numpy(), "sample", 1.0)] for number in range(SAMPLES)],
        ),
        "midpoints": (
            torch.stack(
                [
                    interpolate(torch.from_numpy(unseen[pair]), (0.5, 0.5), coarse_size=engine.coarse_size)
                    for pair in pairs
                ]
            ),
            [[ParentCode(unseen[place], "photo", 0.5) for place in pair] for pair in pairs],
        ),
        "unseen": (torch.from_numpy(unseen), [[ParentCode(z, "photo", 1.0)] for z in unseen]),
        "training": (torch.from_numpy(training[some]), [[ParentCode(z, "photo", 1.0)] for z in training[some]]),
    }
    return {name: rung(engine, index, z, parents) for name, (z, parents) in kinds.items()}


def rung(
    engine: Engine, index: NeighbourIndex, z: torch.Tensor, parents: Sequence[Sequence[ParentCode]]
) -> dict[str, float]:
    pictures = np.concatenate([engine.decode(z[start : start + _BATCH]) for start in range(0, len(z), _BATCH)])
    views = np.stack([encode(engine, pictures), encode(engine, pictures[:, :, ::-1])], 1)
    all_found = [closeness(index, both, given) for both, given in zip(views, parents, strict=True)]
    distances = [one.neighbours[0].distance for one in all_found]
    return {
        "count": len(all_found),
        "near": float(np.mean([one.near for one in all_found])),
        "alarm": float(np.mean([one.alarm for one in all_found])),
        "least": float(np.min(distances)),
        "median": float(np.median(distances)),
    }


def encode(engine: Engine, crops: np.ndarray) -> np.ndarray:
    parts = [np.ascontiguousarray(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    return np.concatenate([engine.encode(part).numpy() for part in parts])


# --- the page ----------------------------------------------------------------------------------------------


def tables(results: Mapping[str, Any]) -> str:
    """What docs/explaining.md shows of the results, in Markdown."""
    percent = "{:.1f} %".format
    changed = list(CHANGES)
    head = " | ".join(CHANGES[name] for name in changed)
    ways = [f"| compared | dimensions | {head} |", "|---|---|" + "---|" * len(changed)]
    for way in results["ways"]:
        chosen = way["metric"] == "angle" and way["dimensions"] == results["dimensions"]
        mark = "**" if chosen else ""
        cells = [f"{percent(100 * way['first'][name])} ({percent(100 * way['near'][name])})" for name in changed]
        ways.append(f"| {mark}{METRICS[way['metric']]}{mark} | {mark}{way['dimensions']}{mark} | {' | '.join(cells)} |")
    rows = ["| | faces | as near as copies | of these alarms | nearest of all | median |", "|---|---|---|---|---|---|"]
    for kind, title in KINDS.items():
        one = results["alarms"][kind]
        rows.append(
            f"| {title} | {one['count']} | {percent(100 * one['near'])} | {percent(100 * one['alarm'])} "
            f"| {one['least']:.1f}° | {one['median']:.1f}° |"
        )
    typical = ", ".join(f"{name} % {value:.1f}°" for name, value in results["typical"].items())
    machine = results["machine"]
    return "\n".join(
        (
            f"{results['faces']} training faces, {results['with_a_copy']} of which have a near-duplicate among the "
            f"others. Of the rest, the nearest other face is at: {typical}. A search takes {results['search_ms']:.2f} "
            f"ms ({machine['cpu']}, {machine['cores']} cores).",
            "",
            f"Of {results['unseen_faces']} unseen faces, how many find their original first among all training faces "
            "and one another when they have been changed, and in brackets how many come as near to it as the limit:",
            "",
            *ways,
            "",
            f"How often the nearest training face is nearer than the limit of {results['limit']:.1f}°:",
            "",
            *rows,
        )
    )


_MARKED = re.compile(r"(<!-- neighbours -->\n).*?(<!-- /neighbours -->)", re.DOTALL)


def written(document: str, text: str) -> str:
    """The document with `text` between its marks."""
    return _MARKED.sub(lambda marks: f"{marks[1]}{text}\n{marks[2]}", document)


if __name__ == "__main__":
    main()
