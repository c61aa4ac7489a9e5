"""Serving from this process: storage, application, socket and server put together from the settings."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from facemix.errors import InstallationError
from facemix.serving.observer import Observer
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.engine import default_url
from facemix.web.access import check_access
from facemix.web.accounts import Accounts
from facemix.web.app import create_app
from facemix.web.connections import ConnectionLimits
from facemix.web.fleet import Fleet, Registered
from facemix.web.governed import Governed
from facemix.web.server import BACKLOG, make_server
from facemix.web.state import LOADING, MixerLike
from facemix.web.stores import Stores

# When the event loop wants Python's lock, a thread that looks at a photograph holds it for so long at most; by default
# it is ten times as long, which every answer would wait for.
SWITCH_SECONDS = 0.0005


def open_database(settings: Settings) -> Database:
    """The database that the settings name, with the newest schema.

    Raises:
        ConfigError, InstallationError, StorageUnavailable, SchemaTooNew: see `Database.open` and `Database.upgrade`.
    """
    database = Database.open(settings.database_url or default_url(settings.data_dir.expanduser()))
    database.upgrade()
    return database


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        InstallationError: the address is taken, or not this machine's.
    """
    # Bound here rather than by uvicorn, to say what to do when the address is taken.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InstallationError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="stop what is using the address, or choose another with --port",
        ) from error


def proxies(settings: Settings) -> list[str]:
    """The addresses and networks of the setting."""
    return [part.strip() for part in settings.trusted_proxies.split(",") if part.strip()]


def address_of(host: str, port: int) -> str:
    """As it is written into a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_here(settings: Settings) -> int:
    """Serves until a signal; the exit status: 0 after a stop that lost no answer.

    Raises:
        InstallationError, ConfigError, StorageUnavailable: it cannot begin.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    database = open_database(settings)
    check_access(settings, database)
    accounts, stores = Accounts.open(settings, database), Stores.open(settings, database)
    governed = Governed.open(settings, database)
    fleet = open_fleet(settings, governed)
    application = create_app(settings, lambda observer: _mixer(settings, observer), accounts, stores, governed, fleet)
    listening = listen(settings.host, settings.port)
    server = make_server(
        application,
        [listening],
        limits=ConnectionLimits(connections=settings.max_connections, per_address=settings.max_connections_per_address),
        trusted_proxies=proxies(settings),
        log_level=settings.log_level,
        counted=application.state.metrics.refused,
    )
    application.state.metrics.figures.watch(connections=lambda: len(server.server_state.connections))
    print(f"facemix serves {address_of(settings.host, settings.port)}", file=sys.stderr)
    server.run()
    _end_while_loading(server.exit_code)
    return server.exit_code


def open_fleet(settings: Settings, governed: Governed) -> Fleet | None:
    """The models that the registry names; None where the settings name the one."""
    if settings.checkpoint is not None:
        return None
    maker = cache(partial(_maker, settings))  # not before it is called, in a thread: see `_mixer`

    def make(folder: Path, observer: Observer) -> MixerLike:
        return maker()(folder, observer)

    return Registered(governed.registry, make, standby_seconds=settings.face_seconds)


def _maker(settings: Settings) -> Callable[[Path, Observer], MixerLike]:
    """Makes mixers that look at photographs together."""
    from facemix.serving.assembly import mixer_from_settings
    from facemix.serving.shared_lookers import SharedLookers

    shared = SharedLookers.from_settings(settings)

    def make(folder: Path, observer: Observer) -> MixerLike:
        return mixer_from_settings(settings.model_copy(update={"checkpoint": folder}), observer, shared.take())

    return make


def _end_while_loading(status: int) -> None:
    """Ends the process at once if a model is still being loaded: a library that comes back from there to an interpreter
    that is being taken down aborts the process, and its status would be lost."""
    if any(thread.name == LOADING for thread in threading.enumerate()):
        logging.shutdown()
        sys.stderr.flush()
        os._exit(status)


def _mixer(settings: Settings, observer: Observer) -> MixerLike:
    # Not before it is called, in a thread: torch takes a second to import, in which pages are answered already, and a
    # front before replicas has no use for it.
    from facemix.serving.assembly import mixer_from_settings

    return mixer_from_settings(settings, observer)
