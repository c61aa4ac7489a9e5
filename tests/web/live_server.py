"""The real server on a loopback socket in a thread, a small application for it, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager

from facemix.web.connections import ConnectionLimits
from facemix.web.deadlines import BodyDeadlineMiddleware
from facemix.web.problems import problem_response
from facemix.web.server import make_server

PATIENCE = 60.0  # seconds after which a test gives up; no test waits that long when all is well


class SmallApp:
    """Answers by the path; remembers what became of every request."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []
        self.released = False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        path, body = scope["path"], b""
        self.headers.append(scope["headers"])
        if path == "/read":
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.outcomes.append("left")
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
            body = str(len(body)).encode()
        elif path == "/client":
            body = scope["client"][0].encode()
        elif path == "/slow":
            await asyncio.sleep(0.5)
            body = b"slow"
        elif path == "/hold":  # reads nothing
            while not self.released:
                await asyncio.sleep(0.01)
        elif path == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.outcomes.append("left")
            return
        elif path == "/large":
            body = b"x" * 12_000_000
        status = 503 if path == "/refuse" else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]}
        )
        await send({"type": "http.response.body", "body": body})
        self.outcomes.append(path)


def deadline(app, **seconds):
    """`app` behind the deadline on bodies, its refusals rendered."""
    from starlette.requests import Request

    from facemix.errors import BodyTimeout

    async def rendering(scope, receive, send):
        try:
            await app(scope, receive, send)
        except BodyTimeout as error:
            await problem_response(error, Request(scope, receive))(scope, receive, send)

    return BodyDeadlineMiddleware(rendering, **seconds)


class Live:
    def __init__(self, server, app, refusals, port) -> None:
        self.server, self.app, self.refusals, self.port = server, app, refusals, port

    def connect(self, source: str = "127.0.0.1", receive_buffer: int | None = None) -> socket.socket:
        made = socket.socket()
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(PATIENCE)
        made.bind((source, 0))
        made.connect(("127.0.0.1", self.port))
        return made


@contextmanager
def live(app=None, *, wrap=lambda app: app, keep_alive_seconds=15, trusted_proxies=(), **limits):
    """A server with these `limits`, until the block ends."""
    app, refusals = app or SmallApp(), Counter()
    listening = socket.create_server(("127.0.0.1", 0))
    server = make_server(
        wrap(app),
        [listening],
        limits=ConnectionLimits(**limits),
        keep_alive_seconds=keep_alive_seconds,
        trusted_proxies=trusted_proxies,
        log_level="error",
        counted=lambda code: refusals.update([code]),
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield Live(server, app, refusals, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


def until(condition, patience: float = PATIENCE) -> None:
    """Waits for something that another thread brings about."""
    give_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.005)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One whole answer: status, header, body."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        assert more, f"the connection ended within a header: {received!r}"
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(fields["content-length"]):
        more = connection.recv(65536)
        assert more, "the connection ended within a body"
        body += more
    assert len(body) == int(fields["content-length"]), "there is more than one answer"
    return int(first.split()[1]), fields, body


def is_cut(connection: socket.socket) -> bool:
    """Whether the server ends the connection; reads and drops what is left. Raises TimeoutError when it does not."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def read_to_the_end(connection: socket.socket) -> int:
    """Number of bytes. Raises ConnectionError when the connection was reset."""
    total = 0
    while more := connection.recv(1_000_000):
        total += len(more)
    return total


def send_much(connection: socket.socket, times: int) -> None:
    """Sends so many megabytes."""
    for _ in range(times):
        connection.sendall(bytes(1_000_000))


def trickle(connection: socket.socket, data: bytes = b"x", pause: float = 0.02, patience: float = PATIENCE) -> bool:
    """Sends `data` over and over until the server ends the connection; False if it never does."""
    connection.settimeout(pause)
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        try:
            connection.send(data)
            if not connection.recv(1, socket.MSG_PEEK):
                return True
            connection.settimeout(PATIENCE)
            return True  # an answer, or the end
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False
