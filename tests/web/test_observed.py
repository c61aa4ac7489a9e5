"""The application as it is put together, seen through its log, its metrics and its traces."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from web_client import DEFECT, OTHER, PHOTO, running

from facemix.errors import InstallationError
from facemix.settings import Settings
from facemix.web.app import create_app
from facemix.web.logs import configure_logging

MIX = "/api/v1/mix"
SECRET = "jane_doe_passport"
UPLOAD = {
    "face_a": (f"{SECRET}.png", PHOTO, "image/png"),
    "face_b": (f"{SECRET}-2.png", OTHER, "image/png"),
}


@pytest.fixture
def stream():
    logging.getLogger("httpx").setLevel("WARNING")  # the client of these tests
    stream = io.StringIO()
    configure_logging("debug", "json", stream=stream)
    return stream


def samples(client) -> dict[tuple[str, frozenset], float]:
    page = client.get("/metrics").text
    return {(one.name, frozenset(one.labels.items())): one.value for family in parse(page) for one in family.samples}


def value(client, name: str, **labels: str) -> float | None:
    return samples(client).get((name, frozenset(labels.items())))


def test_every_record_of_a_request_carries_its_id(stream):
    with running() as client:
        client.post(MIX, files=UPLOAD, headers={"X-Request-Id": "mine-1"})
        client.post(
            MIX, files={**UPLOAD, "face_a": (f"{SECRET}.png", DEFECT, "image/png")}, headers={"X-Request-Id": "mine-2"}
        )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    of = {identity: [line for line in lines if line.get("request_id") == identity] for identity in ("mine-1", "mine-2")}
    (good,) = of["mine-1"]
    assert (good["method"], good["path"], good["route"], good["status"]) == ("POST", MIX, MIX, 200)
    assert good["milliseconds"] > 0
    assert good["model"] == "fake-32@abababababab"
    defect, bad = of["mine-2"]
    assert "secret inner workings" in defect["exception"]
    assert (bad["status"], bad["code"]) == (500, "internal")


def test_the_log_tells_nothing_of_the_upload(stream):
    with running() as client:
        for method, path in (("POST", MIX), ("POST", "/"), ("POST", "/api/v1/strip"), ("POST", "/nowhere")):
            client.request(method, f"{path}?who={SECRET}", files=UPLOAD, headers={"User-Agent": SECRET})
        client.post("/api/v1/faces", files={"image": (f"{SECRET}.gif", b"GIF89a no picture", "image/gif")})
    assert stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert "127.0.0.1" not in stream.getvalue()


def test_a_path_with_line_breaks_stays_one_line(stream):
    with running() as client:
        before = len(stream.getvalue().splitlines())
        client.get("/x%0A%7B%22forged%22:1%7D")
    written = stream.getvalue().splitlines()[before:]
    lines = [json.loads(line) for line in written]
    assert [line["path"] for line in lines if "path" in line] == [r'/x\n{"forged":1}']


def test_requests_and_refusals_are_counted():
    with running() as client:
        assert client.post(MIX, files=UPLOAD).status_code == 200
        assert client.post(MIX, files={"face_a": UPLOAD["face_a"]}).status_code == 422
        assert client.get("/nowhere").status_code == 404
        assert client.request("HEAD", "/about").status_code == 200
        assert value(client, "facemix_requests_total", method="POST", route=MIX, status="200") == 1
        assert value(client, "facemix_requests_total", method="HEAD", route="/about", status="200") == 1
        assert value(client, "facemix_refusals_total", reason="request_invalid") == 1
        assert value(client, "facemix_refusals_total", reason="not_found") == 1
        assert value(client, "facemix_ready") == 1
        assert value(client, "facemix_admitted_frames") == 0
        model = {"model": "fake-32@abababababab", "backend": "fake", "device": "cpu"}
        assert value(client, "facemix_model_info", **model) == 1


def test_a_refusal_of_the_page_is_counted_once():
    with running() as client:
        assert client.post("/", files={}, headers={"Accept": "text/html"}).status_code >= 400
        refusals = {key: count for key, count in samples(client).items() if key[0] == "facemix_refusals_total"}
        assert sum(refusals.values()) == 1


def test_labels_stay_bounded():
    with running() as client:

        def visit(numbers) -> None:
            for number in numbers:
                headers = {"X-Request-Id": f"id-{number}"}
                for path in (f"/zebra-{number}", f"/problems/zebra-{number}", f"/static/zebra-{number}"):
                    client.get(path, headers=headers)

        visit(range(3))
        client.get("/metrics")  # which has its own series
        before = samples(client).keys()
        visit(range(3, 340))
        assert samples(client).keys() == before
        assert "zebra" not in client.get("/metrics").text


def test_the_metrics_can_be_switched_off():
    with running(metrics=False) as client:
        assert client.get("/metrics").status_code == 404


def test_a_missing_extra_stops_the_start_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InstallationError, match="FACEMIX_OTLP_ENDPOINT"):
        create_app(Settings(otlp_endpoint="http://127.0.0.1:4318"), lambda observer: None)
