"""Photographs from files, results into files, and what is said about both."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from facemix.errors import RequestInvalid
from facemix.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.mixing.notes import Note
    from facemix.mixing.recipe import Edits, PlacedPoints
    from facemix.serving.types import MixResult, ParentFace, ParentInput

SAMPLE = "sample:"


def read_bytes(path: str | Path, limit: int) -> bytes:
    """A file's bytes, one more than `limit` at most. Raises `RequestInvalid`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:  # a ValueError for a name with a null byte
        raise RequestInvalid(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            hint="name an existing file that you may read",
            where=str(path),
        ) from error


def parent(photo: str, weight: float, face: int | None, placed: PlacedPoints | None = None) -> ParentInput:
    """What is named on the command line as one of the photos. Raises `RequestInvalid`."""
    from facemix.serving.types import PhotoInput, SampleInput

    if photo.startswith(SAMPLE):
        number = photo.removeprefix(SAMPLE)
        if not (number.isascii() and number.isdigit() and int(number) < 2**31):
            raise RequestInvalid(f"{photo!r} names no sample", hint="write sample:0, sample:1, ...")
        if placed is not None:
            raise RequestInvalid(f"{photo} is no photo", hint="place points in photos only", where="--placed")
        return SampleInput(int(number), where=photo, weight=weight)
    if placed is not None and face:
        raise RequestInvalid(
            f"face {face} was chosen, and a face was placed by hand", hint="give 0 for it in --faces", where=photo
        )
    # The decoder refuses what is one byte too long.
    data = read_bytes(photo, load_settings().max_upload_bytes)
    return PhotoInput(data, where=photo, face=face, weight=weight, placed=placed)


def check_targets(photos: Iterable[str], *targets: Path | None) -> None:
    """Refuses to write over a photo, or twice to one file. Raises `RequestInvalid`."""
    given = [target for target in targets if target is not None]
    for target in given:
        if any(_same_file(target, photo) for photo in photos):
            raise RequestInvalid(f"{target} is one of the photos", hint="write the result to another file")


def check_recipe_target(recipe: Path | None, output: Path) -> None:
    """Raises `RequestInvalid` where both are one file."""
    if recipe is not None and recipe.absolute() == output.absolute():
        raise RequestInvalid(f"{recipe} is the output, too", hint="write the recipe to another file", where="--recipe")


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all. Raises `RequestInvalid`."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise RequestInvalid(
            f"cannot be written: {error.strerror}", hint="name a file in an existing, writable folder", where=str(path)
        ) from error


def make_folder(folder: Path) -> None:
    """Raises `RequestInvalid`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestInvalid(
            f"cannot be made: {error.strerror}", hint="name a folder that you may write to", where=str(folder)
        ) from error


def report(used: Sequence[ParentFace], notes: Sequence[Note] = ()) -> None:
    """Says on stderr what a person should know about photos and result."""
    for face in used:
        _report_face(face)
    for note in notes:
        print(f"note: {note.message}", file=sys.stderr)


def smaller(edits: Edits, frames: np.ndarray) -> tuple[Note, ...]:
    """A note where faces, (N, S, S, 3), are smaller than the edits ask for, which only photographs cause."""
    from facemix.mixing.notes import Note

    side = frames.shape[1]
    if edits.size is None or side >= edits.size:
        return ()
    told = f"The face is drawn {side} pixels wide instead of {edits.size}: the photographs have no more of it."
    return (Note("smaller", told),)


def face_of(result: MixResult) -> np.ndarray:
    """The face of a mix by itself, (1, S, S, 3), whatever it was put onto."""
    return (result.image if result.face is None else result.face)[None]


def _report_face(face: ParentFace) -> None:
    if face.photo is None or face.chosen is None:
        return
    for note in face.photo.notes:
        print(f"{face.where}: note: {note}", file=sys.stderr)
    if len(face.photo.faces) > 1:
        print(
            f"{face.where}: note: {len(face.photo.faces)} faces were found, face {face.chosen.index} is used; "
            "--faces chooses another",
            file=sys.stderr,
        )
    for _, sentence in face.chosen.quality.warnings:
        print(f"{face.where}: warning: {sentence}", file=sys.stderr)


def _same_file(target: Path, photo: str) -> bool:
    source = Path(photo)
    try:
        return target.exists() and source.exists() and target.samefile(source)
    except (OSError, ValueError):
        return False  # it cannot be read either, which is said when it is
