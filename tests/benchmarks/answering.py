"""A server of the test's own on loopback, which answers as it is told and remembers what it was sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 3\r\nConnection: close\r\n\r\n"


class Answering:
    """`answer` gets the number of a request, from 0, and returns what to send: bytes, None to cut the connection
    off, or a number of seconds in which nothing is sent. `early` answers before the body is read."""

    def __init__(self, answer: Callable[[int], bytes | float | None], early: bool) -> None:
        self.answer, self.early = answer, early
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections: list[str] = []
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer.get_extra_info("peername")[0])
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                number = len(self.heads) - 1
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                if not self.early:
                    self.bodies.append(await reader.readexactly(length))
                said = self.answer(number)
                if said is None:
                    return
                if isinstance(said, bytes):
                    writer.write(said)
                    await writer.drain()
                else:
                    await asyncio.sleep(said)
                if self.early:
                    await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def answering(answer: Callable[[int], bytes | float | None] = lambda number: OK, *, early: bool = False):
    """Serves until the block ends."""
    server = Answering(answer, early)
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        listening.close()
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(60)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
