"""Load for a server on this machine, and what became of every request: ``python -m benchmarks.loads PLAN``.

The argument is a `Plan` as JSON; a `Load` comes back as JSON. In a process of its own it takes nothing from the
server but the cores, and how much of them is part of the answer. Clients post two JPEG files to one path; each has an
address of its own in 127.0.0.0/8 (Linux), as clients of a real server have. Every photograph is made unique by a
comment in its header, so that no cache answers, unless the plan wants the same two again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from benchmarks.outcome import CUT, LATE, LEFT, UNREACHED, Load

_BOUNDARY = "facemix-benchmark"
_COMMENT = 16  # bytes that make a photograph unique
_SEND_BUFFER = 1 << 20
_MOST_PAUSE = 1.0  # seconds that a refused client of a closed loop waits at most, whatever it is told


@dataclass(frozen=True)
class Plan:
    """What is sent.

    photos: two JPEG files.
    clients: 0 for an open loop. Otherwise so many clients, each of which asks again as soon as it is answered.
    once: each of them asks only once.
    rate: requests a second of an open loop; each comes on a connection of its own.
    poisson: whether they come at random, as people do, or evenly.
    most: connections that an open loop has at most; what would come beyond is counted, not sent.
    leave_after: seconds after which a client goes away; 0 means that it stays.
    repeated: the same two photographs all the time.
    addresses: from how many addresses the clients come.
    patience: seconds after which an answer is not waited for any more.
    """

    port: int
    photos: tuple[str, str]
    clients: int = 0
    seconds: float = 5.0
    once: bool = False
    rate: float = 0.0
    poisson: bool = True
    most: int = 512
    leave_after: float = 0.0
    repeated: bool = False
    path: str = "/api/v1/mix"
    accept: str = "image/png"
    addresses: int = 200
    patience: float = 120.0
    seed: int = 0


def run_apart(plan: Plan) -> Load:
    """Runs a plan in a process of its own."""
    return ending(begin_apart(plan))


def begin_apart(plan: Plan) -> subprocess.Popen[str]:
    """As `run_apart`, without waiting; `ending` waits."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loads", json.dumps(asdict(plan))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def ending(process: subprocess.Popen[str]) -> Load:
    """Raises SystemExit when the process failed."""
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the load generator ended with status {process.returncode}")
    return Load(**json.loads(said))


def run(plan: Plan) -> Load:
    """Runs a plan in this process."""
    return asyncio.run(_Generator(plan).run())


class _Bodies:
    """Requests as bytes. Only the comments differ, so that a request costs one joining of parts."""

    def __init__(self, plan: Plan) -> None:
        first, second = (Path(photo).read_bytes() for photo in plan.photos)
        if not all(photo.startswith(b"\xff\xd8") for photo in (first, second)):
            raise SystemExit("the photographs must be JPEG files: others have no place for a comment")
        self._unique, self._numbers = secrets.token_hex(4).encode(), count()
        self._repeated = plan.repeated
        part = '--{}\r\nContent-Disposition: form-data; name="{}"; filename="p.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        comment = b"\xff\xd8\xff\xfe" + (_COMMENT + 2).to_bytes(2, "big")
        opening = part.format(_BOUNDARY, "face_a").encode() + comment
        between = first[2:] + b"\r\n" + part.format(_BOUNDARY, "face_b").encode() + comment
        end = second[2:] + f"\r\n--{_BOUNDARY}--\r\n".encode()
        head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nAccept: {plan.accept}\r\n"
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
            f"Content-Length: {len(opening) + len(between) + len(end) + 2 * _COMMENT}\r\n\r\n"
        )
        self._parts = (head.encode() + opening, between, end)

    def next(self) -> bytes:
        number = 0 if self._repeated else next(self._numbers)
        start = b"same-one" if self._repeated else self._unique
        opening, between, end = self._parts
        # The two photographs of one request must differ as well.
        comments = (b"%s%08x" % (start, 2 * number + which) for which in (0, 1))
        return b"".join((opening, next(comments), between, next(comments), end))


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. An answer that comes before the request is sent whole is taken, too."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self._status, self._missing = 0, -1
        self.retry_after = False
        self.sent = 0.0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(0)  # so that `resume_writing` says when all has been sent

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Sends a request. The future's result is the status of the answer, or CUT."""
        self._received.clear()
        self._answer, self._missing, self.retry_after = asyncio.get_running_loop().create_future(), -1, False
        self.sent = 0.0
        self.transport.write(request)
        if not self.transport.get_write_buffer_size():
            self.sent = time.monotonic()
        if not self.open:
            self._answer.set_result(CUT)
        return self._answer

    def resume_writing(self) -> None:
        self.sent = time.monotonic()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._received += data
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self._received[:end].decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            self._status = int(lines[0].split()[1])
            self.retry_after = "retry-after" in fields
            self.open &= fields.get("connection", "").lower() != "close"
            self._missing = int(fields.get("content-length", 0)) - (len(self._received) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._end(self._status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._end(CUT)

    def _end(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bodies = _Bodies(plan)
        # Two generators one after the other come from different addresses.
        self._first_address = random.randrange(200)
        self._load = Load(started=0.0)

    async def run(self) -> Load:
        plan, cpu = self._plan, time.process_time()
        self._load.started = time.monotonic()
        end = self._load.started + plan.seconds
        if plan.clients:
            await asyncio.gather(*(self._client(number, end) for number in range(plan.clients)))
        else:
            await self._open_loop(end)
        self._load.stopped = time.monotonic()
        self._load.cpu_seconds = time.process_time() - cpu
        return self._load

    async def _client(self, number: int, end: float) -> None:
        connection = None
        while time.monotonic() < end:
            connection, status = await self._request(connection, number)
            if self._plan.once:
                break
            if status in (503, UNREACHED, CUT):
                await asyncio.sleep(min(_MOST_PAUSE, 0.05 if status != 503 else _MOST_PAUSE))
        if connection is not None:
            connection.transport.abort()

    async def _open_loop(self, end: float) -> None:
        plan, chance = self._plan, random.Random(self._plan.seed)
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        for number in count():
            due += chance.expovariate(plan.rate) if plan.poisson else 1 / plan.rate
            if due >= end:
                break
            # Late is made up for: what the generator could not send in time it sends at once.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(under_way) >= plan.most:
                self._load.unsent += 1
                continue
            task = asyncio.create_task(self._only(self._request(None, number)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _only(self, request: Awaitable[tuple[_Connection | None, int]]) -> None:
        connection, _ = await request
        if connection is not None:
            connection.transport.abort()

    async def _request(self, connection: _Connection | None, number: int) -> tuple[_Connection | None, int]:
        """One request and its note. Returns the connection if it can be used again."""
        plan, request, begun = self._plan, self._bodies.next(), time.monotonic()
        asked = sent = 0.0
        retry_after = False
        try:
            async with asyncio.timeout(plan.leave_after or plan.patience):
                if connection is None:
                    connection = await self._connect(number)
                asked = time.monotonic()
                status = await connection.ask(request)
        except TimeoutError:
            status = LEFT if plan.leave_after else LATE
        except OSError:
            status = UNREACHED
        ended = time.monotonic()
        if connection is not None:
            sent, retry_after = connection.sent, connection.retry_after
            if status <= 0 or not connection.open or not sent:
                connection.transport.abort()
                connection = None
        load = self._load
        for column, value in (
            (load.begun, begun),
            (load.asked, asked or begun),
            (load.sent, sent),
            (load.ended, ended),
            (load.status, status),
            (load.retry_after, retry_after),
        ):
            column.append(value)
        return connection, status

    async def _connect(self, number: int) -> _Connection:
        made = socket.socket()
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setblocking(False)
            with contextlib.suppress(OSError):  # where loopback is one address, all come from that
                made.bind((f"127.0.{self._first_address + 1}.{number % self._plan.addresses + 1}", 0))
            loop = asyncio.get_running_loop()
            await loop.sock_connect(made, ("127.0.0.1", self._plan.port))
            _, connection = await loop.create_connection(_Connection, sock=made)
        except BaseException:
            made.close()
            raise
        return connection


def main() -> None:
    values = json.loads(sys.argv[1])
    print(json.dumps(asdict(run(Plan(**values)))))


if __name__ == "__main__":
    main()
