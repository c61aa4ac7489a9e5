"""What governs one application: who may do what, what is switched, what is written down about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from facemix.errors import NotFound
from facemix.settings import Settings
from facemix.web.threads import Threads
from facemix.web.throttle import SignInThrottle

if TYPE_CHECKING:
    from facemix.governance.audit import AuditLog
    from facemix.governance.controls import Controls
    from facemix.governance.operators import Operators
    from facemix.governance.secrets import Secrets
    from facemix.governance.sessions import Session, Sessions
    from facemix.storage.database import Database
    from facemix.storage.keys import KeyStore

CALLS_AT_ONCE = 4
HASHES_AT_ONCE = 2  # each takes 64 MiB

T = TypeVar("T")


class Governed:
    """The stores of governance; those that are None are not there.

    Args:
        database: upgraded; closed by whoever opened it.
    """

    registry: Any = None
    reviews: Any = None
    gallery: Any = None
    guard: Any = None
    marker: Any = None
    prices: Any = None
    budgets: Any = None
    guard_look: asyncio.Task[Any] | None = None  # of the console, which asks what the guard can do

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        secrets: Secrets,
        controls: Controls,
        audit: AuditLog,
        operators: Operators,
        sessions: Sessions,
        keys: KeyStore,
    ) -> None:
        self.settings, self.database, self.secrets = settings, database, secrets
        self.controls, self.audit = controls, audit
        self.operators, self.sessions, self.keys = operators, sessions, keys
        # Threads of their own: a database that hangs must not hold those that files and pages are read in.
        self._threads = Threads(CALLS_AT_ONCE)
        self._hashing = Threads(HASHES_AT_ONCE)
        self.throttle = SignInThrottle()

    @classmethod
    def open(cls, settings: Settings, database: Database) -> Governed:
        """Everything that the settings name.

        Raises:
            ConfigError, StorageUnavailable: see `open_secrets` and `open_marker`.
            InstallationError: see `open_marker`.
        """
        from facemix.faces.embedder import load_embedder
        from facemix.governance.audit import AuditLog
        from facemix.governance.controls import Controls
        from facemix.governance.operators import Operators
        from facemix.governance.registry import Registry
        from facemix.governance.review import Reviews
        from facemix.governance.secrets import open_secrets
        from facemix.governance.sessions import Sessions
        from facemix.safety.gallery import Gallery
        from facemix.safety.guard import Guard
        from facemix.safety.marking import open_marker
        from facemix.storage.keys import KeyStore

        secrets = open_secrets(settings)
        made = cls(
            settings,
            database,
            secrets=secrets,
            controls=Controls(database),
            audit=AuditLog(database),
            operators=Operators(database),
            sessions=Sessions(database, hours=settings.session_hours),
            keys=KeyStore(database),
        )
        made.registry = Registry(database)
        made.reviews = Reviews.open(settings, database, secrets)
        made.gallery = Gallery(database, secrets)
        made.guard = Guard(made.gallery, load_embedder, settings.guard_distance)
        made.marker = open_marker(settings, secrets)
        return made

    @staticmethod
    def of(request: Request) -> Governed:
        """That of the application.

        Raises:
            NotFound: it has no database, and so nothing of this.
        """
        found: Governed | None = getattr(request.app.state, "governed", None)
        if found is None:
            raise NotFound("this server keeps no accounts", hint="start it with `facemix serve`")
        return found

    async def session(self, token: str) -> Session | None:
        """Who is signed in with that cookie, None if nobody is. Raises `StorageUnavailable`."""
        return await self.run(lambda: self.sessions.find(token))

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns, which waits for the database, in a thread."""
        return await self._threads.run(call)

    async def hash(self, call: Callable[[], T]) -> T:
        """The same of a call that hashes a password, which takes a core and much memory for a while."""
        return await self._hashing.run(call)
