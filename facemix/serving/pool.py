"""Threads for what is done beside the model: reading photographs, finding faces, writing files."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from facemix.errors import DeadlineExceeded, Stopping
from facemix.serving.meter import thread_metered

T = TypeVar("T")


class Pool:
    """Work that has not begun is taken back when its caller leaves, and refused when its deadline has passed.

    Args:
        threads: at least 1.
        nice: how far these threads stand back for the event loop and the model when cores are short (Linux only).
    """

    def __init__(self, name: str, threads: int, *, nice: int = 0) -> None:
        self.threads = threads
        self._closed = False
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=stand_back, initargs=(nice,))

    async def run(self, work: Callable[..., T], *args: object, deadline: float | None = None) -> T:
        """Runs `work(*args)` in a thread.

        Args:
            deadline: on the clock of `time.monotonic`.

        Raises:
            DeadlineExceeded: no thread was free before it.
            Stopping: the pool is closed, or was before the work began.
        """
        context = contextvars.copy_context()  # so that what is logged carries the id of the request
        try:
            future = self._executor.submit(context.run, _metered, deadline, work, args)
        except RuntimeError as error:
            raise stopping() from error
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise stopping() from None  # nobody left: the pool took the work back
            raise

    def close(self) -> None:
        """Takes nothing new, and gives up what has not begun."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)


def in_time(deadline: float | None, work: Callable[..., T], args: tuple[object, ...]) -> T:
    """`work(*args)`, unless its deadline has passed. Raises `DeadlineExceeded`."""
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded("it waited past its deadline", hint="try again later", retry_after=2)
    return work(*args)


def _metered(deadline: float | None, work: Callable[..., T], args: tuple[object, ...]) -> T:
    with thread_metered():
        return in_time(deadline, work, args)


def stopping() -> Stopping:
    """What is told to those whose work a closed pool gives up."""
    return Stopping("the server is stopping", hint="try again in a moment", retry_after=2)


def stand_back(nice: int) -> None:
    """Lets the calling thread, and those that it starts, give way to others (Linux only)."""
    if nice and sys.platform == "linux":  # where a thread has a priority of its own
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))
