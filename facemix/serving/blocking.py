"""The mixer for those who have no event loop: the command line, benchmarks, a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import numpy as np

from facemix.mixing.recipe import Edits
from facemix.serving.explain import Explained, explain
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.mixer import Mixer
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentResult,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    StripResult,
)

T = TypeVar("T")
_PLAIN = Edits()


class BlockingMixer:
    """The same methods as `Mixer`, each of which waits for its result. Safe to call from several threads."""

    def __init__(self, mixer: Mixer) -> None:
        self.mixer = mixer
        self.model, self.card, self.crop_size = mixer.model, mixer.card, mixer.crop_size
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mixer", daemon=True)
        self._thread.start()

    def find_faces(self, photo: PhotoInput) -> FoundPhoto:
        return self._wait(self.mixer.find_faces(photo))

    def mix(self, parents: Sequence[ParentInput], edits: Edits = _PLAIN, *, deadline: float | None = None) -> MixResult:
        return self._wait(self.mixer.mix(parents, edits, deadline=deadline))

    def frames(self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec]) -> FramesResult:
        return self._wait(self.mixer.frames(parents, specs))

    def hold_cuts(
        self,
        held: HeldCuts,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        specs: Sequence[FrameSpec],
    ) -> None:
        self._wait(self.mixer.hold_cuts(held, parents, faces, specs))

    def explain(self, parents: Sequence[ParentInput], edits: Edits = _PLAIN) -> Explained:
        return self._wait(explain(self.mixer, parents, edits))

    def latent(self, parents: Sequence[ParentInput], edits: Edits = _PLAIN) -> LatentResult:
        return self._wait(self.mixer.latent(parents, edits))

    def encode(self, crops: np.ndarray) -> tuple[np.ndarray, Cost]:
        return self._wait(self.mixer.encode(crops))

    def strip(self, first: ParentInput, second: ParentInput, **wanted: Any) -> StripResult:
        return self._wait(self.mixer.strip(first, second, **wanted))

    def sample(self, number: int, *, seed: int = 0) -> np.ndarray:
        return self._wait(self.mixer.sample(number, seed=seed)).image

    def close(self) -> None:
        """Lets go of the device and of the threads."""
        self.mixer.close()
        self._wait(_leave_nothing_behind())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _leave_nothing_behind() -> None:
    """Cancels what other threads still wait for; they would wait for ever."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
