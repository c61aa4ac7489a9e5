"""How the application begins and ends, changes its model, and what may be looked at meanwhile."""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
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
    from facemix.governance.controls import Controls
    from facemix.governance.review import Reviews
    from facemix.governance.review_states import Tally
    from facemix.storage.ledger_writer import LedgerState


@asynccontextmanager
async def lifespan(
    state: ServerState,
    accounts: Accounts | None,
    tracing: Tracing,
    controls: Controls | None = None,
    reviews: Reviews | None = None,
) -> AsyncIterator[None]:
    """Loads the models beside the first requests; at the end finishes its work, then writes down what is left.

    Args:
        controls: what operators switch for every worker; followed while the application runs.
        reviews: what waits for a person; swept while the application runs.
    """
    async with AsyncExitStack() as end:  # in reverse; whatever of it fails, the rest is done
        end.push_async_callback(to_thread.run_sync, tracing.close)
        if accounts is not None:
            end.push_async_callback(to_thread.run_sync, accounts.close)
        end.push_async_callback(state.close)
        # Beside the loading of the model; nobody waits for it, a stop least of all.
        threading.Thread(target=state.release.warm_up, name="warm-up", daemon=True).start()
        changes: set[asyncio.Task[None]] = set()
        end.push_async_callback(_give_up, changes)
        if controls is not None:
            from facemix.web.watching import Watcher, watching  # an application without a database needs none of its

            watcher = Watcher(controls, state.halt, state.models, lambda: _change(state, changes, anew=False))
            await end.enter_async_context(watching(watcher))
        _change(state, changes)
        sweeps = sweeps_of(state.stores, accounts, state.settings.ledger_days, reviews)
        await end.enter_async_context(sweeping(sweeps))
        with _change_on_hangup(state, changes):
            yield


async def _give_up(changes: set[asyncio.Task[None]]) -> None:
    for task in changes:
        task.cancel()
    await asyncio.gather(*changes, return_exceptions=True)


def _change(state: ServerState, changes: set[asyncio.Task[None]], *, anew: bool = True) -> None:
    task = asyncio.ensure_future(state.load(anew=anew))
    changes.add(task)  # the loop itself keeps no hold of it
    task.add_done_callback(changes.discard)


@contextmanager
def _change_on_hangup(state: ServerState, changes: set[asyncio.Task[None]]) -> Iterator[None]:
    """SIGHUP loads the models anew: a checkpoint's folder may hold another one by now."""
    loop = asyncio.get_running_loop()

    # Windows has no such signal, and a thread other than the main one hears none.
    with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
        loop.add_signal_handler(signal.SIGHUP, _change, state, changes)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
            loop.remove_signal_handler(signal.SIGHUP)


def watch(
    figures: Figures,
    state: ServerState,
    buffered: Buffered,
    accounts: Accounts | None,
    reviews: Reviews | None = None,
) -> None:
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

    def queue() -> Tally | None:
        return None if reviews is None else reviews.latest

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
        halted=lambda: float(state.halt.error is not None),
        queue_frames=lambda: of("queue_frames"),
        inference_heartbeat_age_seconds=lambda: of("beat_age"),
        admitted_frames=lambda: state.admission.inside,
        admitted_limit_frames=lambda: state.admission.limit,
        buffered_bytes=lambda: buffered.bytes,
        reviews_waiting=lambda: None if (now := queue()) is None else now.waiting,
        reviews_overdue=lambda: None if (now := queue()) is None else now.overdue,
        review_oldest_age_seconds=lambda: None if (now := queue()) is None else now.oldest_seconds(datetime.now(UTC)),
        ledger_waiting_rows=lambda: None if (now := ledger()) is None else now.waiting,
        ledger_lost_rows=lambda: None if (now := ledger()) is None else now.lost,
        ledger_unspooled_rows=lambda: None if (now := ledger()) is None else now.unspooled,
    )
