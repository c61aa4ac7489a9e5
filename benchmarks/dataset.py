"""Counts a prepared data set for its data sheet: ``python -m benchmarks.dataset data/utkface128``.

Writes ``dataset.json`` into the shipped checkpoint's folder: how many photographs there are of whom, in which split,
and why others were refused. It holds counts and percentiles only: no file names and no hashes of single photographs.
With ``--photos FOLDER``, the folder that was prepared, the sizes of the photographs are counted, too.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facemix.evaluation.groups import age_of, labels_of
from facemix.resources import resource_dir
from facemix.training.dataset import read_summary
from facemix.vae.checkpoint import newest_checkpoint

FILE = "dataset.json"
SPLITS = ("train", "validation", "test")
LABELS = ("age", "gender", "ethnicity")
UNLABELLED = "unlabelled"
QUALITY = ("face_pixels", "sharpness", "yaw", "brightness")
PERCENTILES = (1, 5, 50, 95, 99)
_SUMMARY = (
    "name",
    "licence",
    "manifest_sha256",
    "crop_size",
    "facemix_version",
    "photographs",
    "kept",
    "splits",
    "split_rule",
    "near_duplicates",
    "refused",
)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set of `facemix prepare`")
    parser.add_argument("--photos", type=Path, help="the photographs that it was prepared from")
    parser.add_argument("--out", type=Path, help="instead of the newest shipped checkpoint's folder")
    options = parser.parse_args()
    out = options.out or newest_checkpoint(resource_dir("checkpoints")) / FILE
    out.write_text(json.dumps(describe(options.data, options.photos), indent=1, sort_keys=True) + "\n")
    print(out)


def describe(data: Path, photos: Path | None = None) -> dict[str, Any]:
    """What a data sheet says of a prepared data set.

    Raises:
        DatasetError: see `read_summary`.
    """
    summary = read_summary(data)
    rows = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    labels = labels_of(rows)
    people = [tuple(labels[name][index] or UNLABELLED for name in LABELS) for index in range(len(rows))]
    found = {
        "format": "facemix-dataset",
        "schema_version": 1,
        **{name: summary[name] for name in _SUMMARY},
        "near_duplicate_groups": summary["kept"] - summary["near_duplicates"],
        "crop_bytes": sum(shard.stat().st_size for shard in data.glob("shard-*.tar")),
        "groups": {
            name: {
                group: _counts(row for row, person in zip(rows, people, strict=True) if person[place] == group)
                for group in sorted({person[place] for person in people})
            }
            for place, name in enumerate(LABELS)
        },
        "intersections": [
            dict(zip(LABELS, person, strict=True))
            | _counts(row for row, other in zip(rows, people, strict=True) if other == person)
            for person in sorted(set(people))
        ],
        "several_faces": sum(row.get("faces", 0) > 1 for row in rows),
        "quality": _quality(rows),
    }
    ages = [age for row in rows if (age := age_of(row)) == age]
    if ages:
        found["ages"] = {"youngest": int(min(ages)), "oldest": int(max(ages)), "decades": _decades(ages)}
    if photos:
        found["photograph_sizes"] = _sizes(photos / row["source"] for row in rows)
    return found


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    """Photographs of a group: how many are in each split, and how many were refused."""
    fates = Counter("refused" if "refused" in row else row["split"] for row in rows)
    return {"photographs": fates.total(), "refused": fates["refused"], **{split: fates[split] for split in SPLITS}}


def _decades(ages: list[float]) -> dict[str, int]:
    """Photographs by age: under twenty, then by decade, from eighty on together."""
    counts = Counter(min(int(age) // 10 * 10, 80) for age in ages if age >= 20)
    found = {"under 20": sum(age < 20 for age in ages)}
    found |= {f"{low}-{low + 9}" if low < 80 else "80+": counts[low] for low in sorted(counts)}
    return found


def _quality(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Percentiles, over the kept photographs, of what the gates measure."""
    kept = [row["quality"] for row in rows if "refused" not in row and "quality" in row]
    return {
        name: {
            str(rank): round(float(value), 4)
            for rank, value in zip(PERCENTILES, np.percentile([one[name] for one in kept], PERCENTILES), strict=True)
        }
        for name in QUALITY
        if kept
    }


def _sizes(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Widths and heights in pixels with the number of photographs that have them, the most frequent first."""
    sizes: Counter[tuple[int, int]] = Counter()
    for file in files:
        with Image.open(file) as image:
            sizes[image.size] += 1
    return [{"width": width, "height": height, "count": count} for (width, height), count in sizes.most_common()]


if __name__ == "__main__":
    main()
