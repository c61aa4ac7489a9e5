"""A prepared data set, held in memory as uint8: the fastest loader is none."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from facemix.errors import DatasetError


@dataclass(frozen=True)
class FaceSet:
    """One split of a data set.

    Attributes:
        images: (N, S, S, 3) uint8, aligned crops.
        rows: the manifest's row of each.
    """

    images: torch.Tensor
    rows: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_summary(folder: Path) -> dict[str, Any]:
    """The ``dataset.json`` of a prepared data set, checked against its manifest.

    Raises:
        DatasetError: `folder` holds no finished data set, or its manifest was edited.
    """
    try:
        summary = json.loads((folder / "dataset.json").read_text())
        manifest = (folder / "manifest.jsonl").read_bytes()
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{folder} holds no prepared data set: {error}",
            hint="make one with `facemix prepare PHOTOS FOLDER`",
        ) from error
    if hashlib.sha256(manifest).hexdigest() != summary.get("manifest_sha256"):
        raise DatasetError(
            f"{folder / 'manifest.jsonl'} is not the one that dataset.json names",
            hint="run `facemix prepare` again; it reuses what is finished",
        )
    return summary


def load_split(folder: Path, split: str, *, limit: int | None = None) -> FaceSet:
    """Reads the crops of ``train``, ``validation`` or ``test``; the first `limit` of them.

    Raises:
        DatasetError: as `read_summary`, a shard lacks a crop, or the split is empty.
    """
    read_summary(folder)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row.get("split") == split][:limit]
    if not rows:
        raise DatasetError(
            f"the split {split!r} of {folder} is empty", hint="prepare more photographs: a split takes 5 %"
        )
    images: list[np.ndarray] = []
    shards: dict[int, list[str]] = {}
    for row in rows:
        shards.setdefault(row["shard"], []).append(row["sha256"])
    for number, wanted in shards.items():
        path = folder / f"shard-{number:05d}.tar"
        try:
            with tarfile.open(path) as shard:
                for digest in wanted:
                    member = shard.extractfile(f"{digest}.jpg")
                    with Image.open(io.BytesIO(member.read()), formats=["JPEG"]) as image:
                        images.append(np.asarray(image.convert("RGB")))
        except (OSError, KeyError, AttributeError, tarfile.TarError) as error:
            raise DatasetError(
                f"{path} cannot be read: {error}", hint="delete that shard and run `facemix prepare` again"
            ) from error
    return FaceSet(torch.from_numpy(np.stack(images)), tuple(rows))


def epoch_batches(count: int, batch_size: int, *, seed: int, start: int = 0) -> Iterator[torch.Tensor]:
    """Endless batches of indices: every epoch a new permutation of `count`, known from the seed alone.

    Args:
        start: number of batches to skip, so that a resumed run sees what the interrupted one would have.

    Yields:
        (batch_size,) int64. A batch may straddle two epochs, so none is ever short.
    """
    position = start * batch_size
    epoch, offset = divmod(position, count)
    order = _permutation(count, seed, epoch)
    while True:
        parts, missing = [], batch_size
        while missing:
            part = order[offset : offset + missing]
            parts.append(part)
            missing -= len(part)
            offset += len(part)
            if offset == count:
                epoch, offset = epoch + 1, 0
                order = _permutation(count, seed, epoch)
        yield torch.cat(parts)


def _permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(count, generator=generator)
