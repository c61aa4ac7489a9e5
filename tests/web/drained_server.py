"""A server as a process of its own, to be stopped by signals: ``python drained_server.py [DRAIN_SECONDS]``.

Prints its port once it serves. ``/slow`` says on standard output that it has begun and answers when a line comes on
standard input; any other address answers at once.
"""

import asyncio
import socket
import sys

from facemix.web.server import make_server


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        print(listening.getsockname()[1], flush=True)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        print("shut down", flush=True)
        return
    body = b"at once"
    if scope["path"] == "/slow":
        print("begun", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        body = b"x" * 1_000_000
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    drain_seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    server = make_server(app, [listening], drain_seconds=drain_seconds, log_level="critical")
    server.run()
    sys.exit(server.exit_code)
