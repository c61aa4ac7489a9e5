"""Batches: from an archive or a list to mixes, and from those to an archive with a manifest."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from anyio import to_thread

from facemix.errors import FaceGone, FacemixError, PhotographMissing, RequestInvalid, Stopping
from facemix.imaging.encode import MEDIA_TYPES
from facemix.mixing.recipe import Edits
from facemix.serving import batch
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.types import FrameSpec, LatentInput, MixResult, ParentFace
from facemix.settings import Settings
from facemix.web.archives import Archive
from facemix.web.inputs_json import mix_from_body
from facemix.web.job_work import GivenItem
from facemix.web.jobs import Progress, Result
from facemix.web.judging import About
from facemix.web.leaving import kept_record
from facemix.web.many_faces import check_alone
from facemix.web.mixes import frames_of_mix, mix_resolved
from facemix.web.parents import GivenFace, Resolver
from facemix.web.problems import internal_error
from facemix.web.schemas_batches import BatchBody
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput, Wanted, check_keep, check_number
from facemix.web.work import with_patience

log = logging.getLogger("facemix.web")

# Eight photographs with weights of their own in every region and in the colours are a hundred.
VALUES_OF_ITEM = 400
_LONGEST_TABLE = 1024 * 1024
_UNPACKED = 4  # times the largest body: photographs hardly shrink when they are packed


@dataclass(frozen=True)
class Item:
    """One mix of a batch. `read` gives what is wanted when its turn comes, or raises why it cannot be."""

    number: int
    name: str
    read: Callable[[], MixInput] = field(repr=False)


@dataclass(frozen=True)
class BatchInput:
    """A batch as it was asked for.

    Attributes:
        bytes: memory that its photographs take until it is done.
        faces: ids of faces whose detail is carried, and at the most what side of a result; None for the usual one.
    """

    items: tuple[Item, ...]
    bytes: int
    faces: Mapping[str, int | None] = field(default_factory=dict)


def batch_from_json(body: BatchBody, settings: Settings, size: int) -> BatchInput:
    """size: bytes of the request.

    Raises:
        RequestInvalid: too many items, and what `mix_from_body` refuses; `where` begins with the item.
    """
    if len(body.items) > settings.max_items:
        raise _too_many(len(body.items), settings)
    items = []
    faces: dict[str, int | None] = {}
    for index, one in enumerate(body.items):
        try:
            wanted = mix_from_body(one, settings)
            check_alone(wanted.wanted.edits, "a batch")
        except FacemixError as error:
            error.where = f"items.{index}" + (f".{error.where}" if error.where else "")
            raise
        items.append(Item(index + 1, one.name or f"mix {index + 1}", partial(_given, wanted)))
        edits = wanted.wanted.edits
        for parent in wanted.parents if edits.detail else ():
            if isinstance(parent, GivenFace):
                faces[parent.face_id] = max(faces.get(parent.face_id) or 0, edits.size or 0) or None
    return BatchInput(tuple(items), size, faces)


def batch_from_archive(data: bytes, settings: Settings, image_format: str, portable: bool) -> BatchInput:
    """Of the archive only the table is unpacked here; the photographs are when their turn comes.

    Raises:
        RequestInvalid, BodyTooLarge: see `Archive` and `read_table`; there is no table, or more than one.
    """
    archive = Archive(data, most_bytes=_UNPACKED * settings.max_body_bytes)
    tables = [name for name in archive.names if PurePosixPath(name).name == batch.TABLE]
    if len(tables) != 1:
        raise RequestInvalid(
            f"there are {len(tables)} files {batch.TABLE} in the archive", hint="put in one", where="archive"
        )
    (table,) = tables
    text = archive.read(table, _LONGEST_TABLE)
    if len(text) > _LONGEST_TABLE:
        raise RequestInvalid(f"the table is larger than {_LONGEST_TABLE} bytes", hint="split it", where=table)
    folder = PurePosixPath(table).parent

    def photo(name: str) -> bytes:
        return archive.read(str(folder / name), settings.max_upload_bytes)  # the decoder refuses one byte too many

    def read(row: batch.Row) -> MixInput:
        if isinstance(row.wish, FacemixError):
            raise row.wish
        wish = row.wish
        check_number(len(wish.sources), settings, f"{len(wish.sources)} faces were given")
        check_keep(wish.edits)
        wanted = Wanted(wish.edits, wish.prompt, wish.negative_prompt)
        return MixInput(wish.parents(photo), wanted, image_format, portable)

    rows = batch.read_table(text, where=table)
    if len(rows) > settings.max_items:
        raise _too_many(len(rows), settings)
    return BatchInput(tuple(Item(row.number, row.name, partial(read, row)) for row in rows), len(data))


async def hold_faces(
    state: ServerState, mixer: MixerLike, wanted: BatchInput, owner: str | None, held: HeldCuts, deadline: float
) -> None:
    """Puts into `held` what detail takes of the faces that the batch names by their ids. What is not kept any more is
    left out: the manifest will say so."""
    for identity, side in wanted.faces.items():
        try:
            kept = await state.stores.faces.get(identity, owner=owner)
            face = LatentInput(kept.z, identity, 1.0, kept.parent)
            spec = FrameSpec((1.0,), Edits(detail=1.0, size=side))
            await mixer.hold_cuts(held, [face], [ParentFace(identity, None, None)], [spec], deadline=deadline)
        except (FaceGone, PhotographMissing):
            continue


async def make_batch(
    state: ServerState,
    mixer: MixerLike,
    items: Sequence[Item],
    whose: About,
    progress: Progress,
    held: HeldCuts | None = None,
) -> Result:
    """An archive of all that can be made, with a manifest that says what became of each.

    Args:
        held: what is held of faces by id, see `hold_faces`.

    Raises:
        Stopping: the server takes nothing new.
    """
    progress.model, progress.weights = str(mixer.model), mixer.model.weights
    packed = BytesIO()
    entries, given = [], []
    with zipfile.ZipFile(packed, "w") as made:
        for item in items:
            try:
                entry, data, one = await _one(state, mixer, item, whose, progress, held)
                await to_thread.run_sync(_pack, made, entry["file"], data)
                given.append(one)
            except Stopping:
                raise
            except FacemixError as error:
                entry = batch.failed(item.number, item.name, error)
            except Exception:
                log.exception("an item of a batch failed")
                entry = batch.failed(item.number, item.name, internal_error())
            entries.append(entry)
            progress.advance()
        document = batch.manifest(mixer.model, entries)
        _pack(made, batch.MANIFEST, json.dumps(document, indent=1).encode())
    failed = document["failed"]
    for one in given:  # nobody is to have a mix of which the ledger knows nothing
        state.account_item(one)
    notes = (f"{failed} of {len(items)} failed; {batch.MANIFEST} says why.",) if failed else ()
    return Result(packed.getvalue(), "application/zip", "facemix-batch.zip", notes)


async def _one(
    state: ServerState, mixer: MixerLike, item: Item, whose: About, progress: Progress, held: HeldCuts | None
) -> tuple[dict[str, Any], bytes, GivenItem]:
    """What the manifest says of it, its file, and what the ledger is to know."""
    wanted = await to_thread.run_sync(item.read)
    stores = state.stores

    async def mix(deadline: float) -> MixResult:
        resolve = Resolver(mixer, stores.faces, stores.saved, whose.owner, deadline, state.photo_limits, held)
        return await mix_resolved(resolve, mixer, wanted, deadline)

    result = await with_patience(state, frames_of_mix(wanted), mix)
    progress.cost += result.cost
    await state.release.judged(whose, result.image[None], result.recipe, result.parents, [result.margin])
    picture = state.release.picture
    data = await mixer.write(picture, result.image, wanted.image_format, result.recipe, result.parents)
    file = batch.result_name(item.number, item.name, MEDIA_TYPES[wanted.image_format][0])
    digest = hashlib.sha256(data).hexdigest()
    record = kept_record(state, mixer, result.recipe, result.parents, result.margin)
    given = GivenItem(
        whose.request_id, "batch", whose.owner, result.recipe.model, result.recipe.hash, whose.consent, record
    )
    return batch.made(item.number, item.name, file, digest, result.recipe, result.notes), data, given


def _given(wanted: MixInput) -> MixInput:
    return wanted


def _pack(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # The time at which it was packed would make equal results differ.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def _too_many(count: int, settings: Settings) -> RequestInvalid:
    return RequestInvalid(
        f"the batch has {count} items", hint=f"this server takes at most {settings.max_items} at once", where="items"
    )
