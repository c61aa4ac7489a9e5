"""Ports of the loopback that nobody else is given meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port on which nobody listens, and which one server may take, until the block ends.

    It is bound here, so that nobody who asks for any port gets it. Because it is bound with SO_REUSEADDR, a server that
    names it and asks for the same, as `socket.create_server` does, can bind it once more. Whoever connects before that
    is refused.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]
