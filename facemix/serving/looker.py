"""What one of those who look at photographs does, in a thread or in a process of its own; and how such a process works.

It imports no torch, so that such a process is small and starts quickly.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.synchronize import Barrier
from typing import TypeVar

import numpy as np

from facemix.errors import FacemixError
from facemix.faces import cuts
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.look import Look, look
from facemix.faces.placed import Placed
from facemix.faces.types import Face
from facemix.imaging.decode import DecodeLimits
from facemix.safety.credentials import read_credentials
from facemix.safety.photo_features import features
from facemix.serving.pool import in_time, stand_back

T = TypeVar("T")

# Photographs are looked at behind the event loop's and the model's back: a refusal or a batch never waits for them.
NICE = 5
START_SECONDS = 120.0


@dataclass(frozen=True)
class Looker:
    """The work itself, in the caller's thread. Safe to call from several, if the finder is.

    Attributes:
        limits: what is accepted.
        finder: finds the faces.
        gate: entered around each decoding, to bound how many run at once; None where one works alone.
    """

    limits: DecodeLimits
    finder: FaceFinder
    gate: AbstractContextManager[object] | None = None

    def look(self, data: bytes, crop_size: int, placed: Placed | None = None) -> Look:
        """As `facemix.faces.look.look`, with what the photograph gate measures and the file's content credentials."""
        seen = look(data, self.limits, self.finder, crop_size, placed=placed, gate=self.gate, figures=features)
        found = read_credentials(data)
        return seen if found is None else replace(seen, credentials=found.to_json())

    def cut(self, data: bytes, face: Face, side: int) -> np.ndarray:
        """As `facemix.faces.cuts.cut`."""
        return cuts.cut(data, self.limits, face, side, gate=self.gate)

    def whole(self, data: bytes, side: int) -> np.ndarray:
        """As `facemix.faces.cuts.whole`."""
        return cuts.whole(data, self.limits, side, gate=self.gate)


# --- in the processes --------------------------------------------------------------------------------------


class _Here:
    """What one process works with."""

    looker: Looker
    barrier: Barrier


def prepare(limits: DecodeLimits, runner: str, barrier: Barrier) -> None:
    """Makes this process one that looks. `barrier`: where all of them meet when they can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's, which means the server: it drains, and so needs us
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    stand_back(NICE)
    _Here.barrier = barrier
    _Here.looker = Looker(limits, FaceFinder(CenterFace(threads=1, runner=runner)))


def meet() -> None:
    """Waits for the other processes."""
    _Here.barrier.wait(START_SECONDS)


def answer(work: Callable[..., T], args: tuple[object, ...], deadline: float | None) -> tuple[T | FacemixError, float]:
    """What came of `work`, a method of `Looker`, and the processor's seconds that it took."""
    # Linux's monotonic clock is the same in all processes; elsewhere it need not be.
    deadline = deadline if sys.platform == "linux" else None
    started = time.process_time()
    try:
        found: T | FacemixError = in_time(deadline, work, (_Here.looker, *args))
    except FacemixError as refusal:  # a photograph that is refused took its time, too
        found = refusal
    return found, time.process_time() - started


def _end_with_parent() -> None:
    """A server that is killed outright cannot tell its processes to end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
