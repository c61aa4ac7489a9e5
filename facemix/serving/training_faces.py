"""Pictures of training faces, where the operator has the data set that the model was trained on."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from facemix.errors import DatasetError

_DIGITS = 16  # of a hash, as the index has them


class TrainingFaces:
    """Reads single crops of a prepared data set. May be used by several threads.

    Args:
        folder: as `facemix prepare` leaves it.

    Raises:
        DatasetError: it holds no prepared data set.
    """

    def __init__(self, folder: Path) -> None:
        from facemix.training.dataset import read_summary  # which brings torch along

        read_summary(folder)
        self._folder = folder
        self._places: dict[str, tuple[int, str]] = {}  # by the beginning of the hash: shard, whole hash
        with (folder / "manifest.jsonl").open(encoding="utf-8") as manifest:
            for row in map(json.loads, manifest):
                if row.get("split") == "train":
                    self._places[row["sha256"][:_DIGITS]] = row["shard"], row["sha256"]

    def picture(self, beginning: str) -> np.ndarray | None:
        """The crop of the photograph whose SHA-256 begins so: (S, S, 3) uint8; None where there is none.

        Raises:
            DatasetError: its shard cannot be read.
        """
        if beginning not in self._places:
            return None
        number, sha256 = self._places[beginning]
        path = self._folder / f"shard-{number:05d}.tar"
        try:
            with tarfile.open(path) as shard:
                member = shard.extractfile(f"{sha256}.jpg")
                if member is None:
                    raise KeyError(sha256)
                with Image.open(io.BytesIO(member.read()), formats=["JPEG"]) as image:
                    return np.asarray(image.convert("RGB"))
        except (OSError, KeyError, tarfile.TarError) as error:
            raise DatasetError(
                f"{path} cannot be read: {error}", hint="delete that shard and run `facemix prepare` again"
            ) from error
