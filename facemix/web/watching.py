"""Looks once a second at what an operator switches for every worker: which models are live, and the kill switch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from facemix.errors import FacemixError
from facemix.governance.controls import KILL, Controls
from facemix.governance.registry import MODELS
from facemix.web.halting import Halt
from facemix.web.threads import Threads

log = logging.getLogger("facemix.web")

LOOK_SECONDS = 1.0
FIRST_SECONDS = 5.0  # so long a start waits for the first look
AGAIN_SECONDS = 30.0  # so often the models are looked at although nothing was changed, where that may do something


class Models(Protocol):
    """What the watcher needs of the models that are held."""

    unplanned: bool

    @property
    def has_standby(self) -> bool: ...


class Watcher:
    """One per process. The database failing leaves everything as it was last seen.

    Args:
        change: called when other models are to be held; must not wait.
    """

    def __init__(self, controls: Controls, halt: Halt, models: Models, change: Callable[[], object]) -> None:
        self._controls, self._halt, self._models, self._change = controls, halt, models, change
        self._threads = Threads(1)
        self._seen: dict[str, int] = {}
        self._failing = False
        self._since_change = 0.0

    async def look(self, *, first: bool = False) -> None:
        """Looks, and follows what has changed since the last time.

        Args:
            first: the models are being loaded anyway.
        """
        try:
            versions = await self._threads.run(self._controls.versions)
            # Read before it is taken for seen: what fails here is tried again with the next look.
            if versions.get(KILL) != self._seen.get(KILL):
                self._halt.turn(await self._threads.run(self._controls.kill_switch))
        except FacemixError as error:
            if not self._failing:
                log.error("what operators switch cannot be looked at: %s", error.message)
            self._failing = True
            return
        if self._failing:
            log.info("what operators switch can be looked at again")
        self._failing = False
        if not first and versions.get(MODELS) != self._seen.get(MODELS):
            self._changed()
        self._seen = versions

    def _changed(self) -> None:
        self._since_change = 0.0
        self._change()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:  # a defect here must not leave the kill switch unheard
                log.exception("a look at what operators switch failed")
            self._since_change += LOOK_SECONDS
            if self._since_change >= AGAIN_SECONDS and (self._models.unplanned or self._models.has_standby):
                self._changed()


@asynccontextmanager
async def watching(watcher: Watcher) -> AsyncIterator[None]:
    """Watches beside the block. The first look comes before it: a server that starts while the switch is on answers
    nobody."""
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            await watcher.look(first=True)
    except TimeoutError:
        log.error("what operators switch was not seen within %g s", FIRST_SECONDS)
    task = asyncio.create_task(watcher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
