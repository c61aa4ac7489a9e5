"""What one request takes, noted by those who do the work, whether it ends well or not.

A request has a meter in its context; tasks and threads that work for it inherit the context, and with it the meter.
What is noted:

    threads of the program   their own processor time (`time.thread_time`) while they worked for this request
    processes that look      their processor time (`time.process_time`): each looks at one photograph at a time
    the model on a CPU       the request's share of the device's seconds, times the model's threads. No clock tells
                             apart whose frames a library's threads compute; they are seldom all busy, so this is too
                             much rather than too little
    the model on a GPU       the same, times one: the thread that waits for the device

Not noted: the event loop (reading a form, writing an answer), what a client that left had begun in a process, and
loading the model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from facemix.serving.types import Cost


class Meter:
    """Thread-safe. `cost` is what was taken of the device, `cpu_seconds` of the processors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cost, self._cpu = Cost(), 0.0

    @property
    def cost(self) -> Cost:
        with self._lock:
            return self._cost

    @property
    def cpu_seconds(self) -> float:
        with self._lock:
            return self._cpu

    def add(self, cpu_seconds: float = 0.0, cost: Cost | None = None) -> None:
        """Notes more of either."""
        with self._lock:
            self._cpu += cpu_seconds
            if cost is not None:
                self._cost += cost


meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


def took(cpu_seconds: float, cost: Cost | None = None) -> None:
    """Notes for the request in whose context this is called; without one, nobody asks."""
    if (mine := meter.get()) is not None:
        mine.add(cpu_seconds, cost)


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter for what is done inside of the block, and for the tasks and threads that are begun there."""
    mine = Meter()
    token = meter.set(mine)
    try:
        yield mine
    finally:
        meter.reset(token)


@contextmanager
def thread_metered() -> Iterator[None]:
    """Notes the calling thread's processor time inside of the block."""
    started = time.thread_time()
    try:
        yield
    finally:
        took(time.thread_time() - started)
