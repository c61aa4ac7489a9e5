"""What Ray Serve keeps: copies of the application, each with a device of its own, and what each of them needs.

Ray is an optional extra and slow to import, so every import of it stands in a function.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from facemix.errors import InstallationError, NotReady
from facemix.serving.tuning import tune_allocator, wait_passively
from facemix.settings import Settings, load_settings
from facemix.web.access import behind_ray
from facemix.web.accounts import Accounts
from facemix.web.app import create_app
from facemix.web.front import answer_of
from facemix.web.governed import Governed
from facemix.web.logs import access, configure_logging
from facemix.web.stores import Stores

if TYPE_CHECKING:
    from ray.serve import Application

REPLICA = "replica"
REPLICA_HEADER = b"x-facemix-replica"
PART_BYTES = 1024 * 1024  # Ray's messages may have 4 MiB

# A replica lets in at most `max_queue` requests, as each has at least one frame. Ray's own bound lies above, so that
# a replica always answers by itself when it is full, with the Retry-After that it has computed; what lies between is
# for pages, probes and the requests that are being refused.
SPARE_REQUESTS = 64
HEALTH_PERIOD_SECONDS = 1.0
HEALTH_TIMEOUT_SECONDS = 10.0
STOP_GRACE_SECONDS = 5.0
CONSTRUCTOR_TRIES = 3
QUIET = {"log_level": "ERROR", "enable_access_log": False}


class Replica:
    """One copy of the application. Every method runs on one event loop."""

    def __init__(self, settings: Settings, name: str) -> None:
        """`name` stands in every answer's `REPLICA_HEADER`.

        Raises:
            ConfigError, InstallationError, StorageUnavailable: see `open_database` and `create_app`.
        """
        # Both bring torch along, which the front can do without and which is to find `RayReplica`'s preparations.
        from facemix.serving.assembly import mixer_from_settings
        from facemix.web.run import open_database, open_fleet

        self._name = name.encode()
        self._stack = AsyncExitStack()
        database = open_database(settings)
        accounts, stores = Accounts.open(settings, database), Stores.open(settings, database)
        governed = Governed.open(settings, database)
        self._app = create_app(
            settings,
            lambda observer: mixer_from_settings(settings, observer),
            accounts,
            stores,
            governed,
            open_fleet(settings, governed),
        )

    async def start(self) -> None:
        """Returns when the model is loaded and warm.

        Raises:
            RuntimeError: there will be no model; says why.
        """
        await self._stack.enter_async_context(self._app.router.lifespan_context(self._app))
        while (problem := await self._problem("/readyz")) is not None:
            if problem["code"] != NotReady.code:
                raise RuntimeError(f"{problem['detail']}; {problem['hint']}")
            await asyncio.sleep(0.05)

    async def answer(
        self, scope: dict[str, Any], body: bytes
    ) -> AsyncIterator[tuple[int, list[tuple[bytes, bytes]], bytes] | bytes]:
        """Status, headers and the body's first part; then its further parts."""
        status, headers, content = await answer_of(self._app, scope, body)
        headers.append((REPLICA_HEADER, self._name))
        yield status, headers, content[:PART_BYTES]
        for start in range(PART_BYTES, len(content), PART_BYTES):
            yield content[start : start + PART_BYTES]

    async def check_health(self) -> None:
        """Raises RuntimeError when the application is ill, as with a dead inference thread."""
        problem = await self._problem("/healthz")
        if problem is not None:
            raise RuntimeError(problem["detail"])

    async def close(self) -> None:
        """Lets the application finish and close what it holds."""
        await self._stack.aclose()

    async def _problem(self, path: str) -> dict[str, Any] | None:
        answer = await answer_of(self._app, _probe(path), b"")
        return None if answer.status == 200 else json.loads(answer.body)


class RayReplica(Replica):
    """A replica as Ray wants it: made by an `__init__` that is awaited, which Ray tries a few times; closed by a
    `__del__` that is awaited when everything is answered; replaced when `check_health` has raised three times."""

    async def __init__(self, values: Mapping[str, Any] | None) -> None:  # type: ignore[misc]
        """values: the settings; None reads this process's environment."""
        from ray import serve

        tune_allocator()
        wait_passively()
        settings = behind_ray(shared(load_settings())) if values is None else Settings(**values)
        settings = settings.model_copy(update={"isolate": False})  # a replica is a process of its own already
        configure_logging(settings.log_level, settings.log_format)
        access.disabled = settings.log_level != "debug"  # the front has a line for every request
        super().__init__(settings, serve.get_replica_context().replica_id.unique_id)
        await self.start()

    async def __del__(self) -> None:
        await self.close()


def deployment(
    settings: Settings, replicas: int, options: Mapping[str, float], *, from_environment: bool = False
) -> Application:
    """The replicas for Ray.

    Args:
        settings: those of the replicas.
        options: what each of them needs, see `resources`.
        from_environment: the replicas read their settings themselves, where they run.
    """
    from ray import serve

    return serve.deployment(
        RayReplica,
        name=REPLICA,
        num_replicas=replicas,
        ray_actor_options=dict(options),
        max_ongoing_requests=settings.max_queue + SPARE_REQUESTS,
        # Requests wait in the front only while no replica can take them; a burst counts as waiting for a moment.
        max_queued_requests=settings.max_queue,
        health_check_period_s=HEALTH_PERIOD_SECONDS,
        health_check_timeout_s=HEALTH_TIMEOUT_SECONDS,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=settings.deadline_seconds + STOP_GRACE_SECONDS,
        max_constructor_retry_count=CONSTRUCTOR_TRIES,
        logging_config=QUIET,
    ).bind(None if from_environment else settings.model_dump())


def resources(settings: Settings, replicas: int, cluster: Mapping[str, float]) -> dict[str, float]:
    """What one replica needs, as Ray's ``ray_actor_options``: a GPU each where there are any, else a share of cores.

    Args:
        cluster: what the cluster has, as of `ray.cluster_resources`.

    Raises:
        InstallationError: there are fewer GPUs than replicas.
    """
    cores, gpus = cluster.get("CPU", 1.0), cluster.get("GPU", 0.0)
    share = cores / replicas
    if settings.device == "cpu" or (settings.device == "auto" and not gpus):
        return {"num_cpus": float(int(share)) if share >= 1 else share}
    if gpus < replicas:
        raise InstallationError(
            f"{replicas} replicas need a GPU each, but Ray sees {gpus:g}",
            hint="ask for fewer replicas, or set FACEMIX_DEVICE=cpu",
        )
    return {"num_gpus": 1.0, "num_cpus": min(1.0, share)}


def shared(settings: Settings) -> Settings:
    """The settings of processes that see the same faces, jobs and answers: memory belongs to one process."""
    return settings.model_copy(update={"keep": "database"})


def with_share(settings: Settings, options: Mapping[str, float]) -> Settings:
    """The settings of one of several replicas on a machine: threads for its share of the cores, not for all."""
    if "num_gpus" in options:
        return settings
    share = max(1, int(options["num_cpus"]))
    return settings.model_copy(update={"threads": settings.threads or share, "workers": settings.workers or share})


def _probe(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
