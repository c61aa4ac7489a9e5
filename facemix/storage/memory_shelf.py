"""The shelf in memory: bounded in bytes, gone with the process."""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from facemix.storage.shelf import (
    Clock,
    Kept,
    checked_limit,
    checked_note,
    cursor_of,
    made,
    missing,
    no_room,
    parse_cursor,
    size_of,
    utc_now,
)
from facemix.storage.tokens import LONG_ID_BYTES, new_id

FEW = 16  # things that are taken off one by one

_Owned = tuple[str, str | None]  # kind and owner


@dataclass
class _Share:
    """The things of one kind and owner; both lists sorted, the soonest end and the oldest first."""

    bytes: int = 0
    ends: list[tuple[datetime, str]] = field(default_factory=list)
    ages: list[tuple[datetime, str]] = field(default_factory=list)


class MemoryShelf:
    """See `Shelf`. For one process; a second one sees nothing of it.

    Args:
        max_bytes: of all things together, with an allowance for what each costs beside its data.
        clock: the time, in UTC.
    """

    waits = False

    def __init__(self, max_bytes: int, clock: Clock = utc_now) -> None:
        self._max_bytes, self._clock = max_bytes, clock
        self._lock = threading.Lock()
        self._things: dict[str, Kept] = {}
        self._shares: dict[_Owned, _Share] = {}
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """What is kept at present, with the allowances."""
        return self._bytes

    def put(self, kind: str, data: bytes, *, owner: str | None, seconds: float, note: str = "") -> Kept:
        kept = self.put_new(kind, new_id(LONG_ID_BYTES), data, owner=owner, seconds=seconds, note=note)
        assert kept is not None  # 128 random bits
        return kept

    def put_new(
        self, kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str = ""
    ) -> Kept | None:
        now = self._clock()
        kept = made(kind, identity, data, owner=owner, seconds=seconds, note=note, now=now)
        with self._lock:
            there = self._things.get(identity)
            if there is not None:
                if there.expires_at > now:
                    return None
                self._remove(there)
            self._make_room((kind, owner), _size(kept), now)
            self._add(kept)
        return kept

    def get(self, kind: str, identity: str, *, owner: str | None) -> Kept:
        with self._lock:
            return self._found(kind, identity, owner, self._clock())

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
        with self._lock:
            now = self._clock()
            kept = self._found(kind, identity, owner, now)
            if was is not None and kept.note != was:
                return False
            changed = replace(
                kept,
                data=kept.data if data is None else data,
                note=kept.note if note is None else checked_note(note),
            )
            grown = _size(changed) - _size(kept)
            share = (kind, kept.owner)
            self._make_room(share, grown, now, spared=identity)
            self._things[identity] = changed
            self._shares[share].bytes += grown
            self._bytes += grown
            return True

    def delete(self, kind: str, identity: str, *, owner: str | None, was: str | None = None) -> None:
        with self._lock:
            kept = self._found(kind, identity, owner, self._clock())
            if was is not None and kept.note != was:
                raise missing(identity)
            self._remove(kept)

    def list(
        self, kind: str, *, owner: str | None, limit: int, after: str | None = None
    ) -> tuple[list[Kept], str | None]:
        checked_limit(limit)
        before = None if after is None else parse_cursor(after)
        if owner is None:
            return [], None
        with self._lock:
            now = self._clock()
            share = self._shares.get((kind, owner), _Share())
            end = len(share.ages) if before is None else bisect_left(share.ages, before)
            found = []
            for _, identity in reversed(share.ages[:end]):
                kept = self._things[identity]
                if kept.expires_at > now:
                    found.append(kept)
                if len(found) > limit:
                    break
        return found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None

    def sweep(self) -> int:
        with self._lock:
            return self._sweep(self._clock())

    # --- with the lock held --------------------------------------------------------------------------------

    def _found(self, kind: str, identity: str, owner: str | None, now: datetime) -> Kept:
        """Raises `RecordMissing`."""
        kept = self._things.get(identity)
        if kept is None or kept.kind != kind or kept.owner not in (None, owner):
            raise missing(identity)
        if kept.expires_at <= now:
            self._remove(kept)
            raise missing(identity)
        return kept

    def _add(self, kept: Kept) -> None:
        share = self._shares.setdefault((kept.kind, kept.owner), _Share())
        self._things[kept.id] = kept
        insort(share.ends, (kept.expires_at, kept.id))
        insort(share.ages, (kept.created_at, kept.id))
        share.bytes += _size(kept)
        self._bytes += _size(kept)

    def _remove(self, kept: Kept) -> None:
        share = self._shares[kept.kind, kept.owner]
        del self._things[kept.id]
        del share.ends[bisect_left(share.ends, (kept.expires_at, kept.id))]
        del share.ages[bisect_left(share.ages, (kept.created_at, kept.id))]
        share.bytes -= _size(kept)
        self._bytes -= _size(kept)
        if not share.ends:
            del self._shares[kept.kind, kept.owner]

    def _remove_all(self, things: Sequence[Kept]) -> None:
        """One by one would move the whole lists for each of them."""
        if len(things) < FEW:
            for kept in things:
                self._remove(kept)
            return
        for kept in things:
            del self._things[kept.id]
            self._shares[kept.kind, kept.owner].bytes -= _size(kept)
            self._bytes -= _size(kept)
        for owned in {(kept.kind, kept.owner) for kept in things}:
            share = self._shares[owned]
            share.ends = [end for end in share.ends if end[1] in self._things]
            share.ages = [age for age in share.ages if age[1] in self._things]
            if not share.ends:
                del self._shares[owned]

    def _sweep(self, now: datetime) -> int:
        expired = [
            self._things[identity]
            for share in self._shares.values()
            for _, identity in share.ends[: bisect_right(share.ends, now, key=lambda end: end[0])]
        ]
        self._remove_all(expired)
        return len(expired)

    def _make_room(self, newcomer: _Owned, size: int, now: datetime, spared: str | None = None) -> None:
        """Drops what must go for `size` more bytes of `newcomer`; never the thing of the id `spared`.

        Raises:
            StorageFull: it would have to push out others that hold less. Nothing but what has expired is dropped.
        """
        if size <= 0 or self._bytes + size <= self._max_bytes:
            return
        self._sweep(now)
        excess = self._bytes + size - self._max_bytes
        held = {owned: share.bytes for owned, share in self._shares.items()}
        held[newcomer] = held.get(newcomer, 0) + size
        largest = [(-count, number, owned) for number, (owned, count) in enumerate(held.items())]
        heapq.heapify(largest)
        waiting = {owned: iter(share.ends) for owned, share in self._shares.items()}
        victims = []
        while excess > 0:
            count, number, owned = largest[0]
            victim = next((self._things[name] for _, name in waiting.get(owned, iter(())) if name != spared), None)
            if victim is None:
                raise no_room(size, self._max_bytes)
            victims.append(victim)
            excess -= _size(victim)
            heapq.heapreplace(largest, (count + _size(victim), number, owned))
        self._remove_all(victims)


def _size(kept: Kept) -> int:
    return size_of(kept.data, kept.note)
