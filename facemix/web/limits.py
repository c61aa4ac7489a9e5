"""How much memory the bodies of all requests may take together, and those of one client."""

from __future__ import annotations

from facemix.errors import Busy

RETRY_AFTER_SECONDS = 2
_ADDRESSES = 4  # that it takes at least to fill the memory


class Buffered:
    """Bytes of request bodies that are in memory. Used from the event loop only, so it needs no lock."""

    def __init__(self, most: int, share: int | None = None) -> None:
        """share: bytes that one address may hold; by default a quarter of `most`."""
        self.most = most
        self.share = most // _ADDRESSES if share is None else share
        self.bytes = 0
        self._of_address: dict[str, int] = {}

    def take(self, size: int, who: str = "", *, least_share: int = 0) -> None:
        """Counts bytes of a body that has arrived, or of a part of one.

        Args:
            who: the network that sent them, as of `facemix.web.rates.network`.
            least_share: what one address may hold even where its share is smaller.

        Raises:
            Busy: there is no room for so many more, or no more of the address's share.
        """
        held = self._of_address.get(who, 0)
        share = max(self.share, least_share)
        if self.bytes and self.bytes + size > self.most:
            raise _full(f"{self.bytes} bytes of requests are in memory; at most {self.most} may be")
        if held and held + size > share:
            raise _full(f"{held} bytes of this address's requests are in memory; at most {share} may be")
        self.bytes += size
        self._of_address[who] = held + size

    def give_back(self, size: int, who: str = "") -> None:
        self.bytes -= size
        left = self._of_address.pop(who, 0) - size
        if left > 0:
            self._of_address[who] = left


def _full(message: str) -> Busy:
    return Busy(message, hint=f"try again in {RETRY_AFTER_SECONDS} seconds", retry_after=RETRY_AFTER_SECONDS)
