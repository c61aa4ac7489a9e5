"""What Prometheus reads: counters and histograms of the engine and of the requests, in seconds, bytes and frames.

Every label has a bounded set of values, whatever clients send. ``docs/operations.md`` describes every metric.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemix.errors import FacemixError
from facemix.serving.observer import Dropped, Kind, Observer
from facemix.web.figures import Figures
from facemix.web.routes import CLIENT_LEFT, OTHER, known_method, route_template

_FRAMES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_KINDS: tuple[Kind, ...] = ("encode", "decode")
_REASONS: tuple[Dropped, ...] = ("cancelled", "deadline", "failed")
_NAMES_KEPT = 64  # stages, caches and routes are named by the program; this bounds a mistake
_ANSWERS_KEPT = 1024

if TYPE_CHECKING:
    from facemix.storage.ledger import LedgerRow

C = TypeVar("C", Counter, Histogram)


class _Children(Generic[C]):
    """The children of one metric by their label values, found without its lock. When there are `most` of them,
    further values are counted as ``other``."""

    def __init__(self, metric: C, labels: int, most: int, known: Iterable[tuple[str, ...]] = ()) -> None:
        self._metric, self._most = metric, most
        self._other = (OTHER,) * labels
        # Those known beforehand are there from the start as 0: a rate over what appears with a 1 misses that 1.
        self._known = {values: metric.labels(*values) for values in known}

    def __call__(self, *values: str) -> C:
        child = self._known.get(values)
        if child is None:
            if len(self._known) >= self._most:
                values = self._other
            child = self._known[values] = self._metric.labels(*values)
        return child


@dataclass(frozen=True)
class _Answers:
    """The children that an answer of one method, route and status moves."""

    count: Counter
    seconds: Histogram


class Metrics(Observer):
    """Safe to call from every thread. Each has a registry of its own, so that one process may hold several."""

    def __init__(self) -> None:
        from facemix.storage.ledger import OUTCOMES

        self.registry = CollectorRegistry()
        self.in_progress = 0  # requests; written by the event loop only
        self.figures = Figures()
        self.figures.watch(requests_in_progress=lambda: self.in_progress)
        ProcessCollector(registry=self.registry)

        # --- the engine ---
        kinds = [(kind,) for kind in _KINDS]
        self._batch_frames = self._histogram("batch", "Frames in a batch.", "frames", ("kind",), kinds, _FRAMES)
        self._batch_seconds = self._histogram("batch", "Time a batch took on the device.", "seconds", ("kind",), kinds)
        self._batch_jobs = self._counter("batch_jobs", "Jobs that had frames in a batch.", "", ("kind",), kinds)
        self._device = self._counter("device", "Time the device computed.", "seconds", ("kind",), kinds)
        self._wait = self._histogram(
            "wait", "Time from queueing a job to taking its first frame.", "seconds", ("kind",), kinds
        )
        dropped = [(kind, reason) for kind in _KINDS for reason in _REASONS]
        self._dropped = self._counter("dropped", "Frames that nobody gets.", "frames", ("kind", "reason"), dropped)
        self._restarts = Counter(
            "facemix_inference_restarts",
            "Deaths of the inference thread, each followed by a new one.",
            registry=self.registry,
        )
        stages = [(name,) for name in ("look", "encode", "decode", "write")]
        self._stage = self._histogram("stage", "Time of one stage of a request.", "seconds", ("stage",), stages)
        caches = [(name,) for name in ("photos", "latents", "samples")]
        self._hits = self._counter("cache_hits", "Looks into a cache that found something.", "", ("cache",), caches)
        self._misses = self._counter("cache_misses", "Looks into a cache that found nothing.", "", ("cache",), caches)

        # --- the requests ---
        answered = ("method", "route", "status")
        self._requests = Counter("facemix_requests", "Requests answered, by status.", answered, registry=self.registry)
        self._request_seconds = Histogram(
            "facemix_request",
            "Time from the end of a request's header to the last byte of its answer, by class of status.",
            ("route", "status_class"),
            unit="seconds",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._answers: dict[tuple[str, str, int], _Answers] = {}
        codes = sorted({(kind.code,) for kind in _errors(FacemixError)})
        self._refusals = self._counter(
            "refusals", "Requests refused, by code of the error.", "", ("reason",), codes, most=len(codes) + _NAMES_KEPT
        )
        self._shares = self._counter(
            "request_device", "Device time by who asked for it, shared out by frames.", "seconds", ("route",)
        )

        # --- the ledger's rows: requests of the interface and jobs ---
        outcomes = [(outcome,) for outcome in OUTCOMES]
        what: tuple[str, ...] = ("outcome",)
        self._rows = self._counter("accounted_requests", "Requests and jobs, by outcome.", "", what, outcomes)
        self._cpu = self._counter("accounted_cpu", "Processor time of these.", "seconds", what, outcomes)
        self._row_device = self._counter("accounted_device", "Device time of these.", "seconds", what, outcomes)
        ways = [(outcome, way) for outcome in OUTCOMES for way in ("in", "out")]
        self._row_bytes = self._counter(
            "accounted", "Bodies of these, by direction.", "bytes", (*what, "direction"), ways
        )
        self._cost = self._counter("accounted_cost", "What these cost.", "", (*what, "currency"))

        shared = ("route", "kind")
        self._share_frames = self._counter("request", "Frames computed, by who asked for them.", "frames", shared)

    # --- what the engine tells -----------------------------------------------------------------------------

    def batch(self, kind: Kind, frames: int, jobs: int, seconds: float) -> None:
        self._batch_frames(kind).observe(frames)
        self._batch_seconds(kind).observe(seconds)
        self._batch_jobs(kind).inc(jobs)
        self._device(kind).inc(seconds)

    def waited(self, kind: Kind, seconds: float) -> None:
        self._wait(kind).observe(seconds)

    def dropped(self, kind: Kind, reason: Dropped, frames: int) -> None:
        self._dropped(kind, reason).inc(frames)

    def stage(self, name: str, seconds: float) -> None:
        self._stage(name).observe(seconds)

    def cache(self, name: str, hit: bool) -> None:
        (self._hits if hit else self._misses)(name).inc()

    def restarted(self) -> None:
        self._restarts.inc()

    # --- what the web room tells ---------------------------------------------------------------------------

    def refused(self, code: str) -> None:
        """A request was refused with this code. The middleware counts those that ``request.state.refusal`` names;
        to be called for what never becomes a request, as ``too_many_connections``."""
        self._refusals(code).inc()

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended; `scope` says what is known of it (see `MetricsMiddleware`)."""
        route = route_template(scope)
        key = (known_method(scope), route, status)
        answers = self._answers.get(key)
        if answers is None:
            answers = self._new_answers(key)
        answers.count.inc()
        answers.seconds.observe(seconds)
        state = scope.get("state", {})
        if (code := state.get("refusal")) is not None:
            self.refused(code)
        if (cost := state.get("cost")) is not None:
            self._shares(route).inc(cost.device_seconds)
            self._share_frames(route, "encode").inc(cost.frames_encoded)
            self._share_frames(route, "decode").inc(cost.frames_decoded)

    def accounted(self, row: LedgerRow, currency: str) -> None:
        """A row goes into the ledger: what is counted here is the sum of the rows. `currency` is that of its cost,
        empty where there are no prices."""
        self._rows(row.outcome).inc()
        self._cpu(row.outcome).inc(row.cpu_seconds)
        self._row_device(row.outcome).inc(row.device_seconds)
        self._row_bytes(row.outcome, "in").inc(row.bytes_in)
        self._row_bytes(row.outcome, "out").inc(row.bytes_out)
        if currency:
            self._cost(row.outcome, currency).inc(row.cost)

    # --- what Prometheus asks ------------------------------------------------------------------------------

    def render(self, accept: str | None, watched: Iterable[Metric] = ()) -> tuple[bytes, str]:
        """The page that Prometheus reads, and its content type.

        Args:
            accept: the request's ``Accept``; OpenMetrics where it asks for that, else the older text format.
            watched: what `Figures.look` found.
        """
        try:
            encode, content_type = choose_encoder(accept or "")
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        page: Any = _Page(self.registry, watched)
        return encode(page), content_type

    # --- inside --------------------------------------------------------------------------------------------

    def _counter(
        self,
        name: str,
        text: str,
        unit: str,
        labels: tuple[str, ...],
        known: Iterable[tuple[str, ...]] = (),
        most: int = _NAMES_KEPT,
    ) -> _Children[Counter]:
        metric = Counter(f"facemix_{name}", text, labels, unit=unit, registry=self.registry)
        return _Children(metric, len(labels), most, known)

    def _histogram(
        self,
        name: str,
        text: str,
        unit: str,
        labels: tuple[str, ...],
        known: Iterable[tuple[str, ...]],
        buckets: tuple[float, ...] = _SECONDS,
    ) -> _Children[Histogram]:
        metric = Histogram(f"facemix_{name}", text, labels, unit=unit, registry=self.registry, buckets=buckets)
        return _Children(metric, len(labels), _NAMES_KEPT, known)

    def _new_answers(self, key: tuple[str, str, int]) -> _Answers:
        if len(self._answers) >= _ANSWERS_KEPT:
            key = (OTHER, OTHER, key[2] // 100 * 100)
        method, route, status = key
        made = _Answers(
            self._requests.labels(method, route, str(status)),
            self._request_seconds.labels(route, f"{status // 100}xx"),
        )
        return self._answers.setdefault(key, made)


class _Page:
    """A registry and more, without the time at which each series began: that would be one more series for each."""

    def __init__(self, registry: CollectorRegistry, watched: Iterable[Metric]) -> None:
        self._registry, self._watched = registry, watched

    def collect(self) -> Iterator[Metric]:
        for metric in chain(self._registry.collect(), self._watched):
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class MetricsMiddleware:
    """Counts and times requests by the template of their route.

    Of ``request.state`` it counts what endpoints leave there: ``refusal``, the code of the error that was answered,
    and ``cost``, a `facemix.serving.types.Cost`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        metrics, started, status = self.metrics, time.perf_counter(), CLIENT_LEFT

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        metrics.in_progress += 1
        try:
            await self.app(scope, receive, send_and_note)
        except Exception:
            status = 500  # whatever was begun, the connection is cut
            raise
        finally:
            metrics.in_progress -= 1
            metrics.answered(scope, status, time.perf_counter() - started)


router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics_page(request: Request) -> Response:
    metrics: Metrics = request.app.state.metrics
    watched = metrics.figures.look()
    content, content_type = await to_thread.run_sync(metrics.render, request.headers.get("accept"), watched)
    return Response(content, headers={"Content-Type": content_type})


def _errors(kind: type[FacemixError]) -> Iterator[type[FacemixError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _errors(below)
