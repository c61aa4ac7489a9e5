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

from facemix.errors import DeadlineExceeded

T = TypeVar("T")


class Pool:
    """Work that has not begun is taken back when its caller leaves, and refused when its deadline has passed.

    Args:
        threads: at least 1.
        nice: how far these threads stand back for the event loop and the model when cores are short (Linux only).
    """

    def __init__(self, name: str, threads: int, *, nice: int = 0) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_stand_back, initargs=(nice,))

    async def run(self, work: Callable[..., T], *args: object, deadline: float | None = None) -> T:
        """Runs `work(*args)` in a thread.

        Args:
            deadline: on the clock of `time.monotonic`.

        Raises:
            DeadlineExceeded: no thread was free before it.
        """
        context = contextvars.copy_context()  # so that what is logged carries the id of the request
        return await asyncio.wrap_future(self._executor.submit(context.run, _in_time, deadline, work, args))

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _in_time(deadline: float | None, work: Callable[..., T], args: tuple[object, ...]) -> T:
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded("it waited past its deadline", hint="try again later", retry_after=2)
    return work(*args)


def _stand_back(nice: int) -> None:
    if nice and sys.platform == "linux":  # where a thread has a priority of its own
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))
