"""Which way finds a place of one face in another: shapes, or optical flow along the model's own path?

    python -m benchmarks.correspondence DATA checkpoints/facemix-128

Pairs of unseen faces, none in two pairs. dlib's five landmarks of one face are carried to the other by each way and
compared with where dlib reads them there: means and 90th percentiles in percent of the distance of the eyes, with
bootstrap intervals over the pairs. The last line is dlib against itself on mirrored crops. Writes
benchmarks/results/correspondence.json and the table of docs/training.md. Needs the extra `identity`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import record
from facemix.evaluation import correspondence
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.codecs import VAECodec
from facemix.evaluation.correspondence import Transfer
from facemix.faces.embedder import IdentityEmbedder, load_embedder
from facemix.progress import progress_bar
from facemix.training.dataset import load_split, read_summary
from facemix.vae.checkpoint import load_checkpoint
from facemix.vae.geometry import Geometry, load_geometry

RESULTS = record.RESULTS / "correspondence.json"
PATH_STEPS = (1, 2, 8)  # flows from half-way to either end
READING = "dlib, mirrored"
DOCUMENT = Path(__file__).parent.parent / "docs" / "training.md"
_MARKED = re.compile(r"(<!-- correspondence -->\n).*?(<!-- /correspondence -->)", re.S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the prepared data set that the checkpoint was trained on")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)  # one face at a time: a second thread gains little, and loses much beside other work
    cv2.setNumThreads(1)
    embedder, geometry = load_embedder(), load_geometry(options.checkpoint)
    if embedder is None:
        parser.error(correspondence.ABSENT)
    if geometry is None:
        parser.error(f"no geometry beside {options.checkpoint}; run `facemix geometry` first")
    checkpoint = load_checkpoint(options.checkpoint)
    crops = load_split(options.data, "test").images.numpy()
    transfers = ways(geometry, VAECodec(checkpoint.vae))
    results = {
        "machine": record.machine(),
        "model": checkpoint.card.weights_sha256,
        "geometry": {"weights": geometry.weights_sha256(), "facts": geometry.facts},
        "manifest_sha256": read_summary(options.data)["manifest_sha256"],
        "unit": "percent of the distance of the eyes",
        **measured(crops, transfers, embedder, pairs=options.pairs, seed=options.seed),
    }
    record.write(options.out, results)
    print(correspondence.table(results["ways"]))
    print(f"\n{correspondence.SHAPES} minus each, overall mean:")
    for name, margin in results["margins"].items():
        print(f"  {name:28} {margin['mean']:+.2f} ({margin['low']:+.2f} to {margin['high']:+.2f})")
    if options.out == RESULTS:
        text = markdown(json.loads(RESULTS.read_text()))
        DOCUMENT.write_text(written(DOCUMENT.read_text(), text))


def ways(geometry: Geometry, codec: VAECodec) -> dict[str, Transfer]:
    shapes = correspondence.by_shapes(geometry)
    return {
        correspondence.NONE: correspondence.unmoved,
        "flow between photographs": correspondence.by_flow,
        "flow between reconstructions": correspondence.of_reconstructions(correspondence.by_flow, codec),
        **{f"flow along the path, {2 * n}": correspondence.by_path(codec, n) for n in PATH_STEPS},
        "shapes of reconstructions": correspondence.of_reconstructions(shapes, codec),
        correspondence.SHAPES: shapes,
    }


def measured(
    crops: np.ndarray, transfers: Mapping[str, Transfer], embedder: IdentityEmbedder, *, pairs: int, seed: int
) -> dict[str, Any]:
    points = correspondence.read_points(crops, embedder)
    drawn = correspondence.draw_pairs(len(crops), pairs, seed=seed)
    with progress_bar("pairs") as on_progress:
        found = correspondence.misses(crops, points, drawn, transfers, on_progress)
    bootstrap = Bootstrap(seed=seed)
    best = found[correspondence.SHAPES].mean(1)
    margins = {name: bootstrap.mean(best - missed.mean(1)).model_dump() for name, missed in found.items()}
    del margins[correspondence.SHAPES]
    shown = drawn.ravel()
    found[READING] = correspondence.reading_misses(crops[shown], points[shown], embedder)
    return {
        "pairs": len(drawn),
        "ways": {name: correspondence.figures(missed, bootstrap) for name, missed in found.items()},
        "margins": margins,
    }


def markdown(results: Mapping[str, Any]) -> str:
    """What docs/training.md shows of the results."""
    head = ("way", "mean", "90th percentile", *correspondence.POINTS, "shapes better by")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in results["ways"].items():
        points = [f"{row['points'][point]['mean']['mean']:.1f}" for point in correspondence.POINTS]
        margin = results["margins"].get(name)
        better = "" if margin is None else f"{-margin['mean']:.2f} ({-margin['high']:.2f} to {-margin['low']:.2f})"
        lines.append(f"| {' | '.join([name, _figure(row['mean']), _figure(row['p90']), *points, better])} |")
    caption = (
        f"{results['pairs']} pairs of unseen faces, none in two; percent of the distance of the eyes, with 95 % "
        "intervals over the pairs. Left and right as in the picture. Behind *path*: how many flows lead from face to "
        f"face; *{READING}* is how far dlib reads a landmark from where it reads it in the mirrored crop."
    )
    return "\n".join([*lines, "", caption])


def written(document: str, text: str) -> str:
    """The document with `text` between its marks."""
    return _MARKED.sub(lambda marks: f"{marks[1]}{text}\n{marks[2]}", document)


def _figure(figure: Mapping[str, Any]) -> str:
    return f"{figure['mean']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


if __name__ == "__main__":
    main()
