"""One row in the ledger for every request that asks for work, answered or refused; the keys that name its sender."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from cachetools import TTLCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.serving.types import Cost
from facemix.web.job_work import Ended
from facemix.web.rates import Sender
from facemix.web.routes import CLIENT_LEFT, PROBES, known_method, route_template
from facemix.web.threads import Threads

if TYPE_CHECKING:
    from facemix.storage.database import Database
    from facemix.storage.ledger import LedgerRow
    from facemix.storage.ledger_writer import LedgerState

KEYS_REMEMBERED = 1024
KEY_SECONDS = 15.0  # so long a revoked key may still be let in
LOOK_UPS_AT_ONCE = 4
_NOT_KNOWN = object()


class LedgerMiddleware:
    """Writes a row for every request to the interface, and for every form of the page. A row holds no address, no
    file name and no image; see `docs/storage.md`.

    Args:
        add: takes a row at once; it must neither wait nor raise.
    """

    def __init__(self, app: ASGIApp, add: Callable[[LedgerRow], None]) -> None:
        self.app = app
        self.add = add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_counted(scope):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, arrived, sent = CLIENT_LEFT, 0, 0

        async def counted_receive() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, counted_receive, counted_send)
        except Exception:
            status = 500  # whatever was begun, the connection is cut
            raise
        finally:
            if not scope.get("state", {}).get("accounted"):  # a replica that answered has written its own
                self.add(_row(scope, status, (time.perf_counter() - started) * 1000, arrived, sent))


def _is_counted(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return (path.startswith("/api/") or (path == "/" and scope["method"] == "POST")) and path not in PROBES


def _row(scope: Scope, status: int, milliseconds: float, arrived: int, sent: int) -> LedgerRow:
    from facemix.storage.ledger import LedgerRow

    state = scope.get("state", {})
    cost: Cost = state.get("cost") or Cost()
    return LedgerRow(
        request_id=state.get("request_id", "unknown"),
        route=f"{known_method(scope)} {route_template(scope)}",
        status=status,
        error_code=state.get("refusal"),
        model_id=state.get("model"),
        key_name=state.get("api_key"),
        frames_encoded=cost.frames_encoded,
        frames_decoded=cost.frames_decoded,
        device_seconds=cost.device_seconds,
        milliseconds=milliseconds,
        bytes_in=arrived,
        bytes_out=sent,
    )


class Accounts:
    """The ledger and the keys of one application.

    Args:
        database: upgraded; closed by `close`.
        ledger: whether rows are written.
    """

    def __init__(self, database: Database, *, ledger: bool = True) -> None:
        from facemix.storage.keys import KeyStore
        from facemix.storage.ledger import Ledger
        from facemix.storage.ledger_writer import LedgerWriter

        self._database = database
        self._keys = KeyStore(database)
        self._ledger = Ledger(database)
        self._writer = LedgerWriter(self._ledger) if ledger else None
        # A database is not asked for every request.
        self._known: TTLCache[str, Sender | None] = TTLCache(KEYS_REMEMBERED, KEY_SECONDS)
        # Threads of their own: a database that hangs must not hold those that files and pages are read in.
        self._look_ups = Threads(LOOK_UPS_AT_ONCE)

    def add(self, row: LedgerRow) -> None:
        """Queues a row; neither waits nor raises."""
        if self._writer is not None:
            self._writer.add(row)

    def add_job(self, ended: Ended) -> None:
        """Queues a row for a job that has ended; the request that started it has one of its own."""
        from facemix.storage.ledger import LedgerRow

        self.add(
            LedgerRow(
                # Without a key the id is all that guards a job; the ledger lies on a disk, and in its backups.
                request_id=hashlib.sha256(ended.id.encode()).hexdigest()[:32],
                route=f"JOB {ended.kind}",
                status=ended.status,
                error_code=ended.error_code,
                model_id=ended.model,
                key_name=ended.owner,
                frames_encoded=ended.cost.frames_encoded,
                frames_decoded=ended.cost.frames_decoded,
                device_seconds=ended.cost.device_seconds,
                milliseconds=ended.milliseconds,
                bytes_in=0,
                bytes_out=ended.bytes_out,
            )
        )

    def ledger_state(self) -> LedgerState | None:
        """How the writing goes, None where it is switched off."""
        return None if self._writer is None else self._writer.state()

    def prune(self, older_than: datetime) -> int:
        """Deletes the rows from before that time; how many they were. Waits for the database.

        Raises:
            StorageFull, StorageUnavailable: the database refused.
        """
        return self._ledger.prune(older_than)

    async def sender_of(self, secret: str) -> Sender | None:
        """Whose key has that secret; None for a secret that no living key has.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        known: Any = self._known.get(secret, _NOT_KNOWN)  # one look: what is there may run out before a second
        if known is _NOT_KNOWN:
            key = await self._look_ups.run(partial(self._keys.find, secret))
            known = self._known[secret] = None if key is None else Sender(key.name, key.requests_per_minute)
        return cast("Sender | None", known)

    def close(self) -> None:
        """Writes what waits, for a bounded time."""
        if self._writer is not None:
            self._writer.close()
        self._database.close()
