"""A table's mixes, written into a folder as they are done."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facemix.cli.engines import said
from facemix.cli.files import face_of, make_folder, read_bytes, smaller, write
from facemix.cli.likeness import likeness_for_files
from facemix.cli.marking import release_for_files
from facemix.errors import FacemixError, Internal, RequestInvalid
from facemix.imaging.encode import MediaType
from facemix.mixing.recipe import Edits, parent_name
from facemix.serving import batch
from facemix.serving.batch import MANIFEST, Row, Wish
from facemix.serving.blocking import BlockingMixer
from facemix.serving.tuning import cores
from facemix.serving.types import ParentInput, PhotoInput
from facemix.settings import load_settings

log = logging.getLogger("facemix.batch")

JOURNAL = "manifest.jsonl"  # of a run that has not ended
_LONGEST_TABLE = 64 * 1024 * 1024


@dataclass(frozen=True)
class Summary:
    """What became of a table. `strays`: files called as results are, which no row of the table has made."""

    rows: int
    made: int
    skipped: int
    failures: tuple[dict[str, Any], ...]
    strays: tuple[str, ...] = ()


class BatchRun:
    """One run of `facemix batch`.

    Raises:
        RequestInvalid: the table or the folder cannot be used.
    """

    def __init__(
        self, table: Path, out: Path, extension: str, media_type: MediaType, *, portable: bool = False
    ) -> None:
        self._out, self._extension, self._media_type, self._portable = out, extension, media_type, portable
        data = read_bytes(table, _LONGEST_TABLE)
        if len(data) > _LONGEST_TABLE:
            raise RequestInvalid("the table is larger than 64 MB", hint="split it", where=str(table))
        self._folder = table.resolve().parent
        self._limit = load_settings().max_upload_bytes
        self._rows = batch.read_table(data, where=str(table))
        self._check_targets()
        self._release, self._likeness = release_for_files(), likeness_for_files()
        make_folder(out)
        self._known = self._finished()

    def work(self, mixer: BlockingMixer, workers: int | None, on_progress: Callable[[int, int], None]) -> Summary:
        """Makes what is not there yet, and the manifest. A row that fails stops no other.

        Raises:
            RequestInvalid: the folder cannot be written to.
        """
        entries: list[dict[str, Any]] = []
        skipped = 0
        pool = ThreadPoolExecutor(workers or cores(), thread_name_prefix="row")
        try:
            with (self._out / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write("\n")  # the line before may have been cut off
                for future in as_completed([pool.submit(self._make, mixer, row) for row in self._rows]):
                    entry, fresh = future.result()
                    entries.append(entry)
                    skipped += not fresh
                    if fresh and "file" in entry:
                        journal.write(json.dumps(entry) + "\n")
                        journal.flush()
                    on_progress(len(entries), len(self._rows))
        except OSError as error:
            raise RequestInvalid(
                f"cannot be written: {error.strerror}", hint="free space, or name another folder", where=str(self._out)
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
        write(self._out / MANIFEST, (json.dumps(batch.manifest(mixer.model, entries), indent=1) + "\n").encode())
        (self._out / JOURNAL).unlink(missing_ok=True)
        failures = tuple(sorted((one for one in entries if "problem" in one), key=lambda one: one["number"]))
        return Summary(len(entries), len(entries) - skipped - len(failures), skipped, failures, self._strays(entries))

    def _strays(self, entries: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        """Files that are called as results are, and stand in no entry: of rows that were there once, or fail now."""
        listed = {entry.get("file") for entry in entries}
        there = (path.name for path in self._out.iterdir() if batch.RESULT_NAME.fullmatch(path.name))
        return tuple(sorted(name for name in there if name not in listed))

    def _make(self, mixer: BlockingMixer, row: Row) -> tuple[dict[str, Any], bool]:
        """What became of a row, and whether that is new."""
        try:
            if isinstance(row.wish, FacemixError):
                raise row.wish
            _check_keep(row.wish.edits)
            return self._mixed(mixer, row, row.wish)
        except FacemixError as error:
            return batch.failed(row.number, row.name, error), True
        except Exception as error:
            log.exception("row %d failed", row.number)
            return batch.failed(row.number, row.name, _defect(error)), True

    def _mixed(self, mixer: BlockingMixer, row: Row, wish: Wish) -> tuple[dict[str, Any], bool]:
        parents = wish.parents(self._read)
        edits, notes = said(mixer, wish.edits, wish.prompt, wish.negative_prompt)
        file = batch.result_name(row.number, row.name, self._extension)
        inputs = self._fingerprint(mixer, parents, edits.model_dump_json())
        known = self._known.get(file)
        if known is not None and known.get("inputs") == inputs and self._is_whole(known):
            return known | {"number": row.number, "name": row.name}, False
        result = mixer.mix(parents, edits)
        self._likeness.check_mix(result)
        recipe = result.recipe.portable(result.latents) if self._portable else result.recipe
        data = self._release.picture(result.image, self._media_type, recipe, result.parents)
        write(self._out / file, data)
        digest = hashlib.sha256(data).hexdigest()
        notes = (*notes, *result.notes, *smaller(edits, face_of(result)))
        return batch.made(row.number, row.name, file, digest, recipe, notes, inputs=inputs), True

    def _read(self, name: str) -> bytes:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            raise RequestInvalid("a link leads out of the table's folder", hint="copy the photograph", where=name)
        try:
            return read_bytes(path, self._limit)
        except RequestInvalid as error:
            error.where = name
            raise

    def _fingerprint(self, mixer: BlockingMixer, parents: Sequence[ParentInput], edits: str) -> str:
        """SHA-256 of all that decides what the file holds."""
        told = [
            [hashlib.sha256(one.data).hexdigest() if isinstance(one, PhotoInput) else one.where, one.weight]
            for one in parents
        ]
        marker = self._release.marker
        put_on = [marker.label, marker.mark, marker.credentials is not None]
        whole = [mixer.model.model_dump(), told, edits, self._media_type, self._portable, put_on]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def _is_whole(self, entry: dict[str, Any]) -> bool:
        try:
            data = (self._out / entry["file"]).read_bytes()
        except OSError:
            return False
        return hashlib.sha256(data).hexdigest() == entry.get("sha256")

    def _finished(self) -> dict[str, dict[str, Any]]:
        """What earlier runs have made, by file."""
        entries: list[Any] = []
        for name, read in ((MANIFEST, _listed), (JOURNAL, _journalled)):
            try:
                entries += read((self._out / name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # there is none, or it is none of ours: everything is made again
        return {one["file"]: one for one in entries if isinstance(one, dict) and isinstance(one.get("file"), str)}

    def _check_targets(self) -> None:
        """Refuses a folder in which a result would take a photograph's place."""
        named = [source for row in self._rows if isinstance(row.wish, Wish) for source in row.wish.sources]
        photos = {(self._folder / source).resolve() for source in named if isinstance(source, str)}
        results = [self._out / batch.result_name(row.number, row.name, self._extension) for row in self._rows]
        for result in (*results, self._out / MANIFEST, self._out / JOURNAL):
            if result.resolve() in photos:
                raise RequestInvalid(
                    f"{result} is one of the photos", hint="write the results to another folder", where="--out"
                )


def _listed(text: str) -> list[Any]:
    document = json.loads(text)
    return document["items"] if isinstance(document, dict) and isinstance(document.get("items"), list) else []


def _journalled(text: str) -> list[Any]:
    entries = []
    for line in text.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue  # an empty line, or one that was cut off
    return entries


def _check_keep(edits: Edits) -> None:
    """Raises `RequestInvalid` where a row keeps something of the photographs and carries none of their detail."""
    if edits.detail:
        return
    for trait, whose in edits.keep.items():
        said = "it is mixed" if whose == "mixed" else f"it names parent {parent_name(whose)}"
        raise RequestInvalid(
            f"{said}, and nothing of the photographs is in a mix without their detail",
            hint=f"write detail in the row, as in 1, or leave keep:{trait} empty",
            where=f"keep:{trait}",
        )


def _defect(error: Exception) -> Internal:
    return Internal(f"{type(error).__name__}: {error}", hint="this is a defect of facemix")
