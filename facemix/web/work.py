"""How a request gets its work done: refused early or let in, given a deadline, and given up when its client leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from facemix.errors import (
    Busy,
    DeadlineExceeded,
    EngineFailed,
    ModelMismatch,
    PhotoLimited,
    RequestInvalid,
    Stopping,
)
from facemix.serving.admission import frames_of_specs
from facemix.serving.types import Cost, FrameSpec, FramesResult, ParentInput
from facemix.web.choosing import Choice, choice_of
from facemix.web.state import MixerLike, ServerState

DEADLINE_HEADER = "x-facemix-deadline"
PATIENT_TRIES = 60
PATIENT_SECONDS = 5.0
MOST_FAILURES = 3
GRACE_SECONDS = 1.0  # what has begun by its deadline gets so long to end

Wanted = TypeVar("Wanted")
T = TypeVar("T")


async def do_work(
    request: Request,
    read: Callable[[], Awaitable[Wanted]],
    frames: Callable[[Wanted], int],
    work: Callable[[MixerLike, Wanted, float], Coroutine[Any, Any, T]],
) -> T:
    """Reads a request and works on it.

    Args:
        read: reads the body. Nothing is held while it arrives.
        frames: what the work costs, as for `Admission.ticket`.
        work: takes the mixer, what was read, and a deadline on the clock of `time.monotonic`.

    Raises:
        Busy, Stopping, NotReady, ModelNotLive: before the body is read if that much is clear by then, else before any
            of it is decoded.
        Halted: generation is switched off, or was meanwhile.
        DeadlineExceeded: it was not done within the client's patience and the operator's.
        ClientDisconnect: the client left; the work was cancelled.
    """
    state, choice = ServerState.of(request), choice_of(request)
    state.halt.check()
    state.mixer(choice)
    state.admission.check()
    patience = _patience(request, state.settings.deadline_seconds)
    wanted = await read()
    with state.admission.ticket(frames(wanted)):
        deadline = time.monotonic() + patience
        try:
            # Whatever hangs, a photograph's decoder or the device, costs nobody more than their patience.
            async with asyncio.timeout(patience + GRACE_SECONDS):
                return await state.halt.unless_halted(
                    _answered(request, choice, lambda mixer: unless_gone(request, work(mixer, wanted, deadline)))
                )
        except TimeoutError as error:
            raise DeadlineExceeded("it was not done in time", hint="try again later", retry_after=5) from error


async def _answered(request: Request, choice: Choice, work: Callable[[MixerLike], Awaitable[T]]) -> T:
    """Works with the model that the request asks for. Where it asks for none and its faces belong to another that is
    loaded, that one answers: a face that was uploaded a minute before a promotion is as good as it was."""
    state = ServerState.of(request)
    async with state.lease(choice) as mixer:
        try:
            return await work(mixer)
        except ModelMismatch as mismatch:
            other = None if choice.name is not None else state.models.made_by(str(mismatch.details.get("model")))
            if other is None or other is mixer:
                raise
        async with state.models.lease(other):
            return await work(other)


async def patiently(
    state: ServerState, mixer: MixerLike, parents: Sequence[ParentInput], specs: Sequence[FrameSpec]
) -> FramesResult:
    """Draws frames for somebody who can wait: when there is room for them, and again if the device was too slow.

    Raises:
        Stopping: the server takes nothing new.
        Busy: it did not come to it in time, many times over.
        FacemixError: see `Mixer.frames`.
    """
    frames = frames_of_specs(specs, len(parents))
    return await with_patience(state, frames, lambda deadline: mixer.frames(parents, specs, deadline=deadline))


async def with_patience(state: ServerState, frames: int, work: Callable[[float], Awaitable[T]]) -> T:
    """Does work for somebody who can wait: when there is room for it, and again if the device was too slow.

    Args:
        frames: what it costs, as for `Admission.ticket`.
        work: takes a deadline on the clock of `time.monotonic`; may be called many times.

    Raises:
        Stopping: the server takes nothing new.
        Halted: generation is switched off, or was meanwhile.
        Busy: it did not come to it in time, many times over; or what works on it failed each time.
    """
    failed = 0
    for last in (*(False,) * PATIENT_TRIES, True):
        state.halt.check()
        try:
            with state.admission.ticket(frames):
                return await work(time.monotonic() + state.settings.deadline_seconds)
        except (Stopping, PhotoLimited):  # the window of a photograph's limit is longer than anybody's patience
            raise
        except Busy as refusal:
            # What brings the device or a process down does so every time.
            failed += isinstance(refusal, EngineFailed)
            if last or failed > MOST_FAILURES:
                raise
            await asyncio.sleep(min(refusal.details.get("retry_after", 1), PATIENT_SECONDS))
    raise AssertionError("the last try answers or raises")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work`, and cancels it when the client goes away. The body must have been read."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def charge(request: Request, mixer: MixerLike, cost: Cost, stage_ms: dict[str, float] | None = None) -> None:
    """Notes what a request took, for whoever accounts for it: the ledger, the metrics, the log, traces."""
    request.state.model, request.state.weights = str(mixer.model), mixer.model.weights
    request.state.cost = cost
    request.state.stage_ms = stage_ms or {}


def _patience(request: Request, longest: float) -> float:
    """Seconds that the client is willing to wait, at most those that the operator allows.

    Raises:
        RequestInvalid: the header is not a number of seconds.
    """
    text = request.headers.get(DEADLINE_HEADER)
    if text is None:
        return longest
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise RequestInvalid(
            f"{DEADLINE_HEADER} is {text[:40]!r}",
            hint="write a number of seconds above 0, as in 2.5",
            where=DEADLINE_HEADER,
        )
    return min(seconds, longest)
