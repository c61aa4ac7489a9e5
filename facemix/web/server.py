"""The server: uvicorn, with limits on every connection and a stop that loses no answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from facemix.errors import ConfigError, InstallationError
from facemix.web.connections import ConnectionLimits, Connections

KEEP_ALIVE_SECONDS = 15
DRAIN_SECONDS = 30
BACKLOG = 512
_OTHER_FILES = 256  # open files that are no connections: the model's, the database's, connections turned away


class Server(uvicorn.Server):
    """Ends by itself after SIGTERM or SIGINT: what is being answered is answered, idle connections are closed.

    A second signal ends it without waiting. After `run`, `exit_code` is 0 when nothing was cut off, else 1.
    """

    def __init__(self, config: uvicorn.Config, shared: Connections, sockets: Sequence[socket.socket]) -> None:
        super().__init__(config)
        self.shared = shared
        self.sockets = list(sockets)
        self.exit_code = 0

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(self.sockets if sockets is None else sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again at the end, so that the process never leaves with status 0.
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.shared.stopping = True
        patience = self.config.timeout_graceful_shutdown or 0
        overdue = asyncio.get_running_loop().call_later(patience, self._note_unfinished)
        await super().shutdown(sockets)
        overdue.cancel()
        if self.force_exit:
            self._note_unfinished()

    def _note_unfinished(self) -> None:
        if self.server_state.tasks or self.server_state.connections:
            self.exit_code = 1


def make_server(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    *,
    limits: ConnectionLimits | None = None,
    trusted_proxies: Sequence[str] = (),
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
    drain_seconds: int = DRAIN_SECONDS,
    log_level: str = "info",
    counted: Callable[[str], None] = lambda code: None,
) -> Server:
    """A server for `app` on sockets that listen already; ``.run()`` serves until a signal.

    Args:
        limits: what one connection may take.
        trusted_proxies: addresses or networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
            None by default: whoever connects could write what they like.
        keep_alive_seconds: how long a connection may idle between two requests.
        drain_seconds: how long a stop waits for answers.
        counted: hears the code of every refusal that the application does not see.

    Raises:
        InstallationError: httptools is missing; the other implementation would leave the limits out.
        ConfigError: the system does not let this process open that many connections.
    """
    try:
        from facemix.web.protocol import GuardedProtocol
    except ModuleNotFoundError as error:
        raise InstallationError(
            f"{error.name} is not installed; without it connections would have no limits",
            hint="install facemix with its dependencies: pip install facemix",
        ) from error
    limits = limits or ConnectionLimits()
    _allow_open_files(limits.connections)
    shared = Connections(limits, proxies=trusted_proxies, counted=counted)

    class Protocol(GuardedProtocol):
        pass

    Protocol.shared = shared
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="auto",  # uvloop where it can be imported
        interface="asgi3",
        lifespan="on",
        backlog=BACKLOG,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        server_header=False,
        access_log=False,  # the application logs requests itself, without addresses
        log_config=None,
        log_level=log_level,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=drain_seconds,
        workers=1,
    )
    return Server(config, shared, sockets)


def _allow_open_files(connections: int) -> None:
    """Raises this process's own limit as far as the system lets it, if it is too low."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows, where sockets do not count as files
        return
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not connections or soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{connections} connections need {needed} open files, and this process may open {hard}",
            hint="allow fewer connections, or raise the limit: ulimit -n",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
