import asyncio
import gc
import weakref

import pytest

from facemix.errors import DeadlineExceeded, FaceNotFound
from facemix.serving.cache import Cache
from facemix.serving.observer import Observer


class Kept:
    """A value that can be watched."""

    def __len__(self) -> int:
        return 6


class Looks(Observer):
    def __init__(self) -> None:
        self.hits: list[bool] = []

    def cache(self, name, hit):
        assert name == "things"
        self.hits.append(hit)


def made(**changes):
    looks = Looks()
    options = {"max_bytes": 100, "seconds": 60, "size": len, "observer": looks, **changes}
    return Cache("things", **options), looks


def maker(value, calls, gate=None):
    async def make():
        calls.append(value)
        if gate is not None:
            await gate.wait()
        return value

    return make


def test_a_value_is_made_once():
    async def go():
        cache, looks = made()
        calls = []
        assert [await cache.get("a", maker(b"one", calls)) for _ in range(3)] == [b"one"] * 3
        assert await cache.get("b", maker(b"two", calls)) == b"two"
        assert calls == [b"one", b"two"]
        assert looks.hits == [False, True, True, False]
        assert cache.bytes == 6
        cache.clear()
        assert cache.bytes == 0
        await cache.get("a", maker(b"one", calls))
        assert calls == [b"one", b"two", b"one"]

    asyncio.run(go())


def test_memory_is_bounded_and_the_least_recently_used_go_first():
    async def go():
        cache, _ = made()
        calls = []
        for key in "ab":
            await cache.get(key, maker(key.encode() * 40, calls))
        await cache.get("a", maker(b"", calls))
        await cache.get("c", maker(b"c" * 40, calls))
        assert cache.bytes == 80
        await cache.get("a", maker(b"", calls))
        await cache.get("b", maker(b"again", calls))
        assert calls == [b"a" * 40, b"b" * 40, b"c" * 40, b"again"]
        # What is larger than the whole cache is handed out and not kept.
        assert await cache.get("d", maker(b"d" * 101, calls)) == b"d" * 101
        assert cache.bytes <= 100

    asyncio.run(go())


def test_values_expire():
    async def go():
        cache, _ = made(seconds=0.01)
        calls = []
        await cache.get("a", maker(b"a", calls))
        await asyncio.sleep(0.02)
        assert cache.bytes == 0
        await cache.get("a", maker(b"a", calls))
        assert len(calls) == 2

    asyncio.run(go())


def test_an_idle_cache_forgets_by_itself():
    async def go():
        cache, _ = made(seconds=0.01)
        kept = Kept()
        left = weakref.ref(kept)

        async def make():
            return left()

        await cache.get("a", make)
        del kept
        gc.collect()
        assert left() is not None
        await asyncio.sleep(0.15)
        gc.collect()
        assert left() is None

    asyncio.run(go())


@pytest.mark.parametrize("off", [{"max_bytes": 0}, {"seconds": 0}])
def test_switched_off_it_keeps_nothing_but_still_shares_what_is_under_way(off):
    async def go():
        cache, _ = made(**off)
        calls, gate = [], asyncio.Event()
        both = asyncio.gather(*(cache.get("a", maker(b"a", calls, gate)) for _ in range(2)))
        await asyncio.sleep(0)
        gate.set()
        assert await both == [b"a", b"a"]
        assert len(calls) == 1
        await cache.get("a", maker(b"a", calls))
        assert len(calls) == 2
        assert cache.bytes == 0

    asyncio.run(go())


def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    async def go():
        cache, _ = made()
        gate, calls = asyncio.Event(), []

        async def fail():
            await gate.wait()
            raise FaceNotFound("no face", hint="another photo")

        waiting = asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
        await asyncio.sleep(0)
        gate.set()
        assert [type(error) for error in await waiting] == [FaceNotFound] * 3
        assert await cache.get("a", maker(b"a", calls)) == b"a"

    asyncio.run(go())


def test_who_leaves_takes_nothing_from_the_others():
    async def go():
        cache, _ = made()
        calls, gate = [], asyncio.Event()
        first, second = (asyncio.ensure_future(cache.get("a", maker(b"a", calls, gate))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await second == b"a"
        assert calls == [b"a"]
        assert first.cancelled()

    asyncio.run(go())


def test_when_all_have_left_the_work_is_given_up():
    async def go():
        cache, _ = made()
        given_up = []

        async def work():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                given_up.append(True)
                raise

        waiting = [asyncio.ensure_future(cache.get("a", work)) for _ in range(2)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0)
        assert given_up == [True]
        assert await cache.get("a", maker(b"new", [])) == b"new"

    asyncio.run(go())


def test_the_deadline_of_one_caller_is_not_that_of_the_next():
    async def go():
        cache, _ = made()
        gate = asyncio.Event()

        async def too_late():
            await gate.wait()
            raise DeadlineExceeded("late", hint="later")

        first = asyncio.ensure_future(cache.get("a", too_late))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(cache.get("a", maker(b"in time", [])))
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(DeadlineExceeded):
            await first
        assert await second == b"in time"

    asyncio.run(go())


def test_a_peek_makes_nothing_and_counts_as_no_hit():
    async def go():
        cache, looks = made()
        calls = []
        assert cache.peek("a") is None
        await cache.get("a", maker(b"one", calls))
        assert cache.peek("a") == b"one"
        assert (calls, looks.hits) == ([b"one"], [False])
        cache.clear()
        assert cache.peek("a") is None
        assert made(max_bytes=0)[0].peek("a") is None

    asyncio.run(go())


def test_what_is_dropped_while_it_is_worked_out_is_not_kept():
    async def go():
        cache, _ = made()
        going, go_on = asyncio.Event(), asyncio.Event()

        async def make():
            going.set()
            await go_on.wait()
            return b"value"

        task = asyncio.ensure_future(cache.get("unwanted", make))
        await going.wait()
        cache.drop(lambda key: key == "unwanted")
        go_on.set()
        assert await task == b"value"  # who waits gets it
        assert cache.peek("unwanted") is None

    asyncio.run(go())
