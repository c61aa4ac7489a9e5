"""The kill switch as one process sees it: nothing is generated while it is on, and what was begun is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from facemix.errors import Halted

if TYPE_CHECKING:
    from facemix.governance.controls import KillSwitch

RETRY_SECONDS = 60  # nobody knows how long it lasts

T = TypeVar("T")


class Halt:
    """Belongs to one event loop.

    Attributes:
        since_change: called when it goes on, with the refusal.
    """

    def __init__(self, on_halt: Callable[[Halted], object] = lambda error: None) -> None:
        self._on_halt = on_halt
        self._under_way: set[asyncio.Task[Any]] = set()
        self._error: Halted | None = None

    @property
    def error(self) -> Halted | None:
        """What whoever asks for a face is told; None while generation goes on."""
        return None if self._error is None else _copy(self._error)

    def check(self) -> None:
        """Raises `Halted` while the switch is on."""
        if self._error is not None:
            raise _copy(self._error)

    def turn(self, switch: KillSwitch) -> None:
        """Takes the switch over as it is now. Whatever is under way ends with `Halted` when it is on."""
        if not switch.on:
            self._error = None
            return
        said = f": {switch.reason}" if switch.reason else ""
        self._error = Halted(
            f"the operator has switched mixing off{said}",
            hint="nothing is wrong with your photos; come back later",
            retry_after=RETRY_SECONDS,
            reason=switch.reason,
            since=None if switch.since is None else switch.since.isoformat(timespec="seconds"),
        )
        for task in self._under_way:
            task.cancel()
        self._on_halt(_copy(self._error))

    async def unless_halted(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises.

        Raises:
            Halted: the switch is on, or was turned on meanwhile; the work was cancelled.
        """
        if self._error is not None:
            work.close()
            raise _copy(self._error)
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if task.cancelled() and self._error is not None and not (current and current.cancelling()):
                raise _copy(self._error) from None
            raise
        finally:
            self._under_way.discard(task)


def _copy(error: Halted) -> Halted:
    copied = error.copy()
    assert isinstance(copied, Halted)
    return copied
