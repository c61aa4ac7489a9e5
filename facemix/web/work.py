"""How a request gets its work done: refused early or let in, given a deadline, and given up when its client leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from facemix.errors import DeadlineExceeded, RequestInvalid
from facemix.serving.types import Cost, MixResult, ParentInput, PhotoInput
from facemix.web.inputs import MixInput
from facemix.web.state import MixerLike, ServerState

DEADLINE_HEADER = "x-facemix-deadline"
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
        Busy, Stopping, NotReady: before the body is read if that much is clear by then, else before any of it is
            decoded.
        DeadlineExceeded: it was not done within the client's patience and the operator's.
        ClientDisconnect: the client left; the work was cancelled.
    """
    state = ServerState.of(request)
    state.mixer()
    state.admission.check()
    patience = _patience(request, state.settings.deadline_seconds)
    wanted = await read()
    with state.admission.ticket(frames(wanted)):
        async with state.lease() as mixer:
            deadline = time.monotonic() + patience
            try:
                # Whatever hangs, a photograph's decoder or the device, costs nobody more than their patience.
                async with asyncio.timeout(patience + GRACE_SECONDS):
                    return await unless_gone(request, work(mixer, wanted, deadline))
            except TimeoutError as error:
                raise DeadlineExceeded("it was not done in time", hint="try again later", retry_after=5) from error


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


async def mix_wanted(mixer: MixerLike, wanted: MixInput, deadline: float) -> MixResult:
    """What the endpoint and the form both ask of the mixer."""
    return await mixer.mix(
        wanted.parents,
        interpolation=wanted.interpolation,
        vividness=wanted.vividness,
        seed=wanted.seed,
        deadline=deadline,
    )


def frames_of(parents: tuple[ParentInput, ...], decoded: int) -> int:
    """Frames of a mix: one to encode per photograph, and those to decode."""
    return sum(isinstance(parent, PhotoInput) for parent in parents) + decoded


def charge(request: Request, mixer: MixerLike, cost: Cost, stage_ms: dict[str, float] | None = None) -> None:
    """Notes what a request took, for whoever accounts for it: the ledger, the metrics, the log, traces."""
    request.state.model = str(mixer.model)
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
