"""More than one: Ray Serve keeps replicas of the application, one per device, and this process is the front.

A front of our own rather than Ray's HTTP proxy: that answers 500 to requests whose replica died, is slower, most of
all with photographs, and knows none of our limits on connections. On Kubernetes, where Ray's proxies receive the
requests, the same front runs as a deployment between them and the replicas (`build`, ``docs/deploy/rayservice.yaml``).

Ray is an optional extra and slow to import, so every import of it stands in a function.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from facemix.errors import Busy, InstallationError, NotReady
from facemix.settings import Settings, load_settings
from facemix.web.access import behind_ray, check_access
from facemix.web.accounts import Accounts
from facemix.web.connections import ConnectionLimits
from facemix.web.front import Answer, Ask, ReplicaLost, create_front
from facemix.web.governed import Governed
from facemix.web.ray_replica import QUIET, REPLICA, SPARE_REQUESTS, deployment, resources, shared, with_share
from facemix.web.run import address_of, listen, open_database, proxies
from facemix.web.server import make_server
from facemix.web.stores import Stores, open_shelf

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

log = logging.getLogger("facemix.ray")

APPLICATION = "facemix"
DIRECT_BYTES = 2 * 1024 * 1024  # Ray's messages may have 4 MiB; a larger body travels through its object store


def serve_with_ray(settings: Settings) -> int:
    """Serves with `settings.replicas` replicas until SIGTERM or SIGINT, then answers what is inside and stops them.

    The cluster is the one that this process is connected to already, the one at RAY_ADDRESS, or a new one on this
    machine. In a cluster there is one facemix: a second call replaces the replicas of the first. The front answers
    from the first moment, and what needs a replica with 503 until there is one. SIGHUP changes nothing.

    Returns:
        The process's exit status: 0, or 1 when answers were cut off.

    Raises:
        InstallationError: the address is taken; Ray is missing, its cluster cannot be reached or lacks GPUs; no
            replica starts.
        ConfigError, StorageUnavailable: see `open_database`.
    """
    try:
        import ray
        from ray import serve
    except ModuleNotFoundError as error:
        raise InstallationError("Ray is not installed", hint="pip install 'facemix[ray]'") from error
    if settings.replicas > 1:
        settings = shared(settings)
    accounts, stores, governed = _of_front(settings)
    with _deaf_to_hangup(), listen(settings.host, settings.port) as listening:
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        connected = ray.is_initialized()
        if not connected:
            try:
                ray.init(include_dashboard=False, logging_level="ERROR")
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise InstallationError(f"Ray cannot be used: {error}", hint="check RAY_ADDRESS") from error
        try:
            options = resources(settings, settings.replicas, ray.cluster_resources())
            start = _Start(deployment(with_share(settings, options), settings.replicas, options))
            server = make_server(
                create_front(settings, start.ask, accounts, stores, governed),
                [listening],
                limits=ConnectionLimits(
                    connections=settings.max_connections, per_address=settings.max_connections_per_address
                ),
                trusted_proxies=proxies(settings),
                log_level=settings.log_level,
            )
            start.on_failure = functools.partial(setattr, server, "should_exit", True)
            start.thread.start()
            print(f"facemix serves {address_of(settings.host, settings.port)}", file=sys.stderr)
            server.run()
            if start.failure is not None:
                raise start.failure
            return server.exit_code
        finally:
            with suppress(Exception):  # a cluster that is gone needs no farewell
                serve.delete(APPLICATION)
            if not connected:
                ray.shutdown()


@contextmanager
def _deaf_to_hangup() -> Iterator[None]:
    """Where one process serves, SIGHUP changes the model; by default it would end this one at once."""
    # Windows has no such signal, and only the main thread may say what becomes of one.
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def say(*_: object) -> None:
        log.warning("SIGHUP changes nothing here: a new model needs a restart")

    former = signal.signal(signal.SIGHUP, say)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL if former is None else former)


class _Start:
    """Deploys in a thread of its own, which may take as long as loading a model does."""

    def __init__(self, application: Application) -> None:
        self.thread = threading.Thread(target=self._run, args=(application,), daemon=True, name="ray-deploy")
        self.failure: InstallationError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._ask: Ask | None = None

    async def ask(self, scope: dict[str, Any], body: bytes) -> Answer:
        if self._ask is None:
            raise NotReady("the replicas are still being started", hint="try again in a few seconds", retry_after=2)
        return await self._ask(scope, body)

    def _run(self, application: Application) -> None:
        from ray import serve

        try:
            serve.start(proxy_location="Disabled", logging_config=QUIET)
            self._ask = asker(serve.run(application, name=APPLICATION, route_prefix=None))
            log.info("the replicas are ready")
        except Exception as error:  # whatever it is, nobody else would hear of it
            self.failure = InstallationError(
                f"the replicas do not start: {_why() or error}", hint="`facemix doctor` checks what they need"
            )
            self.on_failure()


def build(_: dict[str, str]) -> Application:
    """Front and replicas as one application for Ray's own configuration files: ``facemix.web.ray_engine:build``.

    Numbers of replicas and their resources are the file's. Every process reads the settings from its environment.
    """
    from ray import serve

    settings = load_settings()

    @serve.deployment(
        name="front",
        # Bodies in memory are what bounds a front (FACEMIX_MAX_BUFFERED_BYTES), not the number of requests.
        max_ongoing_requests=2 * (settings.max_queue + SPARE_REQUESTS),
        ray_actor_options={"num_cpus": 1},
        logging_config=QUIET,
    )
    @serve.ingress(_front_in_ray)
    class Ingress:
        def __init__(self, replica: DeploymentHandle[Any]) -> None:
            pass  # named here so that Ray deploys it, too

    return Ingress.bind(deployment(settings, 1, {"num_cpus": 1}, from_environment=True))


def asker(handle: DeploymentHandle[Any]) -> Ask:
    """Carries requests to the replicas behind `handle`."""
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

    through_store = handle.options(method_name="answer", stream=True)
    direct = through_store.options(_by_reference=False)

    async def ask(scope: dict[str, Any], body: bytes) -> Answer:
        parts = (direct if len(body) <= DIRECT_BYTES else through_store).remote(scope, body)
        try:
            (status, headers, first), *rest = [part async for part in parts]
        except asyncio.CancelledError:
            parts.cancel()
            raise
        except BackPressureError as error:
            raise Busy(
                "no replica can take this, and as many requests as may are waiting for one",
                hint="try again in 2 seconds",
                retry_after=2,
            ) from error
        except DeploymentUnavailableError as error:
            raise NotReady("no replica has started", hint="the operator's log says why", retry_after=10) from error
        except Exception as error:
            # The application answers its own defects, so whatever arrives here is the way to it, or its death.
            raise ReplicaLost(type(error).__name__) from error
        return Answer(status, headers, b"".join((first, *rest)))

    return ask


def _front_in_ray() -> ASGIApp:
    from ray import serve

    # How many replicas there are is the configuration file's, and so is where Ray's proxies listen.
    settings = behind_ray(shared(load_settings()))
    accounts, stores, governed = _of_front(settings, reachable=True)
    front = create_front(settings, asker(serve.get_deployment_handle(REPLICA)), accounts, stores, governed)
    # Ray's proxies leave this to the application; our own server does it before the application.
    return ProxyHeadersMiddleware(front, proxies(settings)) if settings.trusted_proxies else front


def _of_front(settings: Settings, *, reachable: bool | None = None) -> tuple[Accounts, Stores, Governed]:
    """Raises as `open_database` and `check_access`."""
    database = open_database(settings)
    check_access(settings, database, reachable=reachable)
    accounts, stores = Accounts.open(settings, database), Stores(settings, open_shelf(settings, database))
    return accounts, stores, Governed.open(settings, database)


def _why() -> str | None:
    """What the replicas said when they could not be made: the last line of a long account of Ray's."""
    from ray import serve

    with suppress(Exception):  # the reason is welcome, but not at the price of another error
        account = serve.status().applications[APPLICATION].deployments[REPLICA].message.strip()
        return account.splitlines()[-1].removeprefix("RuntimeError: ")
    return None
