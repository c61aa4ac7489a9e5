from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from observed import ask, small_app

import facemix
from facemix.errors import InstallationError
from facemix.web.tracing import TracingMiddleware, open_tracing

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter):
    """Sends requests to a traced application; returns the spans that have ended since."""
    tracing = open_tracing(None, exporter=exporter)
    app = TracingMiddleware(small_app(), tracing)

    def send(*requests, **options):
        ask(app, *requests, **options)
        tracing.flush()
        spans = exporter.get_finished_spans()
        exporter.clear()
        return spans

    yield send
    tracing.close()


def test_without_a_collector_nothing_is_traced():
    for endpoint in (None, ""):
        tracing = open_tracing(endpoint)
        assert not tracing.on
        with tracing.request_span({"type": "http"}) as span:
            span.answered(200)
            span.stages({"look": 1.0})
        tracing.close()


def test_without_a_collector_the_extra_is_not_needed():
    program = """
import sys
sys.modules["opentelemetry.sdk"] = None  # an import of it now fails
from facemix.web.tracing import open_tracing
assert not open_tracing(None).on
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(facemix.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_with_a_collector_the_extra_is_needed(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InstallationError) as caught:
        open_tracing("http://user:secret@127.0.0.1:4318")
    assert "facemix[otel]" in caught.value.hint
    assert "secret" not in caught.value.message


def test_a_request_is_one_span(traced):
    (span,) = traced(("GET", "/things/4f3a"))
    assert span.name == "GET /things/{name}"
    assert span.kind is SpanKind.SERVER
    assert span.parent is None
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/things/{name}",
        "http.response.status_code": 200,
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.resource.attributes["service.name"] == "facemix"


def test_stages_are_children_laid_end_to_end_before_the_answer(traced):
    *stages, request = traced(("POST", "/mixed"))
    assert [stage.name for stage in stages] == ["look", "encode", "decode", "write"]
    lengths = [stage.end_time - stage.start_time for stage in stages]
    assert lengths == [3_000_000, 2_000_000, 5_000_000, 1_000_000]
    for stage, following in itertools.pairwise(stages):
        assert stage.end_time == following.start_time
    for stage in stages:
        assert stage.parent.span_id == request.context.span_id
        assert stage.context.trace_id == request.context.trace_id
    found = {stage.name: dict(stage.attributes) for stage in stages}
    assert found == {
        "look": {},
        "encode": {"facemix.frames": 2},
        "decode": {"facemix.frames": 33, "facemix.batch_frames": 16, "facemix.wait_seconds": 0.004},
        "write": {},
    }
    assert request.attributes["facemix.frames"] == 35
    assert request.attributes["facemix.device_seconds"] == 0.25
    assert request.attributes["facemix.model"] == "tiny@0123456789ab"


def test_stages_end_when_the_answer_begins_and_never_start_before_the_request(exporter):
    tracing = open_tracing(None, exporter=exporter)
    with tracing.request_span({"type": "http", "method": "GET", "path": "/", "headers": []}) as span:
        span.answered(200)
        span.stages({"long": 3_600_000.0})
    tracing.close()
    stage, request = exporter.get_finished_spans()
    assert request.start_time <= stage.start_time
    assert stage.end_time - stage.start_time == 3_600_000_000_000


@pytest.mark.parametrize(
    ("request_", "status", "code", "error"),
    [
        (("POST", "/refused"), 503, StatusCode.ERROR, "busy"),
        (("GET", "/nowhere"), 404, StatusCode.UNSET, None),
        (("POST", "/failing"), 500, StatusCode.ERROR, "ValueError"),
    ],
)
def test_refusals_and_defects(traced, request_, status, code, error):
    (span,) = traced(request_)
    assert span.attributes["http.response.status_code"] == status
    assert span.status.status_code is code
    assert span.attributes.get("error.type") == error


def test_the_trace_of_the_client_is_continued(traced):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    (span,) = traced(("GET", "/plain"), headers=headers)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.context.trace_state["vendor"] == "1"


def test_a_trace_that_the_client_does_not_sample_is_not_sampled(traced):
    assert traced(("POST", "/mixed"), headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}) == ()


@pytest.mark.parametrize(
    "given", ["", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}", "é" * 300, "00-" * 50]
)
def test_a_malformed_traceparent_begins_a_trace(traced, given):
    (span,) = traced(("GET", "/plain"), headers={"traceparent": given.encode("latin-1")})
    assert span.parent is None


def test_probes_are_not_traced(traced):
    assert traced(("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")) == ()


def test_nothing_tells_who_asked_or_for_what(traced):
    spans = traced(
        ("POST", "/failing?photo=jane_doe.png"),
        ("GET", "/jane_doe.png"),
        ("GET", "/things/jane_doe.png"),
        ("BREW", "/jane_doe.png"),
        headers={"User-Agent": "jane_doe", "X-Forwarded-For": "203.0.113.9", "baggage": "who=jane_doe"},
        files={"face_a": ("jane_doe.png", b"\x89PNG jane_doe", "image/png")},
    )
    assert len(spans) == 4
    for span in spans:
        told = span.to_json()
        assert "jane_doe" not in told
        assert "203.0.113.9" not in told
        assert "facemix.test" not in told  # the address that was asked
        assert not span.events


def test_odd_facts_cost_the_trace_and_not_the_answer(exporter, caplog):
    async def odd(scope, receive, send):
        scope["state"] = {"stage_ms": {"look": float("nan")}}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    tracing = open_tracing(None, exporter=exporter)
    (answer,) = ask(TracingMiddleware(odd, tracing), ("GET", "/"))
    tracing.close()
    assert answer.content == b"fine"
    assert len(exporter.get_finished_spans()) == 1
    assert "cannot be traced" in caplog.text


class Stuck(SpanExporter):
    """Never gets rid of anything until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun, self.ended = threading.Event(), threading.Event()
        self.taken = 0

    def export(self, spans):
        self.begun.set()
        self.let_go.wait(60)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        self.ended.set()


def test_a_collector_that_hangs_costs_spans_and_no_request():
    stuck = Stuck()
    tracing = open_tracing(None, exporter=stuck, queued=8)
    app = TracingMiddleware(small_app(), tracing)
    assert len(ask(app, *[("GET", "/plain")] * 8)) == 8  # a full batch, which the thread of the traces takes
    assert stuck.begun.wait(60)
    answers = ask(app, *[("GET", "/plain")] * 100)
    assert {answer.status_code for answer in answers} == {200}
    tracing.close()  # returns though the collector still hangs
    assert stuck.taken == 0
    stuck.let_go.set()
    assert stuck.ended.wait(60)
    assert 8 <= stuck.taken <= 16  # what it had in hand, and what could wait


class Broken(SpanExporter):
    def export(self, spans):
        raise OSError("the collector is away")


def test_a_collector_that_fails_is_a_line_in_the_log(caplog):
    tracing = open_tracing(None, exporter=Broken())
    (answer,) = ask(TracingMiddleware(small_app(), tracing), ("GET", "/plain"))
    tracing.flush()
    tracing.close()
    assert answer.status_code == 200
    assert "the collector is away" in caplog.text


def test_spans_arrive_at_a_collector():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    arrived = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            arrived.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        for endpoint in (address, f"{address}/", f"{address}/v1/traces"):
            tracing = open_tracing(endpoint)
            assert tracing.on
            ask(TracingMiddleware(small_app(), tracing), ("GET", "/plain"))
            tracing.flush()
            tracing.close()
        server.shutdown()
        thread.join()
    assert [path for path, _ in arrived] == ["/v1/traces"] * 3
    names = {
        span.name
        for _, sent in arrived
        for kind in sent.resource_spans
        for part in kind.scope_spans
        for span in part.spans
    }
    assert names == {"GET /plain"}


def test_applications_of_one_process_keep_apart(exporter):
    before = trace.get_tracer_provider()
    other = InMemorySpanExporter()
    first, second = open_tracing(None, exporter=exporter), open_tracing(None, exporter=other)
    ask(TracingMiddleware(small_app(), first), ("GET", "/plain"))
    first.close()
    second.close()
    assert len(exporter.get_finished_spans()) == 1
    assert other.get_finished_spans() == ()
    assert trace.get_tracer_provider() is before


def test_what_is_no_request_passes():
    async def lifespan(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})

    async def run():
        sent = []

        async def send(message):
            sent.append(message)

        await TracingMiddleware(lifespan, open_tracing(None))({"type": "lifespan"}, None, send)
        return sent

    assert asyncio.run(run()) == [{"type": "lifespan.startup.complete"}]


def test_every_attribute_is_documented(traced):
    page = (Path(facemix.__file__).parents[1] / "docs" / "operations.md").read_text()
    section = page.partition("\n### Traces\n")[2]
    documented = set(re.findall(r"`((?:http|error|facemix)\.[a-z_.]+)`", section))
    spans = traced(("POST", "/mixed"), ("POST", "/refused"))
    assert {name for span in spans for name in span.attributes} | {"facemix.request_id"} == documented
