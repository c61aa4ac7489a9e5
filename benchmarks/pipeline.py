"""The whole way with nothing between its steps: what servers are measured against, and what rival servers call.

The functions are those that facemix itself serves with; there is no queue, no cache and no request. `limit` and
`alone` measure them: as many mixes as this machine can make, and one mix by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from facemix.imaging.encode import encode_image
from facemix.mixing.interpolation import interpolate
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.lookers import lookers_from_settings
from facemix.serving.tuning import cores
from facemix.settings import Settings

MEDIA_TYPE = "image/png"
Pair = tuple[bytes, bytes]


class Pipeline:
    """The steps. `encode` and `decode` must not be called by two threads at once.

    Attributes:
        backend, notes: what computes, and why.
        max_batch: frames of a full batch.
        pool: threads for photographs and files.
    """

    def __init__(self, settings: Settings) -> None:
        # The mixer that a server would have, so that nothing differs, but with all of it in this process; its queue
        # stays empty.
        settings = settings.model_copy(update={"isolate": False})
        self._mixer = mixer_from_settings(settings)
        self._lookers = lookers_from_settings(settings)
        engine = self._mixer.engine
        self._backend = engine._backend
        self.backend, self.notes, self.device = engine.backend, engine.notes, engine.device
        self.max_batch, self.model = self._backend.max_batch, str(engine.identity)
        self._coarse_size = engine.coarse_size
        self.pool = ThreadPoolExecutor(settings.workers or cores())

    def look(self, photo: bytes) -> np.ndarray:
        """The crop of the largest face. Raises what `Mixer.find_faces` raises."""
        return self._lookers.look_here(photo, self._mixer.crop_size).faces[0].crop

    def encode(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Latents, (N, Z), in full batches."""
        return self._batched(self._backend.encode, np.stack(crops))

    def mix(self, z: np.ndarray) -> np.ndarray:
        """The middle between two latents, (2, Z) to (Z,)."""
        return interpolate(torch.from_numpy(z), (0.5, 0.5), "lerp", coarse_size=self._coarse_size).numpy()

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Pictures, (N, S, S, 3), in full batches."""
        return self._batched(self._backend.decode, z)

    def file(self, picture: np.ndarray) -> bytes:
        """As a file that a server could send."""
        return encode_image(picture, MEDIA_TYPE)

    def mixes(self, pairs: Sequence[Pair]) -> list[bytes]:
        """A file for each pair, step by step, each step for all."""
        return self.finished(self.begun(pairs))

    def begun(self, pairs: Sequence[Pair]) -> list[Future[np.ndarray]]:
        """Lets the pool look at the photographs."""
        return [self.pool.submit(self.look, photo) for pair in pairs for photo in pair]

    def finished(self, crops: Sequence[Future[np.ndarray]]) -> list[bytes]:
        """The rest of the way for what `begun` returned."""
        z = self.encode([crop.result() for crop in crops])
        mixed = np.stack([self.mix(z[at : at + 2]) for at in range(0, len(z), 2)])
        return list(self.pool.map(self.file, self.decode(mixed)))

    def _batched(self, work: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
        step = self.max_batch
        return np.concatenate([work(rows[start : start + step]) for start in range(0, len(rows), step)])


def limit(pipeline: Pipeline, pair: Pair, seconds: float, *, overlapped: bool) -> float:
    """Mixes a second, back to back in full batches.

    Args:
        overlapped: whether the pool looks at the next photographs while the model computes. On a GPU that is faster,
            on a CPU the two want the same cores.
    """
    group = [pair] * pipeline.max_batch
    made, started = 0, time.perf_counter()
    ahead = pipeline.begun(group)
    while ahead:
        current, more = ahead, time.perf_counter() - started < seconds
        ahead = pipeline.begun(group) if more and overlapped else []
        made += len(pipeline.finished(current))
        if more and not overlapped:
            ahead = pipeline.begun(group)
    return made / (time.perf_counter() - started)


def alone(pipeline: Pipeline, pair: Pair, seconds: float) -> list[float]:
    """Milliseconds of one mix after another: two photographs at once, then the model, then the file."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while not found or time.perf_counter() < until:
        started = time.perf_counter()
        pipeline.mixes([pair])
        found.append((time.perf_counter() - started) * 1000)
    return found
