"""The shelf: one small store of things that expire: faces, jobs with their results, answers to be given again.

Two kinds of it: `MemoryShelf`, bounded and gone with the process, and `DatabaseShelf`, which several processes share.
Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from facemix.errors import RecordMissing, RequestInvalid, StorageFull

MOST_NOTE_BYTES = 32_768
MOST_LISTED = 100
OVERHEAD_BYTES = 1024  # what a thing costs beside its data and note, generously
LONGEST_SECONDS = 10 * 366 * 86400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_CURSOR = re.compile(r"(?P<micros>[0-9]{1,18})\.(?P<id>[A-Za-z0-9_-]{1,64})\Z")

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing on the shelf.

    Attributes:
        id: URL-safe characters; unique among all kinds.
        kind: what it is, a word of whoever put it there.
        owner: name of the API key whose it is; None means whoever has the id.
        data: the thing itself.
        note: a little text beside it, JSON by custom, that can be changed without writing `data` again.
        created_at, expires_at: in UTC. From `expires_at` on it is not found any more.
    """

    id: str
    kind: str
    owner: str | None
    data: bytes
    note: str
    created_at: datetime
    expires_at: datetime


class Shelf(Protocol):
    """What every shelf can do; all methods are thread-safe. Every method raises `StorageUnavailable` when what is
    behind it does not answer.

    A shelf is bounded in bytes. When they are used up, things go before their time, those that expire soonest first,
    but only of the kinds and owners that hold the most. So a flood pushes out its own and nothing else. To drop
    whatever expires soonest would let a flood of faces take away everybody's jobs and answers; to refuse would let it
    lock everybody out until it expires. (The rule of a router that drops from its longest queue: Suter et al., INFOCOM
    1998.)

    An `owner` is whoever asks: the name of an API key, or None. A thing without an owner is anybody's who has its id.
    One that is another's is not told from one that was never there.
    """

    waits: bool
    """Whether its methods may wait for a disk or a server, so that an event loop must call them in a thread."""

    def put(self, kind: str, data: bytes, *, owner: str | None, seconds: float, note: str = "") -> Kept:
        """Keeps a thing under a new id.

        Args:
            seconds: how long, above 0.

        Raises:
            StorageFull: there is no room for it.
        """
        ...

    def put_new(
        self, kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str = ""
    ) -> Kept | None:
        """Keeps a thing under an id of the caller's, unless that is taken: then None, and what is there stays.

        Of several callers at once exactly one gets the id. One that has expired is free.

        Args:
            identity: 1 to 64 URL-safe characters. Without an owner nothing else guards the thing: an id that can be
                guessed is a thing that can be read.

        Raises:
            StorageFull: there is no room for it.
        """
        ...

    def get(self, kind: str, identity: str, *, owner: str | None) -> Kept:
        """Raises `RecordMissing`: unknown, expired, of another kind, or another's."""
        ...

    def update(
        self,
        kind: str,
        identity: str,
        *,
        owner: str | None,
        data: bytes | None = None,
        note: str | None = None,
        was: str | None = None,
    ) -> bool:
        """Changes what is not None; when it expires stays as it is.

        Args:
            was: change it only while its note is still this one, in one step: of several callers at once one succeeds.

        Returns:
            False if the note is another than `was`, and nothing was changed.

        Raises:
            RecordMissing: see `get`.
            StorageFull: there is no room for it; what was there stays.
        """
        ...

    def delete(self, kind: str, identity: str, *, owner: str | None, was: str | None = None) -> None:
        """Deletes it at once.

        Args:
            was: only while its note is this one.

        Raises:
            RecordMissing: see `get`; or the note is another than `was`.
        """
        ...

    def list(
        self, kind: str, *, owner: str | None, limit: int, after: str | None = None
    ) -> tuple[list[Kept], str | None]:
        """The owner's things, newest first, and the cursor of the page after this one, None after the last.

        What is put while somebody turns pages shifts none of them. Things without an owner are never listed: their
        ids are all that guards them. The data come along, so what is large belongs under a kind that nobody lists.

        Args:
            limit: how many at most, 1 to 100.
            after: a cursor of an earlier page; None begins with the newest.

        Raises:
            RequestInvalid: the limit is out of range, or the cursor is none.
        """
        ...

    def sweep(self) -> int:
        """Frees what has expired, which nobody finds any more; how many things that were."""
        ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def made(kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str, now: datetime) -> Kept:
    """A thing to be kept.

    Raises:
        ValueError: the caller's mistake: a malformed kind or id, a lifetime that is none, a note that is too long.
    """
    if not _KIND.match(kind) or not _ID.match(identity):
        raise ValueError(f"{kind!r} and {identity!r} cannot name a thing on the shelf")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"nothing can be kept for {seconds} seconds")
    return Kept(identity, kind, owner, data, checked_note(note), now, now + timedelta(seconds=seconds))


def size_of(data: bytes, note: str) -> int:
    """What a thing counts for where bytes are bounded."""
    return OVERHEAD_BYTES + len(data) + len(note.encode())


def fair_share(held: Iterable[int], most: int) -> int | None:
    """The most that each may hold of `most` if those who hold less give the rest to those who hold more (max-min
    fairness). None if all that is held fits."""
    sizes = sorted(held)
    for number, size in enumerate(sizes):
        share = most // (len(sizes) - number)
        if size > share:
            return share
        most -= size
    return None


def no_room(size: int, most: int) -> StorageFull:
    return StorageFull(
        f"{size} more bytes find no room on the shelf, which holds {most}",
        hint="try again later, or with less; the operator may raise FACEMIX_KEEP_BYTES",
    )


def checked_note(note: str) -> str:
    """Raises ValueError for one that is too long, or that not every database takes."""
    if len(note.encode()) > MOST_NOTE_BYTES or "\0" in note:
        raise ValueError(f"a note has at most {MOST_NOTE_BYTES} bytes and no NUL")
    return note


def checked_id(identity: str) -> str:
    """Raises `RecordMissing` for text that no shelf need be asked about (or that a database would not even take)."""
    if not _ID.match(identity):
        raise missing(identity)
    return identity


def missing(identity: str) -> RecordMissing:
    return RecordMissing(f"there is nothing under {identity[:64]!r}", hint="it may have expired or been deleted")


def checked_limit(limit: int) -> int:
    """Raises `RequestInvalid`."""
    if not 1 <= limit <= MOST_LISTED:
        raise RequestInvalid(f"limit is {limit}", hint=f"ask for 1 to {MOST_LISTED} at a time", where="limit")
    return limit


def cursor_of(kept: Kept) -> str:
    """Where the page after one that ends with `kept` begins."""
    micros = (kept.created_at - _EPOCH) // _MICROSECOND
    return urlsafe_b64encode(f"{micros}.{kept.id}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[datetime, str]:
    """When the last thing of the page before was put, and its id.

    Raises:
        RequestInvalid: nobody was given such a cursor.
    """
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        match = _CURSOR.match(text)
        if match is not None:
            return _EPOCH + int(match["micros"]) * _MICROSECOND, match["id"]
    except (ValueError, OverflowError):  # not base64, not ASCII, beyond the year 9999
        pass
    raise RequestInvalid(
        f"the cursor {cursor[:40]!r} cannot be read", hint="take it from `next` of the page before", where="cursor"
    )
