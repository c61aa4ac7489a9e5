"""Slow clients against a server while an honest one keeps asking: ``python -m benchmarks.drill_slow``.

Four kinds of slow clients, a quarter each, connect from 127.0.0.2 to 127.0.0.5 and come back as soon as they are cut:

    headers   send a byte of a request's header every second
    kept      send a whole request, read the answer, then do the same on the connection that was kept
    bodies    send a byte of a body every second
    readers   ask for a large answer and take a byte of it every second

The honest client asks /healthz from 127.0.0.1, each time on a new connection. Printed: what became of the slow
clients, and how many of the honest requests were answered. The server is a small application under
`facemix.web.server`; ``--plain`` puts it under uvicorn alone, ``--port`` asks a facemix that runs already. `--files`
is the number of files that the server may open: where nothing else bounds connections, that does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAUSE = 1.0  # seconds between two bytes
PATIENCE = 2.0  # seconds that the honest client waits for an answer
KINDS = ("headers", "kept", "bodies", "readers")
LARGE = bytes(20_000_000)  # more than the buffers of both kernels hold


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers /healthz, reads any body, and gives LARGE at /large."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    while (message := await receive()).get("more_body", False):
        pass
    if message["type"] == "http.disconnect":
        return
    body = LARGE if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def serve(plain: bool, files: int) -> None:
    """Serves `application` and prints the port."""
    import uvicorn

    from facemix.errors import BodyTimeout
    from facemix.web.deadlines import BodyDeadlineMiddleware
    from facemix.web.server import make_server

    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        try:
            await application(scope, receive, send)
        except BodyTimeout:
            await send({"type": "http.response.start", "status": 408, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listening.getsockname()[1], flush=True)
    if plain:
        config = uvicorn.Config(application, http="httptools", timeout_keep_alive=15, log_level="critical")
        uvicorn.Server(config).run(sockets=[listening])
    else:
        make_server(BodyDeadlineMiddleware(quiet), [listening], log_level="critical").run()


@dataclass
class Tally:
    """What became of the connections of one kind of slow client."""

    opened: int = 0
    ends: Counter[str] = field(default_factory=Counter)  # by status of the answer, or "cut" without one
    holding: int = 0


async def slow_client(kind: str, port: int, paths: dict[str, str], tally: Tally) -> None:
    """Holds on to a connection for as long as it is let, over and over."""
    source = (f"127.0.0.{2 + KINDS.index(kind)}", 0)
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source, limit=1024)
        except OSError:
            tally.ends["not connected"] += 1
            await asyncio.sleep(PAUSE)
            continue
        tally.opened += 1
        tally.holding += 1
        try:
            tally.ends[await _hold(kind, reader, writer, paths)] += 1
        except OSError:
            tally.ends["cut"] += 1
        finally:
            tally.holding -= 1
            writer.transport.abort()
        await asyncio.sleep(PAUSE)


async def _hold(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paths: dict[str, str]) -> str:
    host = b"Host: drill\r\n"
    if kind == "kept":
        writer.write(b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        if b" 200 " not in head[:15]:
            return head[9:12].decode()
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    if kind == "readers":
        writer.write(b"GET " + paths["large"].encode() + b" HTTP/1.1\r\n" + host + b"\r\n")
        while await reader.read(1):
            await asyncio.sleep(PAUSE)
        return "cut"
    if kind == "bodies":
        path = paths["body"].encode()
        writer.write(b"POST " + path + b" HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n")
        writer.write(b"Content-Length: 1000000\r\n\r\n")
    else:
        writer.write(b"GET / HTTP/1.1\r\n" + host + b"X-Slow: ")
    while True:
        writer.write(b"x")
        try:
            async with asyncio.timeout(PAUSE):
                head = await reader.read(1024)
        except TimeoutError:
            continue
        return head[9:12].decode() if head else "cut"


async def honest_client(port: int, seconds: float) -> tuple[list[float], Counter[str]]:
    """(seconds of every request that was answered, what became of the others)."""
    taken, failures = [], Counter[str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        writer = None
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.1", 0))
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: drill\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
            status = answer[9:12].decode()
            if status == "200":
                taken.append(time.perf_counter() - began)
            else:
                failures[status or "cut"] += 1
        except TimeoutError:
            failures["no answer"] += 1
        except OSError as error:
            failures[type(error).__name__] += 1
        finally:
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(0.02)
    return taken, failures


async def drill(port: int, clients: int, seconds: float, paths: dict[str, str]) -> dict[str, Any]:
    """Runs all clients for so many seconds."""
    tallies = {kind: Tally() for kind in KINDS}
    slow = [
        asyncio.create_task(slow_client(kind, port, paths, tallies[kind]))
        for _ in range(clients // len(KINDS))
        for kind in KINDS
    ]
    taken, failures = await honest_client(port, seconds)
    held = {kind: tally.holding for kind, tally in tallies.items()}
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    milliseconds = [1000 * value for value in taken]
    return {
        "slow": {
            kind: {
                "clients": clients // len(KINDS),
                "opened": tally.opened,
                "held_at_the_end": held[kind],
                "ends": dict(tally.ends),
            }
            for kind, tally in tallies.items()
        },
        "honest": {
            "asked": len(taken) + failures.total(),
            "answered": len(taken),
            "failures": dict(failures),
            "p50_ms": round(statistics.median(milliseconds), 2) if milliseconds else None,
            "worst_ms": round(max(milliseconds), 2) if milliseconds else None,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=400, help="slow clients, at most 4000")
    parser.add_argument("--seconds", type=float, default=30.0, help="at most 600")
    parser.add_argument("--plain", action="store_true", help="uvicorn alone")
    parser.add_argument("--files", type=int, default=1024, help="open files that the server is allowed")
    parser.add_argument("--port", type=int, help="of a facemix that runs already")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.plain, options.files)
        return
    clients, seconds = min(options.clients, 4000), min(options.seconds, 600.0)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, clients + 256) if hard > 0 else clients + 256, hard))
    if options.port is not None:
        paths = {"body": "/api/v1/mix", "large": "/openapi.json"}
        figures = asyncio.run(drill(options.port, clients, seconds, paths))
    else:
        command = [sys.executable, "-m", "benchmarks.drill_slow", "--serve", "--files", str(options.files)]
        with subprocess.Popen(command + ["--plain"] * options.plain, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                port = int(server.stdout.readline())
                figures = asyncio.run(drill(port, clients, seconds, {"body": "/", "large": "/large"}))
            finally:
                server.kill()
    _print(figures)
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _print(figures: dict[str, Any]) -> None:
    print(f"{'slow':<10}{'clients':>8}{'opened':>8}{'held':>6}  ends")
    for kind, row in figures["slow"].items():
        ends = ", ".join(f"{name} {count}" for name, count in sorted(row["ends"].items()))
        print(f"{kind:<10}{row['clients']:>8}{row['opened']:>8}{row['held_at_the_end']:>6}  {ends}")
    honest = figures["honest"]
    failures = ", ".join(f"{name} {count}" for name, count in sorted(honest["failures"].items())) or "none"
    print(f"honest    {honest['answered']} of {honest['asked']} answered; failures: {failures}")
    if honest["answered"]:
        print(f"          p50 {honest['p50_ms']} ms, worst {honest['worst_ms']} ms")


if __name__ == "__main__":
    main()
