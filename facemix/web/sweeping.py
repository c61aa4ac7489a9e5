"""Deletes what has expired, beside the requests. Nothing waits for it: what has expired is not found anyway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from facemix.errors import StorageUnavailable
from facemix.web.accounts import Accounts
from facemix.web.stores import Stores

if TYPE_CHECKING:
    from facemix.governance.review import Reviews

log = logging.getLogger("facemix.web")

INTERVAL_SECONDS = 60.0

Sweep = Callable[[], int]


def sweeps_of(
    stores: Stores, accounts: Accounts | None, ledger_days: int, reviews: Reviews | None = None
) -> dict[str, Sweep]:
    """What there is to sweep, each by its name: a call that may wait for a database, and returns how many went.

    Args:
        ledger_days: for how long rows of the ledger are kept; 0 keeps them for ever.
        reviews: what waits for a person, and ends when nobody decides.
    """
    sweeps: dict[str, Sweep] = {"things on the shelf": stores.shelf.shelf.sweep}
    if reviews is not None:
        sweeps["reviews"] = reviews.sweep
    if stores.recipes is not None:
        sweeps["recipes"] = stores.recipes.sweep
    if accounts is not None and ledger_days:
        sweeps["ledger rows"] = lambda: accounts.prune(datetime.now(UTC) - timedelta(days=ledger_days))
    return sweeps


@asynccontextmanager
async def sweeping(sweeps: dict[str, Sweep], interval: float | None = None) -> AsyncIterator[None]:
    """Sweeps inside of the block: at once, and again `interval` seconds (by default a minute) after each end.

    What fails is logged, once until it succeeds again, and costs neither the other sweeps nor any request. The end of
    the block waits for no sweep.
    """
    task = asyncio.create_task(_sweep(sweeps, INTERVAL_SECONDS if interval is None else interval))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sweep(sweeps: dict[str, Sweep], interval: float) -> None:
    limiter = CapacityLimiter(1)  # a thread of its own: a database that hangs holds no other
    failing: set[str] = set()
    while True:
        swept = {}
        for name, sweep in sweeps.items():
            try:
                # Given up with the application: a stop does not wait for a database that hangs.
                swept[name] = await to_thread.run_sync(sweep, limiter=limiter, abandon_on_cancel=True)
            except Exception as error:
                if name not in failing:
                    known = isinstance(error, StorageUnavailable)
                    log.warning("expired %s cannot be deleted: %s", name, error, exc_info=not known)
                failing.add(name)
            else:
                failing.discard(name)
        if any(swept.values()):
            log.info("deleted what has expired: %s", ", ".join(f"{n} {name}" for name, n in swept.items() if n))
        await asyncio.sleep(interval)
