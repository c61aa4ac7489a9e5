"""`facemix prepare`: a folder of photographs becomes a data set, by the code that serves.

The result is a folder:

    shard-00000.tar ...   aligned crops as JPEG, named by the SHA-256 of their source file (a WebDataset)
    shard-00000.jsonl     what became of every photograph of that shard, kept or refused
    manifest.jsonl        all of them, with their split
    dataset.json          format, crop size, counts, the split rule, why photographs were refused

Photographs are taken in sorted order, `SHARD_SIZE` to a shard. A shard's rows appear only
when it is complete, so an interrupted run goes on where it stopped; a shard is made again when its files changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from facemix import __version__
from facemix.errors import DatasetError, FacemixError
from facemix.faces.align import TEMPLATE
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.look import look
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.settings import MEBIBYTE
from facemix.training.split import SPLIT_RULE, THUMBNAIL_SIDE, assign_splits

FORMAT = 1
SHARD_SIZE = 256
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
LARGEST_FILE = 100 * MEBIBYTE  # the photographs are one's own, so larger than an upload may be
_JPEG_QUALITY = 95  # 4:4:4; the photographs are JPEGs already
_UTKFACE = re.compile(r"^(\d{1,3})_([01])_([0-4])_\d+")
_GENDERS = ("male", "female")
_ETHNICITIES = ("White", "Black", "Asian", "Indian", "other")


@dataclass(frozen=True)
class PrepareOptions:
    """crop_size: side of the stored crops in pixels. limits: what counts as a readable photograph.

    name, licence: what the data set is called and under which terms it may be used; the card of every
    checkpoint trained on it repeats them.
    """

    crop_size: int = 128
    limits: DecodeLimits = field(default_factory=lambda: DecodeLimits(max_bytes=LARGEST_FILE, max_side=WORKING_SIDE))
    name: str = "unnamed data set"
    licence: str = "unstated: the terms of the photographs apply to the weights"

    @property
    def key(self) -> str:
        """Changes with the crop size, the alignment and the format: shards made with others are not reused."""
        text = json.dumps([FORMAT, self.crop_size, TEMPLATE.tolist(), _JPEG_QUALITY])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(
    source: Path,
    out: Path,
    options: PrepareOptions | None = None,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Prepares every photograph below `source`; returns the summary that is written to ``dataset.json``.

    Args:
        workers: processes; None means one per core. 0 works in this process.
        on_progress: called with the number of photographs done and in all.

    Raises:
        DatasetError: no photograph below `source`, or `out` holds a data set made with other options.
    """
    options = options or PrepareOptions()
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise DatasetError(
            f"{source} holds no photographs",
            hint=f"name a folder with files ending in {', '.join(sorted(SUFFIXES))}",
        )
    out.mkdir(parents=True, exist_ok=True)
    _check_same_options(out, options)
    shards = [files[start : start + SHARD_SIZE] for start in range(0, len(files), SHARD_SIZE)]
    work = partial(_make_shard, source=source, out=out, options=options)
    done = 0
    on_progress(0, len(files))
    if workers == 0:
        counts = map(work, enumerate(shards))
        for count in counts:
            on_progress(done := done + count, len(files))
    else:
        # spawn: a forked child would inherit ONNX Runtime's and OpenCV's threads in an undefined state.
        with multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool:
            for count in pool.imap_unordered(work, enumerate(shards)):
                on_progress(done := done + count, len(files))
    return _finish(out, len(shards), options)


def labels_from_name(name: str) -> dict[str, Any]:
    """Labels that a UTKFace file name carries (``AGE_GENDER_ETHNICITY_TIME.jpg``); empty for other names."""
    match = _UTKFACE.match(name)
    if match is None:
        return {}
    age, gender, ethnicity = (int(group) for group in match.groups())
    return {"age": age, "gender": _GENDERS[gender], "ethnicity": _ETHNICITIES[ethnicity]}


_finder: FaceFinder | None = None


def _shared_finder() -> FaceFinder:
    """One detector per worker process, made on first use; the processes are the parallelism."""
    global _finder
    if _finder is None:
        cv2.setNumThreads(1)
        _finder = FaceFinder(CenterFace(threads=1))
    return _finder


def _make_shard(numbered: tuple[int, Sequence[Path]], *, source: Path, out: Path, options: PrepareOptions) -> int:
    number, files = numbered
    tar_path, rows_path = out / f"shard-{number:05d}.tar", out / f"shard-{number:05d}.jsonl"
    names = [path.relative_to(source).as_posix() for path in files]
    sizes = [path.stat().st_size if path.exists() else None for path in files]
    if tar_path.exists() and rows_path.exists():
        rows = _read_rows(rows_path)
        if [(row["source"], row.get("bytes")) for row in rows] == list(zip(names, sizes, strict=True)):
            return len(files)
    rows, unfinished = [], tar_path.with_suffix(".partial")
    with tarfile.open(unfinished, "w") as shard:
        for path, name, size in zip(files, names, sizes, strict=True):
            row, jpeg = _prepare_one(path, name, options)
            row["bytes"] = size
            if jpeg is not None:
                row["shard"] = number
                member = tarfile.TarInfo(f"{row['sha256']}.jpg")
                member.size = len(jpeg)
                shard.addfile(member, io.BytesIO(jpeg))
            rows.append(row)
    # The rows last: it is they that say, at the next run, that the shard beside them is finished.
    unfinished.replace(tar_path)
    _write_rows(rows_path, rows)
    return len(files)


def _prepare_one(path: Path, name: str, options: PrepareOptions) -> tuple[dict[str, Any], bytes | None]:
    row: dict[str, Any] = {"source": name, "labels": labels_from_name(path.name)}
    try:
        data = path.read_bytes()
        row["sha256"] = hashlib.sha256(data).hexdigest()
        # What serving calls, too: crops of one photograph are the same here and there.
        seen = look(data, options.limits, _shared_finder(), options.crop_size)
        largest = seen.faces[0]
        row["faces"] = len(seen.faces)
        row["landmarks"] = [[round(float(value), 2) for value in point] for point in largest.face.landmarks]
        row["quality"] = {
            name: round(float(getattr(largest.quality, name)), 5)
            for name in ("score", "face_pixels", "sharpness", "yaw", "roll", "brightness")
        }
        if largest.refusal is not None:
            raise largest.refusal
    except FacemixError as error:
        row["refused"] = error.code
        return row, None
    except OSError as error:
        row["refused"] = f"unreadable: {error.strerror}"
        return row, None
    row["thumbnail"] = thumbnail(largest.crop).tobytes().hex()
    buffer = io.BytesIO()
    Image.fromarray(largest.crop).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return row, buffer.getvalue()


def thumbnail(crop: np.ndarray) -> np.ndarray:
    """A tiny grey picture by which near-duplicates are recognised: (THUMBNAIL_SIDE ** 2,) uint8."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA).ravel()


def _finish(out: Path, shards: int, options: PrepareOptions) -> dict[str, Any]:
    rows = [row for number in range(shards) for row in _read_rows(out / f"shard-{number:05d}.jsonl")]
    kept = [row for row in rows if "refused" not in row]
    if not kept:
        raise DatasetError("every photograph was refused", hint=f"see the reasons in {out}/shard-00000.jsonl")
    thumbnails = np.array([np.frombuffer(bytes.fromhex(row.pop("thumbnail")), np.uint8) for row in kept])
    splits, groups = assign_splits([row["sha256"] for row in kept], thumbnails)
    for row, split in zip(kept, splits, strict=True):
        row["split"] = split
    _write_rows(out / "manifest.jsonl", rows)
    summary = {
        "name": options.name,
        "licence": options.licence,
        "format": FORMAT,
        "options_key": options.key,
        "crop_size": options.crop_size,
        "facemix_version": __version__,
        "manifest_sha256": hashlib.sha256((out / "manifest.jsonl").read_bytes()).hexdigest(),
        "shards": shards,
        "photographs": len(rows),
        "kept": len(kept),
        "splits": dict(sorted(Counter(splits).items())),
        "split_rule": SPLIT_RULE,
        "near_duplicates": len(kept) - groups,
        "refused": dict(Counter(row["refused"] for row in rows if "refused" in row).most_common()),
    }
    (out / "dataset.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _check_same_options(out: Path, options: PrepareOptions) -> None:
    stamp = out / "options.key"
    if stamp.exists() and stamp.read_text() != options.key:
        raise DatasetError(
            f"{out} holds a data set made with other options (crop size or alignment)",
            hint="name an empty folder, or delete this one",
        )
    stamp.write_text(options.key)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    unfinished.replace(path)
