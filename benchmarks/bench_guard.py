"""How often the likeness guard matches wrongly, and how often it misses: ``python -m benchmarks.bench_guard DATA``.

DATA is a prepared data set; its test split, which the model was not trained on, is mixed. Needs the extra ``identity``.
Galleries of `GALLERY` people are drawn again and again from the same faces. What matches:

    strangers       mixes of two people who are not in the gallery: every match is wrong
    enrolled        mixes of a person in the gallery with a stranger, by that person's weight: every match is right

An enrolled person is known by the very photograph that is mixed, since the data set does not say who is on two of them:
another photograph of the same person is found less often.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import RESULTS, machine, table, write
from facemix.evaluation.codecs import VAECodec
from facemix.faces.embedder import IdentityEmbedder, load_embedder
from facemix.mixing.interpolation import interpolate
from facemix.resources import resource_dir
from facemix.safety.guard import PATH_FRAMES, squared_distances
from facemix.training.dataset import load_split
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

DISTANCES = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
WEIGHTS = (0.5, 0.7, 1.0)
GALLERY = 50
_DRAWS = 200  # galleries
_STRIP = 33


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--strips", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS / "guard.json")
    arguments = parser.parse_args()
    embedder = load_embedder()
    if embedder is None:
        raise SystemExit("the extra facemix[identity] is not installed")
    found = measure(arguments.data, embedder, pairs=arguments.pairs, strips=arguments.strips)
    print(table([{"distance": one["distance"], "wrong": one["gallery"], **one["hits"]} for one in found["distances"]]))
    write(arguments.out, found | {"machine": machine()})


def measure(data: Path, embedder: IdentityEmbedder, *, pairs: int, strips: int, seed: int = 0) -> dict[str, Any]:
    checkpoint = load_checkpoint(newest_checkpoint(resource_dir("checkpoints")))
    codec = VAECodec(checkpoint.vae)
    faces = load_split(data, "test")
    crops = faces.images.numpy()
    groups = np.array([row["labels"].get("ethnicity", "") for row in faces.rows])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(crops))
    pairs = min(pairs, len(order) // 2)
    drawn = order[: 2 * pairs].reshape(pairs, 2)
    z = codec.encode(crops)
    points = embedder.embed(crops)
    mixed = {weight: embedder.embed(_mixed(codec, z, drawn, weight)) for weight in WEIGHTS}
    squared = squared_distances(mixed[0.5], points)
    squared[np.arange(pairs)[:, None], drawn] = np.inf  # whoever is mixed is in no gallery of strangers
    to_first = {
        weight: np.linalg.norm(mixed[weight] - points[drawn[:, 0]], axis=1).astype(np.float64) for weight in WEIGHTS
    }
    galleries = [rng.permutation(len(crops))[:GALLERY] for _ in range(_DRAWS)]
    return {
        "model": f"{checkpoint.card.name}@{checkpoint.card.weights_sha256[:12]}",
        "embedder": embedder.name,
        "data": {"faces": len(crops), "pairs": pairs, "gallery": GALLERY, "galleries": _DRAWS, "seed": seed},
        "distances": [_at(distance, squared, to_first, galleries) for distance in DISTANCES],
        "groups": _by_group(squared, to_first[0.5], drawn, groups),
        "path": _path(codec, embedder, z, points, drawn[:strips]),
        "cost": _cost(embedder, crops),
    }


def _mixed(codec: VAECodec, z: torch.Tensor, pairs: np.ndarray, weight: float) -> np.ndarray:
    """Mixes in which the first of each pair has this weight."""
    latents = [interpolate(z[list(pair)], [weight, 1 - weight], coarse_size=codec.coarse_size) for pair in pairs]
    return codec.decode(torch.stack(latents))


def _at(
    distance: float, squared: np.ndarray, to_first: dict[float, np.ndarray], galleries: Sequence[np.ndarray]
) -> dict[str, Any]:
    below = squared < distance**2
    with_gallery = [below[:, gallery].any(1).mean() for gallery in galleries]
    return {
        "distance": distance,
        "one_person": float(below.sum() / np.isfinite(squared).sum()),
        "gallery": float(np.mean(with_gallery)),
        "hits": {f"{weight:g}": float((apart < distance).mean()) for weight, apart in to_first.items()},
    }


def _by_group(squared: np.ndarray, to_first: np.ndarray, pairs: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Of mid-points of anybody, by the group of the protected person: a wrong match with one of that group, and with a
    gallery of `GALLERY` such people if each of them matched by itself. A right one, by the group of the parent."""
    found = {}
    for name in sorted(set(groups) - {""}):
        of_group = squared[:, groups == name]
        own = (groups[pairs] == name).all(1)  # both parents, too
        first = to_first[groups[pairs[:, 0]] == name]
        found[name] = {
            "people": int((groups == name).sum()),
            "pairs_within": int(own.sum()),
            "one_person": {f"{d:g}": float((of_group < d**2).sum() / np.isfinite(of_group).sum()) for d in DISTANCES},
            "one_person_within": {
                f"{d:g}": float((of_group[own] < d**2).sum() / max(np.isfinite(of_group[own]).sum(), 1))
                for d in DISTANCES
            },
            "hits": {f"{d:g}": float((first < d).mean()) for d in DISTANCES},
            "parents": len(first),
        }
    return found


def _path(
    codec: VAECodec, embedder: IdentityEmbedder, z: torch.Tensor, points: np.ndarray, pairs: np.ndarray
) -> dict[str, Any]:
    """By how much the nearest of all frames of a strip is nearer than the nearest of those that the guard looks at, to
    one parent and to all strangers."""
    chosen = np.unique(np.linspace(0, _STRIP - 1, PATH_FRAMES).round().astype(int))
    parent, strangers = [], []
    for pair in pairs:
        shares = np.linspace(0, 1, _STRIP)
        latents = [interpolate(z[list(pair)], [1 - w, w], coarse_size=codec.coarse_size) for w in shares]
        found = np.sqrt(squared_distances(embedder.embed(codec.decode(torch.stack(latents))), points))
        parent.append(found[chosen, pair[0]].min() - found[:, pair[0]].min())
        others = np.delete(found, pair, axis=1)
        strangers.append((others[chosen].min(0) - others.min(0)).max())
    return {
        "strips": len(pairs),
        "frames": _STRIP,
        "looked_at": len(chosen),
        "parent_nearer_by": float(np.max(parent, initial=0)),
        "stranger_nearer_by": float(np.max(strangers, initial=0)),
    }


def _cost(embedder: IdentityEmbedder, crops: np.ndarray) -> dict[str, float]:
    """Milliseconds of one core for one embedding and for those of a strip, the least of ten: of processor time, which
    other work on the machine does not add to."""
    torch.set_num_threads(1)

    def least(frames: np.ndarray) -> float:
        taken = []
        for _ in range(10):
            started = time.process_time()
            embedder.embed(frames)
            taken.append(1000 * (time.process_time() - started))
        return min(taken)

    return {"one_ms": least(crops[:1]), "strip_ms": least(crops[:PATH_FRAMES])}


if __name__ == "__main__":
    main()
