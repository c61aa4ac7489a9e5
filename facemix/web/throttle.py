"""How often somebody may fail to sign in. Counted per name and per network, in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from facemix.errors import RateLimited
from facemix.web.rates import BoundedStorage

FAILURES, MINUTES = 5, 15


class SignInThrottle:
    """Every try is counted before its password is looked at, so that many at once are no way around; one that
    succeeds is given back. It belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._item = RateLimitItemPerMinute(FAILURES, MINUTES)
        self._storage = BoundedStorage(clock=clock)
        self._limiter = FixedWindowRateLimiter(self._storage)

    def begin(self, name: str, network: str) -> None:
        """Counts a try.

        Raises:
            RateLimited: there were too many; the words are the same whether anybody has that name.
        """
        whose = self._whose(name, network)
        wait = 0.0
        for who in whose:
            if not self._limiter.test(self._item, *who):
                ends = self._limiter.get_window_stats(self._item, *who).reset_time
                wait = max(wait, ends - self._storage.clock(), 1.0)
        if wait:
            seconds = math.ceil(wait)
            raise RateLimited(
                f"there were more than {FAILURES} tries to sign in without success",
                hint=f"try again in {math.ceil(seconds / 60)} minutes",
                retry_after=seconds,
            )
        for who in whose:
            self._limiter.hit(self._item, *who)

    def succeed(self, name: str, network: str) -> None:
        """The try that began last was right: the name starts anew, the network gets this one back."""
        whose_name, whose_network = self._whose(name, network)
        self._limiter.clear(self._item, *whose_name)
        self._storage.incr(self._item.key_for(*whose_network), self._item.get_expiry(), -1)

    def _whose(self, name: str, network: str) -> list[tuple[str, str]]:
        found = []
        for kind, one in (("name", name), ("network", network)):
            room = self._storage.has_room_for(self._item.key_for(kind, one))
            found.append((kind, one if room else "others"))
        return found
