from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, StorageFull, StorageUnavailable
from facemix.storage import database_shelf as module
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.shelf import OVERHEAD_BYTES, fair_share

SIZE = OVERHEAD_BYTES + 1000  # of a thing with a thousand bytes


def put(shelf, kind="face", *, owner=None, seconds=10.0, note=""):
    """A thing of `SIZE` bytes, whatever is noted on it."""
    return shelf.put(kind, bytes(1000 - len(note)), owner=owner, seconds=seconds, note=note)


def alive(shelf, *things):
    """The notes of those that are still there."""
    found = []
    for kept in things:
        try:
            found.append(shelf.get(kept.kind, kept.id, owner=kept.owner).note)
        except RecordMissing:
            continue
    return found


@pytest.mark.parametrize("batch", [2, 1000])
def test_a_sweep_drops_what_is_too_much_of_who_holds_the_most(database, monkeypatch, batch):
    monkeypatch.setattr(module, "DELETE_BATCH", batch)
    shelf = DatabaseShelf(database, 10 * SIZE)
    mine = put(shelf, owner="alice", seconds=1, note="mine")
    job = put(shelf, "job", seconds=1, note="job")
    flood = [put(shelf, seconds=100 + number, note=str(number)) for number in range(20)]
    assert shelf.sweep() == 12
    assert alive(shelf, mine, job, *flood) == ["mine", "job", *(str(number) for number in range(12, 20))]
    assert shelf.sweep() == 0


def test_what_has_expired_makes_room_first(database, noon):
    now = [noon]
    shelf = DatabaseShelf(database, 3 * SIZE, lambda: now[0])
    old = [put(shelf, seconds=1, note="old") for _ in range(3)]
    now[0] += timedelta(seconds=1)
    young = [put(shelf, note=str(number)) for number in range(3)]
    assert shelf.sweep() == 3
    assert alive(shelf, *old, *young) == list("012")


def test_what_would_never_fit_is_refused_at_once(database):
    shelf = DatabaseShelf(database, 3 * SIZE)
    kept = put(shelf, note="small")
    with pytest.raises(StorageFull):
        shelf.put("face", bytes(3 * SIZE), owner=None, seconds=10)
    with pytest.raises(StorageFull):
        shelf.update("face", kept.id, owner=None, data=bytes(3 * SIZE))
    assert shelf.get("face", kept.id, owner=None) == kept


def test_a_database_without_tables_is_refused_in_words(empty):
    shelf = DatabaseShelf(empty, 3 * SIZE)
    for use in (
        lambda: put(shelf),
        lambda: shelf.get("face", "a", owner=None),
        lambda: shelf.update("face", "a", owner=None, note="x"),
        lambda: shelf.delete("face", "a", owner=None),
        lambda: shelf.list("face", owner="alice", limit=1),
        shelf.sweep,
    ):
        with pytest.raises(StorageUnavailable, match="no tables"):
            use()


def test_another_process_finds_the_same_things(url):
    with Database.open(url) as one, Database.open(url) as two:
        one.upgrade()
        kept = put(DatabaseShelf(one, 10 * SIZE), owner="alice", note="x")
        there = DatabaseShelf(two, 10 * SIZE)
        assert there.get("face", kept.id, owner="alice") == kept
        there.delete("face", kept.id, owner="alice")
        with pytest.raises(RecordMissing):
            DatabaseShelf(one, 10 * SIZE).get("face", kept.id, owner="alice")


@pytest.mark.parametrize(
    ("held", "most", "share"),
    [
        ([], 10, None),
        ([10], 10, None),
        ([11], 10, 10),
        ([5, 5], 10, None),
        ([1, 20], 10, 9),
        ([20, 1, 20], 11, 5),
        ([4, 4, 4], 10, 3),
        ([0, 0, 1], 0, 0),
    ],
)
def test_a_fair_share_takes_only_from_those_who_hold_more(held, most, share):
    assert fair_share(held, most) == share
    if share is not None:
        assert sum(min(size, share) for size in held) <= most
