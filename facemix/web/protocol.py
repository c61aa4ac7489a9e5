"""HTTP/1.1 on one connection: uvicorn's httptools protocol, with an end to everything a client may draw out.

uvicorn bounds how long a connection may idle between requests and nothing else: whoever sends or reads a byte now
and then stays for ever. Here a request's header has a deadline and a size, an answer that is not read has a
deadline, and what a refused request still sends is read and thrown away, for a while, because closing a socket that
holds unread bytes resets the connection, and the reset can overtake the answer. (Bodies that the application reads
have their deadline in `deadlines.py`.)
"""

from __future__ import annotations

import array
import asyncio
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from facemix.errors import FacemixError, HeaderTimeout, HeaderTooLarge, RequestInvalid, TooManyConnections
from facemix.web.connections import Connections, raw_answer
from facemix.web.rates import network

_TURNED_AWAY_AT_ONCE = 64  # connections beyond the cap that are still being told so; further ones are reset
_TURNED_AWAY_SECONDS = 1.0
_STOPPING_SECONDS = 1.0


class _Transport:
    """The connection as uvicorn sees it: closing it goes through the protocol."""

    def __init__(self, real: asyncio.Transport, protocol: GuardedProtocol) -> None:
        self._real, self._protocol = real, protocol

    def write(self, data: bytes) -> None:
        if not self._protocol.closing:
            self._real.write(data)

    def close(self) -> None:
        self._protocol.finish()

    def is_closing(self) -> bool:
        return self._protocol.closing or self._real.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class GuardedProtocol(HttpToolsProtocol):
    """Made for one server by `facemix.web.server.make_server`, which sets `shared` on a class of its own."""

    shared: ClassVar[Connections]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closing = False  # no more is parsed or answered
        self._deaf = False  # no more is parsed; what is being answered is answered
        self._in_body = False  # rather than in a header, or waiting for one
        self._fed = 0  # bytes without an end of a header or a byte of a body
        self._heard = False  # a byte of the header that is awaited
        self._thrown_away = 0
        self._answered: RequestResponseCycle | None = None  # or was last; `cycle` is what is being read
        self._address: str | None = None
        self._unread = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # --- the connection ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._real = transport
        if self.shared.stopping:  # accepted just before the listener closed
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) else ""
        if self.shared.full_for(host, len(self.connections)):
            self._turn_away()
            return
        self._address = network(host)
        self.shared.enter(self._address)
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        self._header_timer = self.loop.call_later(self.shared.limits.header_seconds, self._header_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        for timer in (self._header_timer, self._linger_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        if self._address is not None:
            self.shared.leave(self._address)
            self._unset_keepalive_if_required()
            if self._answered is not None and not self._answered.response_complete:
                self._answered.disconnected = True
                self._answered.message_event.set()
            super().connection_lost(exc)
        elif self._linger_timer is not None:
            self.shared.turned_away -= 1

    def _turn_away(self) -> None:
        self.closing = True
        self.shared.counted(TooManyConnections.code)
        if self.shared.turned_away >= _TURNED_AWAY_AT_ONCE:
            self._real.abort()
            return
        self.shared.turned_away += 1
        self._real.write(self.shared.full)
        self._linger(_TURNED_AWAY_SECONDS)

    def finish(self) -> None:
        """Closes once the answer is out; first throws away what the client still sends of its request."""
        if self.closing:
            return
        self.closing = True
        self._stop_header_timer()
        if self._in_body or self._deaf:
            self._linger(self.shared.limits.linger_seconds)
            return
        self._real.close()
        self._watch_reader()

    def _linger(self, seconds: float) -> None:
        if self.shared.stopping:
            seconds = min(seconds, _STOPPING_SECONDS)
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._linger_timer = self.loop.call_later(seconds, self._real.abort)
        if self.flow is not None:
            self.flow.resume_reading()
        if self._real.can_write_eof():
            self._real.write_eof()

    def shutdown(self) -> None:
        super().shutdown()
        if self._linger_timer is not None and not self._real.is_closing():
            self._linger(_STOPPING_SECONDS)

    # --- bytes that arrive ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.closing or self._deaf:
            self._throw_away(len(data))
            return
        self._fed += len(data)
        self._heard = True
        super().data_received(data)
        if self.closing or self._deaf:
            return
        if self._fed > self.shared.limits.header_bytes:
            # In a body: endless chunk extensions or trailers, which are kept as far as they have come.
            self._refuse_header("is longer than", self.shared.limits.header_bytes, "bytes")
        elif self._heard and not self._in_body and self._header_timer is None:
            self._header_timer = self.loop.call_later(self.shared.limits.header_seconds, self._header_late)

    def _throw_away(self, count: int) -> None:
        self._thrown_away += count
        if self._thrown_away > self.shared.limits.linger_bytes:
            self.closing = True
            self._real.abort()

    def on_message_begin(self) -> None:
        if self.closing or self._deaf:
            return
        if len(self.pipeline) >= self.shared.limits.pipelined:
            self._go_deaf()
            return
        self._heard = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not (self.closing or self._deaf):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.closing or self._deaf or self._in_body:  # a trailer; uvicorn would add it to the header
            return
        if len(self.headers) < self.shared.limits.header_fields:
            super().on_header(name, value)
        else:
            self._refuse_header("has more than", self.shared.limits.header_fields, "fields")

    def on_headers_complete(self) -> None:
        if self.closing or self._deaf:
            return
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.shared.limits.header_bytes:
            self._refuse_header("is longer than", self.shared.limits.header_bytes, "bytes")
            return
        super().on_headers_complete()
        self._stop_header_timer()
        self._in_body, self._fed = True, 0
        if self.pipeline and self._has_room():
            self.flow.resume_reading()  # uvicorn has paused it, and would not see that the client leaves
        if self.shared.stopping:
            self.cycle.keep_alive = False

    def _has_room(self) -> bool:
        """Whether more may wait behind the request that is being answered."""
        waiting = sum(len(cycle.body) for cycle, _ in self.pipeline)
        return len(self.pipeline) < self.shared.limits.pipelined and waiting <= HIGH_WATER_LIMIT

    def on_body(self, body: bytes) -> None:
        if self.closing or self._deaf:
            return
        self._fed = 0
        if self.cycle.response_complete:
            self._throw_away(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.closing or self._deaf:
            return
        self._in_body, self._heard, self._fed = False, False, 0
        super().on_message_complete()
        if self.cycle.response_complete and not self.closing:
            # The rest of a refused body is gone: the connection is as good as new.
            self._stop_linger_timer()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    # --- answers -------------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and not self.closing:
            self._unset_keepalive_if_required()
            self._linger_timer = self.loop.call_later(self.shared.limits.linger_seconds, self._real.abort)

    def pause_writing(self) -> None:
        if self.flow is not None:
            super().pause_writing()
            self._watch_reader()

    def resume_writing(self) -> None:
        if self.flow is not None:
            super().resume_writing()
        if self._write_timer is not None and not self.closing:
            self._write_timer.cancel()
            self._write_timer = None

    def _watch_reader(self) -> None:
        if self._write_timer is None and self._real.get_write_buffer_size():
            self._unread = self._unread_bytes()
            self._write_timer = self.loop.call_later(self.shared.limits.write_seconds, self._check_reader)

    def _check_reader(self) -> None:
        self._write_timer = None
        limits = self.shared.limits
        taken = self._unread - self._unread_bytes()
        if taken < min(self._unread, limits.least_rate * limits.write_seconds):
            self.closing = True
            self.shared.counted("answer_unread")
            self._reset()
        else:
            self._watch_reader()

    def _reset(self) -> None:
        """Cuts the connection so that the kernel does not keep what is unread, either."""
        connection = self._real.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._real.abort()

    def _unread_bytes(self) -> int:
        """What the client has not acknowledged: of this process's buffer and, where it can be asked, the kernel's."""
        size = self._real.get_write_buffer_size()
        connection = self._real.get_extra_info("socket")
        if sys.platform == "linux" and connection is not None and connection.fileno() >= 0:
            import fcntl
            import termios

            queued = array.array("i", [0])
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, queued)
            size += queued[0]
        return size

    # --- refusals that the application does not see --------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        error = RequestInvalid("this is not a valid HTTP/1.1 request", hint="see RFC 9112 for the form of a request")
        error.status = 400  # type: ignore[misc]
        self._refuse(error)

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing: a client that offers HTTP/2 or WebSocket is answered as any other, and could fill the log."""

    def _refuse_header(self, what: str, most: int, unit: str) -> None:
        hint = "send shorter cookies, addresses and other fields"
        self._refuse(HeaderTooLarge(f"the request's header {what} {most} {unit}", hint=hint))

    def _header_late(self) -> None:
        self._header_timer = None
        if not self._heard:  # a connection opened ahead of need; an answer could be taken for that of a later request
            self.finish()
            return
        seconds = self.shared.limits.header_seconds
        self._refuse(
            HeaderTimeout(f"the request's header did not arrive within {seconds:g} seconds", hint="send it faster")
        )

    def _refuse(self, error: FacemixError) -> None:
        """Answers and closes; what is being answered already is answered first."""
        if self.closing or self._deaf:
            return
        self.shared.counted(error.code)
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and (self.pipeline or not self._in_body):
            self._go_deaf()
            return
        if answering:  # it is this very request whose body is wrong
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.closing = True
                self._real.abort()
                return
        self._real.write(raw_answer(error, self.server_state.default_headers))
        self._deaf = True
        self.finish()
        self._forget()

    def _go_deaf(self) -> None:
        """The last request that has arrived whole is answered; then the connection is closed."""
        self._deaf = True
        self._stop_header_timer()
        self.cycle.keep_alive = False
        self._forget()

    def _forget(self) -> None:
        """Lets go of a header that may be large; the connection may stay for a while."""
        self.url, self.headers = b"", []
        self.parser = None  # type: ignore[assignment]

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_linger_timer(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
