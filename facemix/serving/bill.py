"""What one request took: how long each of its stages, and what of the device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from facemix.serving.observer import Observer
from facemix.serving.types import Cost


class Bill:
    """Milliseconds by stage, and the device. The observer hears of each stage."""

    def __init__(self, observer: Observer) -> None:
        self.milliseconds: dict[str, float] = {}
        self.cost = Cost()
        self._observer = observer

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Notes how long it took, less what took its stages within, in addition to what it took before."""
        started, before = time.perf_counter(), sum(self.milliseconds.values())
        yield
        within = sum(self.milliseconds.values()) - before
        milliseconds = max(0.0, (time.perf_counter() - started) * 1000 - within)
        self._observer.stage(name, milliseconds / 1000)
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + milliseconds

    def add(self, cost: Cost) -> None:
        self.cost += cost
