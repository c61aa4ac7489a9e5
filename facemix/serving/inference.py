"""What a request asks of the model: waited for as long as its deadline allows, and put on its bill."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future

import numpy as np

from facemix.errors import DeadlineExceeded
from facemix.serving.bill import Bill
from facemix.serving.engine import Engine
from facemix.serving.jobs import Served
from facemix.serving.meter import took
from facemix.serving.types import Cost

# A request is given up so long after its deadline if the device has not answered: it hangs.
GRACE_SECONDS = 5.0


class Inference:
    """Encodes and decodes for requests. Both raise `Busy`, `DeadlineExceeded`, `EngineFailed`, `Stopping`: see
    `Batcher.submit`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def encode(self, crops: np.ndarray, deadline: float | None, bill: Bill) -> np.ndarray:
        """Aligned crops, (N, S, S, 3) uint8, to their latents, (N, Z) float32."""
        served = await _answer(self._engine.submit_encode(crops, deadline=deadline), deadline)
        self._note(Cost(frames_encoded=len(crops), device_seconds=served.device_seconds), bill)
        return served.rows

    async def decode(self, z: np.ndarray, deadline: float | None, bill: Bill) -> np.ndarray:
        """Latents, (N, Z) float32, to the model's pictures, (N, S, S, 3) uint8."""
        with bill.stage("decode"):
            served = await _answer(self._engine.submit_decode(z, deadline=deadline), deadline)
        self._note(Cost(frames_decoded=len(z), device_seconds=served.device_seconds), bill)
        return served.rows

    def _note(self, cost: Cost, bill: Bill) -> None:
        """Also for the request's meter, since it may yet fail."""
        took(cost.device_seconds * self._engine.cpu_threads, cost)
        bill.add(cost)


async def _answer(future: Future[Served], deadline: float | None) -> Served:
    """The batcher's answer. A caller who leaves takes the job back; a device that hangs costs nobody more than
    their deadline."""
    try:
        async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic()) + GRACE_SECONDS):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise DeadlineExceeded("the model did not answer in time", hint="try again later", retry_after=5) from None
