"""What every shelf promises, asked of the one in memory and of the one in either database."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage.database import Database
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.memory_shelf import MemoryShelf
from facemix.storage.shelf import MOST_NOTE_BYTES, Kept

DATA = bytes(range(256))


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(noon):
    return Clock(noon)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request):
    """Makes a shelf. Two of one database share it; one in memory is alone."""
    if request.param == "memory":
        yield lambda clock: MemoryShelf(2**24, clock)
    else:
        with Database.open(request.getfixturevalue(f"{request.param}_url")) as database:
            database.upgrade()
            yield lambda clock: DatabaseShelf(database, 2**24, clock)


@pytest.fixture
def shelf(make, clock):
    return make(clock)


def test_a_thing_comes_back_as_it_was_put(shelf, noon):
    kept = shelf.put("face", DATA, owner=None, seconds=90.5, note='{"ü": 1}')
    assert kept == Kept(kept.id, "face", None, DATA, '{"ü": 1}', noon, noon + timedelta(seconds=90.5))
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", kept.id)
    found = shelf.get("face", kept.id, owner=None)
    assert found == kept
    assert found.expires_at.tzinfo is UTC
    assert shelf.put("face", DATA, owner=None, seconds=1).id != kept.id


def test_what_has_no_owner_is_anybodys_who_has_its_id(shelf):
    kept = shelf.put("face", DATA, owner=None, seconds=60)
    assert shelf.get("face", kept.id, owner="alice").data == DATA
    assert shelf.update("face", kept.id, owner="bob", note="seen")
    shelf.delete("face", kept.id, owner="alice")
    with pytest.raises(RecordMissing):
        shelf.get("face", kept.id, owner=None)


def test_anothers_thing_another_kind_and_no_thing_look_the_same(shelf):
    kept = shelf.put("face", DATA, owner="alice", seconds=60)
    absent = "A" * len(kept.id)

    def told(use, kind, identity, owner) -> str:
        with pytest.raises(RecordMissing) as refused:
            use(kind, identity, owner=owner)
        return str(refused.value).replace(identity[:64], "ID")

    for use in (shelf.get, shelf.delete, lambda *a, **k: shelf.update(*a, **k, data=b"mine")):
        words = {
            told(use, "face", absent, "alice"),
            told(use, "face", kept.id, "bob"),
            told(use, "face", kept.id, None),
            told(use, "job", kept.id, "alice"),
        }
        assert len(words) == 1
    assert shelf.get("face", kept.id, owner="alice") == kept


@pytest.mark.parametrize("identity", ["", "a" * 65, "ü", "a b", "a\0", "\ud800", "../x", "a\n", "%", "x" * 100_000])
def test_an_id_that_none_can_have_is_missing(shelf, identity):
    for use in (shelf.get, shelf.delete, shelf.update):
        with pytest.raises(RecordMissing) as refused:
            use("face", identity, owner=None)
        assert len(str(refused.value)) < 400


def test_it_is_gone_the_moment_it_expires_and_swept_later(shelf, clock):
    short = shelf.put("face", DATA, owner="alice", seconds=10)
    long = shelf.put("face", DATA, owner="alice", seconds=11)
    clock.go_on(10 - 1e-6)
    assert shelf.get("face", short.id, owner="alice") == short
    assert shelf.sweep() == 0
    clock.go_on(1e-6)
    assert [kept.id for kept in shelf.list("face", owner="alice", limit=10)[0]] == [long.id]
    assert shelf.sweep() == 1
    for use in (shelf.get, shelf.delete, shelf.update):
        with pytest.raises(RecordMissing):
            use("face", short.id, owner="alice")
    assert shelf.sweep() == 0
    assert shelf.get("face", long.id, owner="alice") == long


def test_what_has_expired_is_not_found_before_it_is_swept(shelf, clock):
    kept = shelf.put("face", DATA, owner=None, seconds=10)
    clock.go_on(10)
    for use in (shelf.get, shelf.delete, shelf.update):
        with pytest.raises(RecordMissing):
            use("face", kept.id, owner=None)


def test_an_id_is_given_once_until_it_expires(shelf, clock):
    first = shelf.put_new("answer", "key", b"1", owner=None, seconds=10, note="a")
    assert first.id == "key"
    clock.go_on(9)
    assert shelf.put_new("answer", "key", b"2", owner=None, seconds=10) is None
    assert shelf.put_new("job", "key", b"2", owner="alice", seconds=10) is None
    assert shelf.get("answer", "key", owner=None) == first
    clock.go_on(1)
    second = shelf.put_new("job", "key", b"2", owner="alice", seconds=10)
    assert shelf.get("job", "key", owner="alice") == second
    with pytest.raises(RecordMissing):
        shelf.get("answer", "key", owner=None)
    shelf.delete("job", "key", owner="alice")
    assert shelf.put_new("job", "key", b"3", owner=None, seconds=10) is not None


def at_once(count, work):
    """What `work` returned in each of so many threads that began together."""
    barrier = threading.Barrier(count)

    def begin(number):
        barrier.wait(60)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.mark.parametrize("expired", [False, True])
def test_of_many_at_once_one_gets_the_id(make, clock, expired):
    shelf = make(clock)
    for turn in range(5):
        if expired:
            shelf.put_new("answer", f"key{turn}", b"old", owner=None, seconds=1)
    clock.go_on(1)
    for turn in range(5):
        got = at_once(6, lambda n, turn=turn: shelf.put_new("answer", f"key{turn}", bytes([n]), owner=None, seconds=10))
        (winner,) = [kept for kept in got if kept is not None]
        assert shelf.get("answer", f"key{turn}", owner=None) == winner


def test_of_many_at_once_one_changes_the_note_that_all_have_seen(make, clock):
    shelf = make(clock)
    kept = shelf.put("job", b"", owner=None, seconds=10, note="queued")
    won = at_once(6, lambda n: shelf.update("job", kept.id, owner=None, was="queued", note=f"runs in {n}"))
    assert sorted(won) == [False] * 5 + [True]
    assert shelf.get("job", kept.id, owner=None).note == f"runs in {won.index(True)}"


def test_changing_keeps_the_expiry_and_what_is_not_named(shelf, clock, noon):
    kept = shelf.put("job", DATA, owner="alice", seconds=10, note="queued")
    clock.go_on(5)
    assert shelf.update("job", kept.id, owner="alice", note="running")
    assert shelf.update("job", kept.id, owner="alice", data=b"result", was="running")
    assert not shelf.update("job", kept.id, owner="alice", data=b"late", note="late", was="queued")
    assert not shelf.update("job", kept.id, owner="alice", was="queued")
    assert shelf.update("job", kept.id, owner="alice")
    found = shelf.get("job", kept.id, owner="alice")
    assert (found.data, found.note) == (b"result", "running")
    assert (found.created_at, found.expires_at) == (kept.created_at, kept.expires_at)
    assert shelf.update("job", kept.id, owner="alice", data=b"", note="")
    found = shelf.get("job", kept.id, owner="alice")
    assert (found.data, found.note) == (b"", "")


def test_it_is_deleted_only_while_its_note_is_the_one_that_was_seen(shelf):
    kept = shelf.put("job", DATA, owner=None, seconds=10, note="mine")
    with pytest.raises(RecordMissing):
        shelf.delete("job", kept.id, owner=None, was="another's")
    shelf.delete("job", kept.id, owner=None, was="mine")
    with pytest.raises(RecordMissing):
        shelf.delete("job", kept.id, owner=None)


def pages(shelf, limit, owner="alice"):
    after, found = None, []
    while True:
        items, after = shelf.list("face", owner=owner, limit=limit, after=after)
        found.append([kept.note for kept in items])
        if after is None:
            return found


def test_pages_run_from_the_newest_to_the_oldest(shelf, clock):
    for number in range(7):
        shelf.put("face", DATA, owner="alice", seconds=60, note=str(number))
        clock.go_on(number % 2)  # some at the very same moment
    shelf.put("face", DATA, owner="bob", seconds=60)
    shelf.put("face", DATA, owner=None, seconds=60)
    shelf.put("job", DATA, owner="alice", seconds=60)
    found = pages(shelf, 3)
    assert [len(page) for page in found] == [3, 3, 1]
    notes = [note for page in found for note in page]
    assert sorted(notes) == list("0123456")
    assert [int(note) // 2 for note in notes] == sorted((int(note) // 2 for note in notes), reverse=True)
    assert pages(shelf, 7) == [notes]  # exactly full: no empty page after it
    (everything,) = pages(shelf, 100)
    assert everything == notes


def test_a_page_is_the_same_whatever_is_put_or_goes_meanwhile(shelf, clock):
    things = []
    for number in range(6):
        things.append(shelf.put("face", DATA, owner="alice", seconds=60, note=str(number)))
        clock.go_on(1)
    first, after = shelf.list("face", owner="alice", limit=2)
    assert [kept.note for kept in first] == ["5", "4"]
    shelf.put("face", DATA, owner="alice", seconds=60, note="new")
    shelf.delete("face", things[4].id, owner="alice")  # the very one that the cursor points at
    shelf.delete("face", things[2].id, owner="alice")
    second, after = shelf.list("face", owner="alice", limit=2, after=after)
    assert [kept.note for kept in second] == ["3", "1"]
    third, after = shelf.list("face", owner="alice", limit=2, after=after)
    assert [kept.note for kept in third] == ["0"]
    assert after is None
    assert second[0].data == DATA


def test_what_belongs_to_nobody_is_never_listed(shelf):
    shelf.put("face", DATA, owner=None, seconds=60)
    assert shelf.list("face", owner=None, limit=10) == ([], None)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "ü", "\0", "A" * 10_000, "LTEuYQ", "MTIzLg", "OTk5OTk5OTk5OTk5OTk5OTk5LmE", "MQ", "\ud800"],
)
def test_a_cursor_that_nobody_was_given_is_refused(shelf, cursor):
    for owner in ("alice", None):
        with pytest.raises(RequestInvalid, match="cursor"):
            shelf.list("face", owner=owner, limit=10, after=cursor)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_page_has_one_to_a_hundred_things(shelf, limit):
    with pytest.raises(RequestInvalid, match="limit"):
        shelf.list("face", owner="alice", limit=limit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"kind": ""},
        {"kind": "Face"},
        {"identity": ""},
        {"identity": "a/b"},
        {"note": "\0"},
        {"note": "x" * (MOST_NOTE_BYTES + 1)},
    ],
)
def test_what_only_a_mistake_can_ask_for_is_an_error(shelf, wrong):
    given = {"kind": "face", "identity": "a", "data": DATA, "owner": None, "seconds": 1.0, **wrong}
    with pytest.raises(ValueError):
        shelf.put_new(**given)
    shelf.put_new("face", "a", DATA, owner=None, seconds=1)
    if "note" in wrong:
        with pytest.raises(ValueError):
            shelf.update("face", "a", owner=None, note=wrong["note"])


def test_large_things_are_kept_whole(shelf):
    data = bytes(range(256)) * 8192  # 2 MiB, with every byte there is
    kept = shelf.put("result", data, owner=None, seconds=10)
    assert shelf.get("result", kept.id, owner=None).data == data
