"""Faces of nobody, written into a folder with what is known of them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from io import StringIO
from pathlib import Path
from typing import Any

import torch

import facemix
from facemix.cli.files import make_folder, write
from facemix.cli.marking import release_for_files
from facemix.errors import AttributesMissing, RequestInvalid
from facemix.mixing.attributes import AttributeReader
from facemix.serving.batcher import Served
from facemix.serving.engine import Engine
from facemix.web.release import sample_recipe

SHARD = 1000  # files in a folder
CHUNK = 64  # faces decoded at once
MANIFEST, LABELS, NOTE = "manifest.json", "labels.csv", "LICENCE-NOTE.md"
_DIGITS = 6  # of the labels, after the point

_NOTE = """# Terms of these faces

The pictures in this folder were drawn by {model}, whose weights have the SHA-256
{weights}. They show nobody: each is the decoding of a
random draw. A face may resemble somebody all the same.

The weights' card says of their terms: {licence}

Take the pictures, and models that are trained on them, as under the same terms.

Attributes in `{labels}` are readings of linear probes, in steps of the model's attribute directions. They say what a
picture looks like to these probes, not who anybody is; a gender label is the data set's label.
{terms}"""


class SampleRun:
    """One run of `facemix sample`. A face that lies there already is left as it is: files are written whole or not.

    Raises:
        AttributesMissing: labels are wanted of a model that has no directions.
        RequestInvalid: the folder holds faces of another model, seed or format.
    """

    def __init__(self, engine: Engine, out: Path, *, count: int, seed: int, kind: str, labels: bool) -> None:
        self._engine, self._out, self._count, self._seed, self._kind = engine, out, count, seed, kind
        self._reader = None
        if labels:
            if engine.directions is None:
                raise AttributesMissing(
                    f"{engine.identity} has no attribute directions", hint="leave the option out", where="--labels"
                )
            self._reader = AttributeReader(engine.directions, engine.prior)
        self._release = release_for_files()
        self._identity = {
            "model": engine.identity.model_dump(mode="json"),
            "seed": seed,
            "format": kind,
            "label": self._release.marker.label,
            "mark": self._release.marker.mark,
        }
        self._check_folder()

    def work(self, on_progress: Callable[[int, int], None]) -> int:
        """Writes what is missing, and returns how many faces that were.

        Raises:
            RequestInvalid: the folder cannot be written to.
        """
        write(self._out / MANIFEST, _json(self._described(complete=False)))
        write(self._out / NOTE, self._licence_note().encode())
        files: dict[str, str] = {}
        rows: list[list[object]] = []
        written = 0
        for numbers, z, drawn in self._drawn():
            for place, (number, new) in enumerate(zip(numbers, drawn, strict=True)):
                path = self._path(number)
                if new is not None:
                    make_folder(path.parent)
                    recipe = sample_recipe(self._engine.identity, number, self._seed)
                    data = self._release.picture(new, f"image/{self._kind}", recipe)
                    write(path, data)
                    written += 1
                else:
                    data = path.read_bytes()
                name = path.relative_to(self._out).as_posix()
                files[name] = hashlib.sha256(data).hexdigest()
                if self._reader is not None:
                    rows.append([name, number, *self._labels(z[place])])
            on_progress(len(files), self._count)
        if self._reader is not None:
            write(self._out / LABELS, self._table(rows))
        write(self._out / MANIFEST, _json(self._described(complete=True) | {"files": files}))
        return written

    def _drawn(self) -> Iterator[tuple[range, torch.Tensor, list[Any]]]:
        """Chunks of numbers with their latents and pictures, None for one that is there. While one chunk is written,
        the next is decoded."""
        waiting: tuple[range, torch.Tensor, list[bool], Future[Served] | None] | None = None
        for start in (*range(0, self._count, CHUNK), None):
            following = None if start is None else self._begun(range(start, min(start + CHUNK, self._count)))
            if waiting is not None:
                numbers, z, there, future = waiting
                pictures = iter(() if future is None else future.result().rows)
                yield numbers, z, [None if known else next(pictures) for known in there]
            waiting = following

    def _begun(self, numbers: range) -> tuple[range, torch.Tensor, list[bool], Future[Served] | None]:
        z = torch.stack([self._engine.draw(number, seed=self._seed) for number in numbers])
        there = [self._path(number).is_file() for number in numbers]
        missing = z[[not known for known in there]]
        return numbers, z, there, self._engine.submit_decode(missing.numpy()) if len(missing) else None

    def _path(self, number: int) -> Path:
        return self._out / f"{number // SHARD:04d}" / f"{number:07d}.{self._kind}"

    def _labels(self, z: torch.Tensor) -> list[float]:
        assert self._reader is not None  # who asks for labels has looked
        return [round(float(value), _DIGITS) for value in (self._reader.typicality(z), *self._reader.read(z).tolist())]

    def _table(self, rows: Sequence[Sequence[object]]) -> bytes:
        assert self._engine.directions is not None
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "number", "typicality", *self._engine.directions.names])
        writer.writerows(rows)
        return text.getvalue().encode()

    def _described(self, *, complete: bool) -> dict[str, Any]:
        return {
            "version": 1,
            "facemix": facemix.__version__,
            **self._identity,
            "backend": self._engine.backend,
            "size": self._engine.crop_size,
            "count": self._count,
            "labels": LABELS if self._reader is not None else None,
            "complete": complete,
        }

    def _check_folder(self) -> None:
        try:
            known = json.loads((self._out / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if any(self._out.iterdir()):
                raise RequestInvalid(
                    "the folder is not empty, and there is no manifest of samples in it",
                    hint="name an empty folder, or one that is not there yet",
                    where=str(self._out),
                ) from None
            return
        except (OSError, ValueError):
            known = None
        if isinstance(known, dict):
            known = {"label": False, "mark": False, **known}  # as before there were any
        if not isinstance(known, dict) or {name: known.get(name) for name in self._identity} != self._identity:
            raise RequestInvalid(
                "the folder holds something else than faces of this model, seed, format, label and mark",
                hint="name another folder",
                where=str(self._out),
            )

    def _licence_note(self) -> str:
        identity, card = self._engine.identity, self._engine.card
        beside = self._engine.folder.parent / "LICENSE-WEIGHTS.md"
        terms = f"\n{beside.read_text(encoding='utf-8').strip()}\n" if beside.is_file() else ""
        return _NOTE.format(
            model=identity, weights=identity.weights, licence=card["licence"], labels=LABELS, terms=terms
        )


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()
