"""How much memory the bodies of all requests may take together."""

from __future__ import annotations

from facemix.errors import Busy

RETRY_AFTER_SECONDS = 2


class Buffered:
    """Bytes of request bodies that are in memory. Used from the event loop only, so it needs no lock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0

    def take(self, size: int) -> None:
        """Raises `Busy` when there is no room for so many more."""
        if self.bytes and self.bytes + size > self.most:
            raise Busy(
                f"{self.bytes} bytes of requests are in memory; at most {self.most} may be",
                hint=f"try again in {RETRY_AFTER_SECONDS} seconds",
                retry_after=RETRY_AFTER_SECONDS,
            )
        self.bytes += size

    def give_back(self, size: int) -> None:
        self.bytes -= size
