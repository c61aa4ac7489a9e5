from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observed import ask, small_app
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from facemix.errors import Busy, FacemixError
from facemix.serving.observer import Observer
from facemix.web.figures import FIGURES
from facemix.web.metrics import Metrics, MetricsMiddleware, router

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


class Scrape:
    """One look at the page: `scrape("name", label=value)` is the value of a series, None where there is none."""

    def __init__(self, metrics: Metrics) -> None:
        content, _ = metrics.render(None, metrics.figures.look())
        self.families = list(parse_text(content.decode()))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset(labels.items())))

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for found, labels in self.samples if found == name}


def watched_app(metrics: Metrics):
    app = small_app()
    app.state.metrics = metrics
    app.include_router(router)
    return MetricsMiddleware(app, metrics)


# --- what the engine tells ---------------------------------------------------------------------------------


def test_everything_that_the_engine_tells_is_heard():
    told = {name for name, member in vars(Observer).items() if callable(member) and not name.startswith("_")}
    assert told <= vars(Metrics).keys()


def test_batches():
    metrics = Metrics()
    metrics.batch("encode", 3, 2, 0.5)
    metrics.batch("encode", 16, 4, 0.25)
    metrics.batch("decode", 100, 1, 1.0)
    scrape = Scrape(metrics)
    assert scrape("facemix_batch_frames_sum", kind="encode") == 19
    assert scrape("facemix_batch_frames_count", kind="encode") == 2
    at_most = {le: scrape("facemix_batch_frames_bucket", kind="encode", le=le) for le in ("2.0", "4.0", "16.0")}
    assert at_most == {"2.0": 0, "4.0": 1, "16.0": 2}
    assert scrape("facemix_batch_frames_bucket", kind="decode", le="64.0") == 0
    assert scrape("facemix_batch_frames_bucket", kind="decode", le="+Inf") == 1
    assert scrape("facemix_batch_seconds_sum", kind="encode") == 0.75
    assert scrape("facemix_batch_jobs_total", kind="encode") == 6
    assert scrape("facemix_device_seconds_total", kind="encode") == 0.75
    assert scrape("facemix_device_seconds_total", kind="decode") == 1.0


def test_waits_stages_drops_caches_and_restarts():
    metrics = Metrics()
    metrics.waited("decode", 0.02)
    metrics.stage("look", 0.03)
    metrics.stage("look", 0.04)
    metrics.dropped("encode", "cancelled", 5)
    metrics.dropped("encode", "cancelled", 2)
    metrics.cache("photos", True)
    metrics.cache("photos", False)
    metrics.cache("photos", True)
    metrics.restarted()
    scrape = Scrape(metrics)
    assert scrape("facemix_wait_seconds_count", kind="decode") == 1
    assert scrape("facemix_wait_seconds_bucket", kind="decode", le="0.025") == 1
    assert scrape("facemix_wait_seconds_bucket", kind="decode", le="0.01") == 0
    assert scrape("facemix_stage_seconds_sum", stage="look") == pytest.approx(0.07)
    assert scrape("facemix_dropped_frames_total", kind="encode", reason="cancelled") == 7
    assert scrape("facemix_dropped_frames_total", kind="decode", reason="deadline") == 0
    assert scrape("facemix_cache_hits_total", cache="photos") == 2
    assert scrape("facemix_cache_misses_total", cache="photos") == 1
    assert scrape("facemix_cache_misses_total", cache="latents") == 0
    assert scrape("facemix_inference_restarts_total") == 1


def test_names_beyond_the_first_few_are_counted_as_other():
    metrics = Metrics()
    for number in range(500):
        metrics.cache(f"cache-{number}", True)
        metrics.stage(f"stage-{number}", 0.001)
        metrics.refused(f"code-{number}")
    scrape = Scrape(metrics)
    for name, label in (
        ("facemix_cache_hits_total", "cache"),
        ("facemix_stage_seconds_count", "stage"),
        ("facemix_refusals_total", "reason"),
    ):
        values = scrape.labels(name, label)
        assert len(values) < 150
        assert scrape(name, **{label: "other"}) > 300
        assert sum(value for (found, _), value in scrape.samples.items() if found == name) == 500


def test_no_count_is_lost_between_threads():
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.batch("decode", 2, 1, 0.0)
            metrics.refused("busy")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scrape = Scrape(metrics)
    assert scrape("facemix_batch_frames_sum", kind="decode") == 4000
    assert scrape("facemix_refusals_total", reason="busy") == 2000


# --- requests ----------------------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_status():
    metrics = Metrics()
    requests = [("GET", "/things/1"), ("GET", "/things/2"), ("DELETE", "/things/1"), ("GET", "/nowhere")]
    ask(watched_app(metrics), *requests, ("POST", "/failing"))
    scrape = Scrape(metrics)
    assert scrape("facemix_requests_total", method="GET", route="/things/{name}", status="200") == 2
    assert scrape("facemix_requests_total", method="DELETE", route="/things/{name}", status="405") == 1
    assert scrape("facemix_requests_total", method="GET", route="other", status="404") == 1
    assert scrape("facemix_requests_total", method="POST", route="/failing", status="500") == 1
    assert scrape("facemix_request_seconds_count", route="/things/{name}", status_class="2xx") == 2
    assert scrape("facemix_request_seconds_count", route="/things/{name}", status_class="4xx") == 1
    assert scrape("facemix_requests_in_progress") == 0


def test_refusals_are_counted_by_code():
    metrics = Metrics()
    ask(watched_app(metrics), ("POST", "/refused"), ("POST", "/refused"))
    metrics.refused("too_many_connections")
    scrape = Scrape(metrics)
    assert scrape("facemix_refusals_total", reason="busy") == 2
    assert scrape("facemix_refusals_total", reason="too_many_connections") == 1
    assert scrape("facemix_refusals_total", reason="rate_limited") == 0


def test_every_code_of_the_house_is_there_from_the_start():
    def codes(kind: type[FacemixError]) -> set[str]:
        return {kind.code}.union(*(codes(below) for below in kind.__subclasses__()))

    assert codes(FacemixError) <= Scrape(Metrics()).labels("facemix_refusals_total", "reason")
    assert Busy.code in codes(FacemixError)


def test_device_time_is_shared_out_to_routes():
    metrics = Metrics()
    ask(watched_app(metrics), ("POST", "/mixed"), ("POST", "/mixed"), ("GET", "/plain"))
    scrape = Scrape(metrics)
    assert scrape("facemix_request_device_seconds_total", route="/mixed") == 0.5
    assert scrape("facemix_request_frames_total", route="/mixed", kind="encode") == 4
    assert scrape("facemix_request_frames_total", route="/mixed", kind="decode") == 66
    assert scrape("facemix_request_device_seconds_total", route="/plain") is None


def test_a_client_that_left_is_counted_as_such():
    metrics = Metrics()

    async def silent(scope, receive, send):
        await receive()

    async def cancelled(scope, receive, send):
        raise asyncio.CancelledError

    async def gone():
        return {"type": "http.disconnect"}

    async def nobody(message):
        raise AssertionError("there is no answer")

    async def leave() -> None:
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
        await MetricsMiddleware(silent, metrics)(dict(scope), gone, nobody)
        with pytest.raises(asyncio.CancelledError):
            await MetricsMiddleware(cancelled, metrics)(dict(scope), gone, nobody)

    asyncio.run(leave())
    scrape = Scrape(metrics)
    assert scrape("facemix_requests_total", method="GET", route="other", status="499") == 2
    assert scrape("facemix_requests_in_progress") == 0


def test_labels_stay_bounded_whatever_clients_send():
    metrics = Metrics()
    app = watched_app(metrics)

    def send(prefix: str, count: int) -> None:
        requests = [("GET", f"/{prefix}-{number}?q={number}") for number in range(count)]
        requests += [("GET", f"/things/{prefix}-{number}") for number in range(count)]
        requests += [(f"{prefix}{number}".upper(), "/plain") for number in range(count // 10)]
        ask(app, *requests, headers={"X-Request-Id": f"{prefix}-id", "User-Agent": prefix})

    send("first", 10)
    before = Scrape(metrics)
    send("zebra", 500)
    after = Scrape(metrics)
    assert after.samples.keys() == before.samples.keys()
    assert after("facemix_requests_total", method="GET", route="other", status="404") == 510
    assert after("facemix_requests_total", method="GET", route="/things/{name}", status="200") == 510
    assert after("facemix_requests_total", method="other", route="/plain", status="405") == 51
    assert "zebra" not in str(after.samples)


def test_answers_of_too_many_kinds_share_one_series():
    metrics = Metrics()
    for number in range(3000):
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "endpoint": None}
        metrics.answered({**scope, "path": f"/{number}"}, 200 + number % 3, 0.01)
    scrape = Scrape(metrics)
    counts = [value for (name, _), value in scrape.samples.items() if name == "facemix_requests_total"]
    assert len(counts) < 1100
    assert sum(counts) == 3000
    assert scrape("facemix_requests_total", method="other", route="other", status="200") > 1000


# --- the page ----------------------------------------------------------------------------------------------


def test_both_formats_parse_and_agree():
    metrics = Metrics()
    metrics.batch("encode", 3, 2, 0.5)
    metrics.figures.watch(**{name: lambda: 1 for name in FIGURES}, model=lambda: {"model": "a@b"})
    text, kind = metrics.render("text/plain", metrics.figures.look())
    assert kind.startswith("text/plain; version=")
    newer, kind = metrics.render(OPENMETRICS, metrics.figures.look())
    assert kind.startswith(OPENMETRICS)
    names = [
        {family.name for family in found} for found in (parse_text(text.decode()), parse_openmetrics(newer.decode()))
    ]
    assert names[0] == names[1]
    assert not re.search(rb"_created\b", text + newer)


@given(st.text(st.characters(max_codepoint=255), max_size=60).map(lambda tail: f"{OPENMETRICS[:-5]}{tail}"))
def test_no_accept_header_is_too_odd(accept):
    content, kind = Metrics().render(accept)
    assert b"facemix_batch_frames" in content
    kind.encode("latin-1")


@pytest.mark.parametrize("version", ["abc", "", "1.x", "-", "99999999999999999999"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_an_odd_version_is_answered(kind, version):
    content, _ = Metrics().render(f"{kind}; version={version}")
    assert b"facemix_batch_frames" in content


def test_the_page_is_served():
    metrics = Metrics()
    app = watched_app(metrics)
    ask(app, ("GET", "/plain"))
    (answer,) = ask(app, ("GET", "/metrics"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {sample.name for family in parse_text(answer.text) for sample in family.samples}
    assert {"facemix_requests_total", "facemix_build_info", "process_resident_memory_bytes"} <= samples
    (answer,) = ask(app, ("GET", "/metrics"), headers={"Accept": OPENMETRICS})
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["content-type"].startswith(OPENMETRICS)


def test_applications_of_one_process_keep_apart():
    first, second = Metrics(), Metrics()
    first.restarted()
    assert Scrape(second)("facemix_inference_restarts_total") == 0
    assert b"facemix" not in prometheus_client.generate_latest(prometheus_client.REGISTRY)


# --- the operator's page -----------------------------------------------------------------------------------


def families() -> dict[str, str]:
    """Every metric by the name under which it is queried, and its type."""
    metrics = Metrics()
    metrics.figures.watch(
        **{name: lambda: 1 for name in FIGURES}, model=lambda: {"model": "a@b"}, caches={"c": lambda: 1}
    )
    found = Scrape(metrics).families
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in found
        if family.name.startswith("facemix")
    }


def test_every_metric_is_documented_with_its_type():
    rows = re.findall(r"^\| `(facemix_\w+)` \| (\w+) \|", PAGE.read_text(), re.M)
    assert dict(rows) == families()
    assert len(rows) == len(dict(rows))


def test_the_page_asks_for_no_metric_that_is_not_there():
    known = set(families()) | {f"{name}_{part}" for name in families() for part in ("bucket", "sum", "count")}
    assert set(re.findall(r"\b(facemix_\w+)", PAGE.read_text())) <= known
