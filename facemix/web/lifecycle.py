"""How the application begins and ends, changes its model, and what may be looked at meanwhile."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from facemix.serving.types import Vitals
from facemix.storage.memory_shelf import MemoryShelf
from facemix.web.accounts import Accounts
from facemix.web.figures import Figures
from facemix.web.limits import Buffered
from facemix.web.state import ServerState
from facemix.web.sweeping import sweeping, sweeps_of
from facemix.web.tracing import Tracing

if TYPE_CHECKING:
    from facemix.storage.ledger_writer import LedgerState


@asynccontextmanager
async def lifespan(state: ServerState, accounts: Accounts | None, tracing: Tracing) -> AsyncIterator[None]:
    """Loads the model beside the first requests; at the end finishes its work, then writes down what is left."""
    async with AsyncExitStack() as end:  # in reverse; whatever of it fails, the rest is done
        end.push_async_callback(to_thread.run_sync, tracing.close)
        if accounts is not None:
            end.push_async_callback(to_thread.run_sync, accounts.close)
        end.push_async_callback(state.close)
        changes: set[asyncio.Task[None]] = {asyncio.create_task(state.load())}
        end.push_async_callback(_give_up, changes)
        sweeps = sweeps_of(state.stores, accounts, state.settings.ledger_days)
        await end.enter_async_context(sweeping(sweeps))
        with _change_on_hangup(state, changes):
            yield


async def _give_up(changes: set[asyncio.Task[None]]) -> None:
    for task in changes:
        task.cancel()
    await asyncio.gather(*changes, return_exceptions=True)


@contextmanager
def _change_on_hangup(state: ServerState, changes: set[asyncio.Task[None]]) -> Iterator[None]:
    """SIGHUP loads the model anew: the checkpoint's folder may hold another one by now."""
    loop = asyncio.get_running_loop()

    def change() -> None:
        task = asyncio.ensure_future(state.load())
        changes.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(changes.discard)

    # Windows has no such signal, and a thread other than the main one hears none.
    with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
        loop.add_signal_handler(signal.SIGHUP, change)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
            loop.remove_signal_handler(signal.SIGHUP)


def watch(figures: Figures, state: ServerState, buffered: Buffered, accounts: Accounts | None) -> None:
    """Names what the metrics look at when they are asked for."""

    def vitals() -> Vitals | None:
        return None if state.loaded is None else state.loaded.vitals()

    def of(name: str) -> float | None:
        return None if (now := vitals()) is None else getattr(now, name)

    def cache(name: str) -> float | None:
        return None if (now := vitals()) is None else now.cache_bytes.get(name)

    def model() -> dict[str, str] | None:
        if (now := vitals()) is None or state.loaded is None:
            return None
        return {"model": str(state.loaded.model), "backend": now.backend, "device": now.device}

    def ledger() -> LedgerState | None:
        return None if accounts is None else accounts.ledger_state()

    figures.watch(
        model=model,
        caches={
            "photos": functools.partial(cache, "photos"),
            "latents": functools.partial(cache, "latents"),
            "samples": lambda: state.sample_bytes,
            "shelf": lambda: kept.held_bytes if isinstance(kept := state.stores.shelf.shelf, MemoryShelf) else None,
        },
        ready=lambda: float(state.loaded is not None and state.ill() is None),
        queue_frames=lambda: of("queue_frames"),
        inference_heartbeat_age_seconds=lambda: of("beat_age"),
        admitted_frames=lambda: state.admission.inside,
        admitted_limit_frames=lambda: state.admission.limit,
        buffered_bytes=lambda: buffered.bytes,
        ledger_waiting_rows=lambda: None if (now := ledger()) is None else now.waiting,
        ledger_lost_rows=lambda: None if (now := ledger()) is None else now.lost,
    )
