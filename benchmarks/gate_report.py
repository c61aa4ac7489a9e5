"""What the gates before a mix refuse, and what they cost: ``python -m benchmarks.gate_report``.

Writes the tables of docs/safety.md from two files in benchmarks/results; a test compares them.

    gate.json       facemix gate DATA --out benchmarks/results/gate.json
    sketches.json   python -m benchmarks.gate_report --sketches DATA
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.record import RESULTS
from facemix.evaluation.photo_gate_table import text
from facemix.safety.photo_features import features
from facemix.training.dataset import load_split
from facemix.web.photo_limits import NEAR, sketch

PAGE = Path(__file__).parent.parent / "docs" / "safety.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sketches", type=Path, metavar="DATA", help="a prepared data set; measure sketches first")
    wanted = parser.parse_args()
    if wanted.sketches is not None:
        (RESULTS / "sketches.json").write_text(json.dumps(measure_sketches(wanted.sketches), indent=1) + "\n")
    PAGE.write_text(written(PAGE.read_text(), RESULTS))
    print(PAGE)


def written(page: str, folder: Path) -> str:
    """The page with its tables made anew from the files in `folder`; what is not there is said not to be measured.

    Raises:
        ValueError: the page has no place for a table.
    """
    for name, render in (("gate", text), ("sketches", sketch_text)):
        path = folder / f"{name}.json"
        said = render(json.loads(path.read_text())) if path.exists() else "Not measured.\n"
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, mark, rest = page.partition(opening)
        _, end, after = rest.partition(closing)
        if not (mark and end):
            raise ValueError(f"the page has no place for {name}.json")
        page = before + opening + said + closing + after
    return page


def sketch_text(found: dict[str, Any]) -> str:
    lines = [
        f"Each of {found['photographs']:,} photographs was made again in another size, JPEG quality 30 to 90, with the "
        f"face found about half a pixel beside: {100 * found['met']:.1f} % were known again. Of {found['pairs']:,} "
        f"pairs of different files {found['taken_for_one']:,} were taken for one; among these are the near-duplicates "
        "of the data set.",
        "",
        f"| of 256 bits (at most {found['near']} count as the same) | 50 % | 90 % | 99 % |",
        "|---|---|---|---|",
        f"| differ after sending again | {' | '.join(f'{value:.0f}' for value in found['again'])} |",
        f"| differ between two files | {' | '.join(f'{value:.0f}' for value in found['apart'])} |",
    ]
    cost = found["cost_ms"]
    lines += [
        "",
        f"Of one core, for each face: the features of the photograph gate {cost['features']:.1f} ms, the sketch "
        f"{cost['sketch']:.2f} ms.",
    ]
    return "\n".join(lines) + "\n"


def measure_sketches(data: Path, *, seed: int = 0) -> dict[str, Any]:
    """How far sketches move when a photograph is encoded again, and how far apart those of different ones are."""
    crops = np.concatenate([load_split(data, split).images.numpy() for split in ("test", "validation")])
    rng = np.random.default_rng(seed)
    bits = np.stack([sketch(crop) for crop in crops])
    again = np.array([(one != sketch(_sent_again(crop, rng))).sum() for one, crop in zip(bits, crops, strict=True)])
    packed = np.packbits(bits, axis=1).view(np.uint64)
    apart = np.concatenate([np.bitwise_count(packed[at + 1 :] ^ packed[at]).sum(1) for at in range(len(packed) - 1)])
    return {
        "photographs": len(crops),
        "pairs": len(apart),
        "near": NEAR,
        "met": float((again <= NEAR).mean()),
        "taken_for_one": int((apart <= NEAR).sum()),
        "again": [float(value) for value in np.percentile(again, (50, 90, 99))],
        "apart": [float(value) for value in np.percentile(apart, (50, 90, 99))],
        "cost_ms": {"features": _cost(features, crops), "sketch": _cost(sketch, crops)},
    }


def _cost(work: Callable[[np.ndarray], object], crops: np.ndarray) -> float:
    """Median milliseconds of one core for a crop."""
    cv2.setNumThreads(1)
    took = []
    for crop in crops[:300]:
        started = time.process_time()
        work(crop)
        took.append(time.process_time() - started)
    return round(1000 * float(np.median(took)), 3)


def _sent_again(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = crop.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 0.45), 1 + rng.normal(0, 0.006))
    turn[:, 2] += rng.normal(0, 0.6, 2)
    moved = cv2.warpAffine(crop, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    scale = rng.uniform(0.5, 1.5)
    other = cv2.resize(moved, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", other, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1]
    return cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (side, side), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
