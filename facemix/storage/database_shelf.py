"""The shelf in the database, for several processes, and for things that are to outlive a restart."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy import delete as delete_from
from sqlalchemy import update as update_of
from sqlalchemy.dialects import postgresql, sqlite

from facemix.storage.database import DELETE_BATCH, Database
from facemix.storage.shelf import (
    OVERHEAD_BYTES,
    Clock,
    Kept,
    checked_id,
    checked_limit,
    checked_note,
    cursor_of,
    fair_share,
    made,
    missing,
    no_room,
    parse_cursor,
    size_of,
    utc_now,
)
from facemix.storage.tables import shelf
from facemix.storage.tokens import LONG_ID_BYTES, new_id

_COLUMNS = tuple(shelf.c[name] for name in Kept.__slots__)


class DatabaseShelf:
    """See `Shelf`. What has expired is found no more at once, and deleted by `sweep`, which also keeps the bound: until
    it is called the shelf may hold more.

    Args:
        database: upgraded.
        max_bytes: of all things together, with an allowance for what each costs beside its data.
        clock: the time, in UTC. Processes that share the table should agree about it to within seconds.
    """

    waits = True

    def __init__(self, database: Database, max_bytes: int, clock: Clock = utc_now) -> None:
        self._database, self._max_bytes, self._clock = database, max_bytes, clock

    def put(self, kind: str, data: bytes, *, owner: str | None, seconds: float, note: str = "") -> Kept:
        kept = self.put_new(kind, new_id(LONG_ID_BYTES), data, owner=owner, seconds=seconds, note=note)
        assert kept is not None  # 128 random bits
        return kept

    def put_new(
        self, kind: str, identity: str, data: bytes, *, owner: str | None, seconds: float, note: str = ""
    ) -> Kept | None:
        self._check_size(data, note)
        now = self._clock()
        kept = made(kind, identity, data, owner=owner, seconds=seconds, note=note, now=now)
        row = {name: getattr(kept, name) for name in Kept.__slots__}
        insert = sqlite.insert if self._database.engine.dialect.name == "sqlite" else postgresql.insert
        # One statement: what has expired and was not swept yet makes way, what lives stays, whoever else tries.
        wanted = (
            insert(shelf)
            .values(row)
            .on_conflict_do_update(index_elements=[shelf.c.id], set_=row, where=shelf.c.expires_at <= now)
            .returning(shelf.c.id)
        )
        with self._database.writing() as connection:
            return None if connection.execute(wanted).one_or_none() is None else kept

    def get(self, kind: str, identity: str, *, owner: str | None) -> Kept:
        with self._database.reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(*self._his(kind, identity, owner))).one_or_none()
        if row is None:
            raise missing(identity)
        return Kept(*row)

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
        his = self._his(kind, identity, owner)
        values: dict[str, str | bytes] = {}
        if data is not None:
            values["data"] = data
        if note is not None:
            values["note"] = checked_note(note)
        self._check_size(data or b"", note or "")
        with self._database.writing() as connection:
            if values:
                wanted = update_of(shelf).where(*his, *_still(was)).values(values)
                if connection.execute(wanted).rowcount:
                    return True
            found = connection.execute(select(shelf.c.note).where(*his)).scalar_one_or_none()
        if found is None:
            raise missing(identity)
        return not values and was in (None, found)

    def delete(self, kind: str, identity: str, *, owner: str | None, was: str | None = None) -> None:
        wanted = delete_from(shelf).where(*self._his(kind, identity, owner), *_still(was))
        with self._database.writing() as connection:
            found = connection.execute(wanted).rowcount
        if not found:
            raise missing(identity)

    def list(
        self, kind: str, *, owner: str | None, limit: int, after: str | None = None
    ) -> tuple[list[Kept], str | None]:
        checked_limit(limit)
        columns = shelf.c
        conditions = [columns.kind == kind, columns.owner == owner, columns.expires_at > self._clock()]
        if after is not None:
            at, identity = parse_cursor(after)
            conditions.append(or_(columns.created_at < at, and_(columns.created_at == at, columns.id < identity)))
        if owner is None:
            return [], None
        wanted = (
            select(*_COLUMNS).where(*conditions).order_by(columns.created_at.desc(), columns.id.desc()).limit(limit + 1)
        )
        with self._database.reading() as connection:
            found = [Kept(*row) for row in connection.execute(wanted)]
        return found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None

    def sweep(self) -> int:
        expired = self._database.delete_where(shelf, shelf.c.expires_at <= self._clock())
        return expired + self._trim()

    def _trim(self) -> int:
        """Drops what is too much; how many things that were. Of several processes that do so at once each picks the
        same ones."""
        columns = shelf.c
        size = func.length(columns.data) + func.length(columns.note) + OVERHEAD_BYTES
        by_share = select(columns.kind, columns.owner, func.sum(size)).group_by(columns.kind, columns.owner)
        with self._database.reading() as connection:
            shares = [(kind, owner, int(held)) for kind, owner, held in connection.execute(by_share)]
        share = fair_share((held for _, _, held in shares), self._max_bytes)
        dropped = 0
        for kind, owner, held in shares if share is not None else ():
            his = (columns.kind == kind, columns.owner.is_(None) if owner is None else columns.owner == owner)
            soonest = select(columns.id, size).where(*his).order_by(columns.expires_at, columns.id).limit(DELETE_BATCH)
            while held > share:
                with self._database.writing() as connection:
                    victims = []
                    for identity, count in connection.execute(soonest):
                        if held > share:
                            victims.append(identity)
                            held -= count
                    found = connection.execute(delete_from(shelf).where(columns.id.in_(victims))).rowcount
                if not found:
                    break
                dropped += found
        return dropped

    def _check_size(self, data: bytes, note: str) -> None:
        """Raises `StorageFull` for what would never fit."""
        if size_of(data, note) > self._max_bytes:
            raise no_room(size_of(data, note), self._max_bytes)

    def _his(self, kind: str, identity: str, owner: str | None) -> tuple[ColumnElement[bool], ...]:
        """What picks the row. Raises `RecordMissing` for an id that none can have."""
        columns = shelf.c
        free = columns.owner.is_(None)
        return (
            columns.id == checked_id(identity),
            columns.kind == kind,
            columns.expires_at > self._clock(),
            free if owner is None else or_(free, columns.owner == owner),
        )


def _still(was: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if was is None else (shelf.c.note == was,)
