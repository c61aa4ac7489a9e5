import asyncio
import os
import sys
import threading
import time

import pytest

from facemix.errors import DeadlineExceeded, Stopping
from facemix.serving.pool import Pool


@pytest.fixture
def pool():
    made = Pool("work", 1, nice=3)
    yield made
    made.close()


def test_work_runs_in_a_thread_of_the_pool(pool):
    name = asyncio.run(pool.run(lambda: threading.current_thread().name))
    assert name.startswith("work")


def test_an_error_of_the_work_is_the_callers(pool):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(lambda: 1 / 0))


def test_what_has_not_begun_is_taken_back_when_its_caller_leaves(pool):
    done, gate = [], threading.Event()

    async def go():
        first = asyncio.ensure_future(pool.run(gate.wait, 60))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(pool.run(done.append, "second"))
        third = asyncio.ensure_future(pool.run(done.append, "third"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, third)

    asyncio.run(go())
    assert done == ["third"]


def test_a_deadline_that_has_passed_spares_the_work(pool):
    done = []
    with pytest.raises(DeadlineExceeded):
        asyncio.run(pool.run(done.append, 1, deadline=time.monotonic() - 1))
    asyncio.run(pool.run(done.append, 2, deadline=time.monotonic() + 60))
    assert done == [2]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_its_threads_stand_back_and_no_others(pool):
    def nice():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = nice()
    assert asyncio.run(pool.run(nice)) == max(here, 3)
    assert nice() == here


def test_a_closed_pool_says_so_to_those_who_wait_and_to_those_who_come():
    pool, begun, gate = Pool("work", 1), threading.Event(), threading.Event()

    def work():
        begun.set()
        return gate.wait(60)

    async def go():
        first = asyncio.ensure_future(pool.run(work))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(pool.run(print))
        await asyncio.sleep(0)
        pool.close()
        with pytest.raises(Stopping):
            await second
        with pytest.raises(Stopping):
            await pool.run(print)
        gate.set()
        assert await first

    asyncio.run(go())


def test_who_leaves_a_closed_pool_has_left():
    pool, gate = Pool("work", 1), threading.Event()

    async def go():
        first = asyncio.ensure_future(pool.run(gate.wait, 60))
        await asyncio.sleep(0.01)
        first.cancel()
        pool.close()
        await asyncio.gather(first, return_exceptions=True)
        gate.set()
        assert first.cancelled()

    asyncio.run(go())
