import random
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, StorageFull
from facemix.storage import memory_shelf as module
from facemix.storage.memory_shelf import MemoryShelf
from facemix.storage.shelf import OVERHEAD_BYTES

SIZE = OVERHEAD_BYTES + 1000  # of a thing with a thousand bytes


class Clock:
    def __init__(self, now) -> None:
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock(noon):
    return Clock(noon)


def put(shelf, kind="face", *, owner=None, seconds=10.0, note=""):
    """A thing of `SIZE` bytes, whatever is noted on it."""
    return shelf.put(kind, bytes(1000 - len(note)), owner=owner, seconds=seconds, note=note)


def alive(shelf, *things):
    """The notes of those that are still there."""
    found = []
    for kept in things:
        with suppress(RecordMissing):
            found.append(shelf.get(kept.kind, kept.id, owner=kept.owner).note)
    return found


def test_when_it_is_full_the_first_to_expire_goes(clock):
    shelf = MemoryShelf(3 * SIZE, clock)
    things = [put(shelf, "face", owner=None, seconds=s, note="") for s in (30, 10, 20)]
    assert shelf.held_bytes == 3 * SIZE
    newest = put(shelf, "face", owner=None, seconds=5)
    assert shelf.held_bytes == 3 * SIZE
    with pytest.raises(RecordMissing):
        shelf.get("face", things[1].id, owner=None)
    for kept in (things[0], things[2], newest):
        shelf.get("face", kept.id, owner=None)


def test_what_has_expired_goes_first(clock):
    shelf = MemoryShelf(3 * SIZE, clock)
    old = put(shelf, "face", owner="bob", seconds=1, note="old")
    others = [put(shelf, "face", owner="alice", seconds=10, note=str(n)) for n in range(2)]
    clock.now += timedelta(seconds=1)
    put(shelf, "face", owner="alice", seconds=10)
    assert alive(shelf, old, *others) == ["0", "1"]


def test_a_flood_pushes_out_nothing_but_its_own(clock):
    shelf = MemoryShelf(10 * SIZE, clock)
    mine = put(shelf, "face", owner="alice", seconds=1, note="mine")
    job = put(shelf, "job", owner=None, seconds=1, note="job")
    answer = put(shelf, "answer", owner=None, seconds=1, note="answer")
    for _ in range(100):
        put(shelf, "face", owner=None, seconds=1000)
    assert alive(shelf, mine, job, answer) == ["mine", "job", "answer"]
    assert shelf.held_bytes == 10 * SIZE


def test_who_comes_late_finds_room_at_the_cost_of_who_has_most(clock):
    shelf = MemoryShelf(10 * SIZE, clock)
    flood = [put(shelf, "face", owner=None, seconds=100 + n, note=str(n)) for n in range(10)]
    late = [put(shelf, "face", owner="alice", seconds=1, note=f"late {n}") for n in range(5)]
    assert alive(shelf, *flood, *late) == [*"56789", *(f"late {n}" for n in range(5))]
    # From here on both have as much: each further thing replaces one of its own.
    put(shelf, "face", owner="alice", seconds=1)
    assert len(alive(shelf, *flood)) == 5


def test_what_would_push_out_those_who_have_less_is_refused_and_nothing_is_lost(clock):
    shelf = MemoryShelf(4 * SIZE, clock)
    small = [put(shelf, "face", owner=name, seconds=10, note=name) for name in "abcd"]
    with pytest.raises(StorageFull):
        shelf.put("result", bytes(3000), owner="e", seconds=10)
    with pytest.raises(StorageFull):
        shelf.put("result", bytes(5 * SIZE), owner="e", seconds=10)
    with pytest.raises(StorageFull):
        shelf.update("face", small[0].id, owner="a", data=bytes(3000))
    assert alive(shelf, *small) == list("abcd")
    assert shelf.get("face", small[0].id, owner="a") == small[0]
    assert shelf.held_bytes == 4 * SIZE


def test_a_thing_that_grows_makes_room_and_never_loses_itself(clock):
    shelf = MemoryShelf(4 * SIZE, clock)
    things = [put(shelf, "job", owner="a", seconds=s, note=str(s)) for s in (1, 2, 3, 4)]
    assert shelf.update("job", things[0].id, owner="a", data=bytes(999 + SIZE))  # it would be the first to go
    assert alive(shelf, *things) == ["1", "3", "4"]
    assert shelf.held_bytes == 4 * SIZE
    assert shelf.update("job", things[0].id, owner="a", data=b"")
    assert shelf.held_bytes == 3 * SIZE - 999


def test_nothing_is_held_after_a_sweep_of_an_idle_server(clock):
    shelf = MemoryShelf(2**20, clock)
    for number in range(50):
        put(shelf, f"kind{number % 3}", owner=f"owner{number % 5}", seconds=1 + number % 2)
    clock.now += timedelta(seconds=1)
    assert shelf.sweep() == 25
    assert shelf.held_bytes == 25 * SIZE
    clock.now += timedelta(seconds=1)
    assert shelf.sweep() == 25
    assert shelf.held_bytes == 0
    assert not shelf._things
    assert not shelf._shares


@pytest.mark.parametrize("few", [1, 16])
def test_the_count_is_exact_after_whatever_happens(clock, monkeypatch, few):
    """Against a plain sum, over random work."""
    monkeypatch.setattr(module, "FEW", few)
    shelf, rng, ids = MemoryShelf(60 * SIZE, clock), random.Random(5), []
    for _ in range(3000):
        kind, owner = rng.choice("ab"), rng.choice((None, "x", "y"))
        match rng.randrange(6):
            case 0 | 1 | 2:
                data = bytes(rng.randrange(3000))
                ids.append((kind, shelf.put(kind, data, owner=owner, seconds=rng.randrange(1, 50)).id, owner))
            case 3 if ids:
                kind, identity, owner = rng.choice(ids)
                with suppress(RecordMissing, StorageFull):
                    shelf.update(
                        kind, identity, owner=owner, data=bytes(rng.randrange(5000)), note="n" * rng.randrange(9)
                    )
            case 4 if ids:
                kind, identity, owner = ids.pop(rng.randrange(len(ids)))
                with suppress(RecordMissing):
                    shelf.delete(kind, identity, owner=owner)
            case 5:
                clock.now += timedelta(seconds=rng.random() * 3)
        assert 0 <= shelf.held_bytes <= 60 * SIZE
        things = shelf._things.values()
        assert shelf.held_bytes == sum(OVERHEAD_BYTES + len(t.data) + len(t.note) for t in things)
        shares = shelf._shares.values()
        assert sum(share.bytes for share in shares) == shelf.held_bytes
        assert sum(len(share.ends) for share in shares) == sum(len(share.ages) for share in shares) == len(things)
    assert len(ids) > 100


def test_threads_share_it(clock):
    shelf, failures = MemoryShelf(50 * SIZE, clock), []

    def work(number):
        try:
            for _ in range(300):
                kept = put(shelf, "face", owner=str(number), seconds=10)
                shelf.list("face", owner=str(number), limit=10)
                shelf.sweep()
                try:
                    shelf.update("face", kept.id, owner=str(number), note="x")
                    shelf.delete("face", kept.id, owner=str(number))
                except RecordMissing:
                    pass
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert shelf.held_bytes == 0
