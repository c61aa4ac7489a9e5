"""Threads for calls that may hang."""

import asyncio
import threading

import pytest

from facemix.errors import StorageUnavailable
from facemix.web.threads import Threads


class Hanging:
    """A call that hangs until it is let go."""

    def __init__(self):
        self.inside, self.most, self.calls = 0, 0, 0
        self.lock, self.go = threading.Lock(), threading.Event()

    def __call__(self):
        with self.lock:
            self.calls += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.go.wait(60)
        with self.lock:
            self.inside -= 1
        return "made"


def run(test):
    return asyncio.run(asyncio.wait_for(test(), 60))


async def until(condition):
    while not condition():
        await asyncio.sleep(0.002)


def test_a_thread_that_hangs_keeps_its_place_though_who_asked_has_left():
    async def test():
        threads, hanging = Threads(3), Hanging()
        for _ in range(20):
            asking = asyncio.create_task(threads.run(hanging))
            await asyncio.sleep(0.005)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await until(lambda: hanging.inside == 3)
        assert threads.waiting == 0
        waiting = asyncio.create_task(threads.run(lambda: "at last"))
        await until(lambda: threads.waiting == 1)
        assert hanging.calls == 3
        hanging.go.set()
        assert await waiting == "at last"
        assert hanging.calls == hanging.most == 3

    run(test)


def test_what_is_raised_comes_back_and_frees_the_place():
    def refuse():
        raise StorageUnavailable("the disk is full", hint="make room")

    async def test():
        threads = Threads(1)
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await threads.run(refuse)

    run(test)


def test_what_was_made_for_somebody_who_has_left_is_undone():
    async def test():
        threads, hanging, undone = Threads(1), Hanging(), []
        asking = asyncio.create_task(threads.run(hanging, undo=undone.append))
        await until(lambda: hanging.inside)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert undone == []
        hanging.go.set()
        await until(lambda: undone)
        assert undone == ["made"]
        assert await threads.run(lambda: "made", undo=undone.append) == "made"
        assert undone == ["made"]

    run(test)


def test_nothing_is_undone_that_was_never_begun():
    async def test():
        threads, hanging, undone = Threads(1), Hanging(), []
        first = asyncio.create_task(threads.run(hanging))
        await until(lambda: hanging.inside)
        second = asyncio.create_task(threads.run(lambda: undone.append("begun"), undo=undone.append))
        await until(lambda: threads.waiting == 1)
        second.cancel()
        hanging.go.set()
        assert await first == "made"
        assert await threads.run(lambda: "next") == "next"
        assert undone == []

    run(test)
