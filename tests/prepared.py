"""A prepared data set without photographs: smooth random crops, written as `facemix prepare` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facemix.faces.align import TEMPLATE


def smooth_crops(count: int, size: int, *, seed: int = 0) -> np.ndarray:
    """(count, size, size, 3) uint8: blurred noise, all different, easy to learn and kind to JPEG."""
    coarse = np.random.default_rng(seed).integers(30, 225, (count, 3, 3, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse])


def prepared_set(
    folder: Path,
    *,
    train: int = 48,
    validation: int = 8,
    test: int = 4,
    size: int = 32,
    shard: int = 20,
    crops: np.ndarray | None = None,
    landmarks: bool = False,
) -> Path:
    """Writes so many crops of each split into `folder`, which it returns; `shard` crops to a shard.

    Args:
        crops: (train + validation + test, size, size, 3) uint8 in the place of smooth noise.
        landmarks: the manifest has some, those that `facemix.faces.align.TEMPLATE` wants and a nose.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    crops, rows = smooth_crops(len(splits), size) if crops is None else crops, []
    known = {"landmarks": (size * np.insert(TEMPLATE, 2, (0.5, 0.5), axis=0)).tolist()} if landmarks else {}
    for start in range(0, len(splits), shard):
        number = start // shard
        with tarfile.open(folder / f"shard-{number:05d}.tar", "w") as tar:
            for index in range(start, min(start + shard, len(splits))):
                digest = hashlib.sha256(str(index).encode()).hexdigest()
                buffer = io.BytesIO()
                Image.fromarray(crops[index]).save(buffer, "JPEG", quality=95, subsampling=0)
                member = tarfile.TarInfo(f"{digest}.jpg")
                member.size = buffer.tell()
                buffer.seek(0)
                tar.addfile(member, buffer)
                rows.append(
                    {"source": f"{index}.png", "sha256": digest, "shard": number, "split": splits[index], **known}
                )
    rows.insert(1, {"source": "empty.png", "refused": "image_empty"})
    manifest = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(manifest)
    summary = {
        "name": "smooth noise",
        "licence": "CC0-1.0",
        "format": 1,
        "crop_size": size,
        "manifest_sha256": hashlib.sha256(manifest.encode()).hexdigest(),
        "kept": len(splits),
        "splits": {"train": train, "validation": validation, "test": test},
        "split_rule": "by position",
    }
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder
