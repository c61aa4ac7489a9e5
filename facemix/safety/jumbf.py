"""Content credentials of a photograph, without what shows or tells of the person in it.

A manifest store is a tree of boxes (JUMBF, ISO 19566-5). What others have put into it may be a thumbnail of the
photograph, or where and by whom it was taken. C2PA lets whoever builds on a manifest redact such assertions: who signed
it, what was done, and the hashes stay, and so does the signature, which covers the assertions' hashes only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# What says how a file came to be. Everything else is redacted; the first two may not be, by the specification.
_KEPT = ("c2pa.actions", "c2pa.hash.", "c2pa.ingredient", "org.contentauth.archive.", "org.facemix.")
_EMPTY = {b"cbor": b"\xa0", b"json": b"{}"}  # the content of an assertion that is about to be redacted
_MOST_BOXES = 4096
_LABEL_AT = 8 + 16 + 1  # after the header, the kind, and the flags of a description box


class NotReadable(Exception):
    """The boxes are not such that all that they hold is known."""


def hollowed(store: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The store with the redactable assertions of all its manifests emptied, and their addresses.

    Whoever signs something with it lists these as redacted, and they go altogether.

    Raises:
        NotReadable: a box is not whole, or of a kind in which pictures could be that are not found here.
    """
    budget = [_MOST_BOXES]
    roots = list(_boxes(store, 0, budget))
    if len(roots) != 1 or roots[0][0] != b"jumb":
        raise NotReadable("not one manifest store")
    label, description, rest = _superbox(store, budget)
    if label != "c2pa":
        raise NotReadable(f"a store called {label!r}")
    redacted: list[str] = []
    manifests = [_manifest(_jumb(kind, body), budget, redacted) for kind, body in rest]
    return _box(b"jumb", description + b"".join(manifests)), tuple(redacted)


def _manifest(box: bytes, budget: list[int], redacted: list[str]) -> bytes:
    manifest, description, rest = _superbox(box, budget)
    parts = [description]
    for kind, body in rest:
        part = _jumb(kind, body)
        label = _superbox(part, budget)[0]
        if label == "c2pa.assertions":
            part = _assertions(part, manifest, budget, redacted)
        elif not label.startswith(("c2pa.claim", "c2pa.signature")):
            raise NotReadable(f"a part called {label!r}")
        parts.append(part)
    return _box(b"jumb", b"".join(parts))


def _assertions(box: bytes, manifest: str, budget: list[int], redacted: list[str]) -> bytes:
    _, description, rest = _superbox(box, budget)
    parts = [description]
    for kind, body in rest:
        part = _jumb(kind, body)
        label, about, contents = _superbox(part, budget)
        if not label.startswith(_KEPT):
            redacted.append(f"self#jumbf=/c2pa/{manifest}/c2pa.assertions/{label}")
            emptied = (_box(one, inner if one == b"bfdb" else _EMPTY.get(one, b"")) for one, inner in contents)
            part = _box(b"jumb", about + b"".join(emptied))
        parts.append(part)
    return _box(b"jumb", b"".join(parts))


def _superbox(box: bytes, budget: list[int]) -> tuple[str, bytes, list[tuple[bytes, bytes]]]:
    """A superbox's label, its description box, and the kinds and bodies of the boxes after that."""
    inside = list(_boxes(box, 8, budget))
    if not inside or inside[0][0] != b"jumd":
        raise NotReadable("a box without a description")
    description = _box(*inside[0])
    label, end, _ = description[_LABEL_AT:].partition(b"\0")
    if not end:
        raise NotReadable("a box without a label")
    try:
        return label.decode("ascii"), description, inside[1:]
    except UnicodeDecodeError as error:
        raise NotReadable("a label that is not ASCII") from error


def _boxes(data: bytes, start: int, budget: list[int]) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each box from `start` to the end."""
    while start < len(data):
        budget[0] -= 1
        if budget[0] < 0:
            raise NotReadable(f"more than {_MOST_BOXES} boxes")
        if len(data) - start < 8:
            raise NotReadable("a box that is cut off")
        size, kind = struct.unpack_from(">I4s", data, start)
        if not 8 <= size <= len(data) - start:  # 0 and 1 announce sizes that no store of use here has
            raise NotReadable(f"a box of {size} bytes")
        yield kind, data[start + 8 : start + size]
        start += size


def _jumb(kind: bytes, body: bytes) -> bytes:
    if kind != b"jumb":
        raise NotReadable(f"a box of the kind {kind!r}")
    return _box(kind, body)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body
