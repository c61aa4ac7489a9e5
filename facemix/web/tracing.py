"""Traces for OpenTelemetry: one span per request, and beneath it one per stage.

Off unless a collector is named; then the extra ``otel`` is needed. A span says which route, how many frames, how long;
never who asked, with which address, or for which picture.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

import facemix
from facemix.errors import InstallationError
from facemix.web.routes import PROBES, known_method, route_template

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

QUEUED_SPANS = 2048  # further ones are dropped
EXPORT_SECONDS = 2.0  # longest try to reach the collector
CLOSE_SECONDS = 1.0  # longest that a stop waits for it
_FACTS = {"frames": "facemix.frames", "batch": "facemix.batch_frames", "wait": "facemix.wait_seconds"}

log = logging.getLogger("facemix.web")

Facts = Mapping[str, Mapping[str, float]]


class RequestSpan:
    """The span of one request, or nothing. Safe to call from every thread."""

    def answered(self, status: int) -> None:
        """The first byte of the answer is sent: the stages end here."""

    def stages(self, stage_ms: Mapping[str, float], facts: Facts | None = None) -> None:
        """Makes a child span for each stage, after the fact: they are laid one behind the other, in the order given,
        and end with the answer, or now. Of stages that ran at the same time, only the lengths are true.

        Args:
            stage_ms: milliseconds by stage.
            facts: what is known of a stage: ``frames`` that the request gave to the device, ``batch`` in which they
                were (frames), ``wait`` in the queue (seconds).
        """


class Tracing:
    """Traces nothing. `open_tracing` makes one that does."""

    on = False

    @contextmanager
    def request_span(self, scope: Scope) -> Iterator[RequestSpan]:
        """The span of a request, from now until the context is left. It continues the trace that the client's
        ``traceparent`` names. Of ``request.state`` it takes, at the end: ``request_id``, ``refusal``, ``model``,
        ``cost``, ``stage_ms``, ``stage_facts``."""
        yield _NO_SPAN

    def close(self) -> None:
        """Sends what is left, for at most `CLOSE_SECONDS`."""


_NO_SPAN = RequestSpan()


class _Span(RequestSpan):
    def __init__(self, tracer: Any, span: Span, context: Any, error: Any) -> None:
        self._tracer, self._span, self._context, self._error = tracer, span, context, error
        self._started = time.time_ns()
        self._ended: int | None = None

    def answered(self, status: int) -> None:
        self._ended = time.time_ns()
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(self._error)

    def stages(self, stage_ms: Mapping[str, float], facts: Facts | None = None) -> None:
        end = self._ended or time.time_ns()
        lengths = {name: round(milliseconds * 1e6) for name, milliseconds in stage_ms.items()}
        at = max(self._started, end - sum(lengths.values()))
        for name, length in lengths.items():
            known = (facts or {}).get(name, {})
            attributes = {_FACTS[fact]: value for fact, value in known.items() if fact in _FACTS}
            child = self._tracer.start_span(name, self._context, start_time=at, attributes=attributes)
            at += length
            child.end(at)


class _Collected(Tracing):
    """Sends spans from a thread of its own: a collector that is slow or away costs spans, never a request."""

    on = True

    def __init__(self, exporter: SpanExporter, queued: int) -> None:
        from opentelemetry.context import Context
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource({"service.name": "facemix", "service.version": facemix.__version__})
        # A provider of our own, never the process's: several applications may live in one process.
        self._provider = TracerProvider(resource=resource, sampler=DEFAULT_ON, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=queued, max_export_batch_size=min(512, queued), schedule_delay_millis=2000
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("facemix", facemix.__version__)
        self._propagator = TraceContextTextMapPropagator()
        self._root = Context()
        self._within = set_span_in_context
        self._server = SpanKind.SERVER
        self._error = Status(StatusCode.ERROR)

    @contextmanager
    def request_span(self, scope: Scope) -> Iterator[RequestSpan]:
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        method = known_method(scope)
        context = self._propagator.extract(carrier) if carrier else self._root
        span = self._tracer.start_span(method, context, self._server, {"http.request.method": method})
        wrapped = _Span(self._tracer, span, self._within(span), self._error)
        try:
            yield wrapped
        except Exception as error:
            # Only its kind: a message may quote what was uploaded.
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(self._error)
            raise
        finally:
            try:
                _describe(scope, method, span, wrapped)
            except Exception:  # whatever is odd about a request, it is answered
                log.warning("a request cannot be traced", exc_info=True)
            span.end()

    def flush(self) -> None:
        """Waits until all that has ended is sent. For tests; requests never wait."""
        self._processor.force_flush()

    def close(self) -> None:
        # The SDK would wait half a minute for a collector that is away.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _describe(scope: Scope, method: str, span: Span, wrapped: _Span) -> None:
    state = scope.get("state", {})
    route = route_template(scope)
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)
    for name, attribute in (
        ("request_id", "facemix.request_id"),
        ("refusal", "error.type"),
        ("model", "facemix.model"),
    ):
        if (value := state.get(name)) is not None:
            span.set_attribute(attribute, value)
    facts = {name: dict(known) for name, known in state.get("stage_facts", {}).items()}
    if (cost := state.get("cost")) is not None:
        span.set_attribute("facemix.device_seconds", cost.device_seconds)
        span.set_attribute("facemix.frames", cost.frames_encoded + cost.frames_decoded)
        facts.setdefault("encode", {}).setdefault("frames", cost.frames_encoded)
        facts.setdefault("decode", {}).setdefault("frames", cost.frames_decoded)
    wrapped.stages(state.get("stage_ms", {}), facts)


def open_tracing(endpoint: str | None, *, exporter: SpanExporter | None = None, queued: int = QUEUED_SPANS) -> Tracing:
    """What the setting asks for.

    Args:
        endpoint: of an OpenTelemetry collector that speaks OTLP over HTTP, as ``http://127.0.0.1:4318``; None or
            empty traces nothing.
        exporter: in place of one for `endpoint`.
        queued: spans that may wait to be sent; further ones are dropped.

    Raises:
        InstallationError: the extra ``otel`` is missing.
    """
    if not endpoint and exporter is None:
        return Tracing()
    try:
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            address = str(endpoint).rstrip("/").removesuffix("/v1/traces")
            exporter = OTLPSpanExporter(f"{address}/v1/traces", timeout=EXPORT_SECONDS)
        return _Collected(exporter, queued)
    except ImportError as error:
        raise InstallationError(
            f"FACEMIX_OTLP_ENDPOINT is set, but OpenTelemetry is not installed ({error})",
            hint="install facemix[otel], or unset FACEMIX_OTLP_ENDPOINT",
        ) from error


class TracingMiddleware:
    """A span for every request but those of probes."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        with self.tracing.request_span(scope) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.answered(message["status"])
                await send(message)

            await self.app(scope, receive, send_and_note)
