from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
import warnings
from pathlib import Path

import pytest
from anyio import to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from observed import ask, small_app

from facemix.web.logs import FIELDS, configure_logging, log_answer, one_line, request_id

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)
log = logging.getLogger("facemix.web")


@pytest.fixture
def configured():
    """Configures logging as the server does, into memory."""

    def configure(level: str = "debug", format: str = "json") -> io.StringIO:
        stream = io.StringIO()
        logging.getLogger("httpx").setLevel("WARNING")  # the client of these tests
        configure_logging(level, format, stream=stream)
        return stream

    return configure


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Logged:
    """What the outermost middleware does with the log."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send):
        identity = dict(scope["headers"]).get(b"x-request-id", b"r1").decode()
        scope.setdefault("state", {})["request_id"] = identity
        token, status = request_id.set(identity), 499

        async def note(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception:
            log.exception("it failed")
            raise
        finally:
            log_answer(scope, status, 0.0123)
            request_id.reset(token)


# --- the form ----------------------------------------------------------------------------------------------


def test_a_record_as_json(configured):
    stream = configured()
    log.warning("%d of %s", 3, "them")
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "facemix.web", "message": "3 of them"}


def test_a_record_as_text(configured):
    stream = configured(format="text")
    log.warning("alone")
    token = request_id.set("abc")
    log.info("within")
    request_id.reset(token)
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\S+Z WARNING facemix\.web: alone", first)
    assert re.fullmatch(r"\S+Z INFO facemix\.web \[abc\]: within", second)


def test_only_known_fields_are_written(configured):
    stream = configured()
    extra = {"client": "203.0.113.9", "filename_": "jane_doe.png", "status": 200, "path": "/x"}
    log.info("x", extra=extra)
    (line,) = lines(stream)
    assert (line["status"], line["path"]) == (200, "/x")
    assert line.keys() <= {"time", "level", "logger", "message", "request_id", "exception", *FIELDS}
    assert "203.0.113.9" not in stream.getvalue()
    assert "jane_doe" not in stream.getvalue()


@pytest.mark.parametrize("format", ["json", "text"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(message=ANY_TEXT, path=ANY_TEXT)
def test_a_record_is_one_line_whatever_it_says(configured, format, message, path):
    stream = configured(format=format)
    log.info("%s", message, extra={"path": path})
    written = stream.getvalue()
    written.encode("utf-8")
    assert len(written.splitlines()) == 1
    if format == "json":
        assert json.loads(written)["message"] == one_line(message)


@given(ANY_TEXT)
def test_one_line_keeps_what_is_harmless(text):
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert one_line(shown) == shown
    if text.isprintable():
        assert shown == text


def test_a_long_message_is_cut(configured):
    stream = configured()
    log.info("x" * 100_000)
    assert len(stream.getvalue()) < 3000


def test_a_traceback_as_json_is_one_line(configured):
    stream = configured()
    try:
        raise ValueError("first\nsecond" + "x" * 10_000)
    except ValueError:
        log.exception("it failed")
    (line,) = lines(stream)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert "ValueError: first" in line["exception"]
    assert len(line["exception"]) < 2000


def test_a_traceback_as_text_cannot_pass_for_a_record(configured):
    stream = configured(format="text")
    try:
        raise ValueError("first\n2030-01-01T00:00:00.000Z INFO facemix.web: forged\r\nforged")
    except ValueError:
        log.exception("it failed")
    first, *others = stream.getvalue().splitlines()
    assert first.endswith("ERROR facemix.web: it failed")
    assert len(others) >= 4
    assert all(line.startswith("    ") for line in others)


# --- who writes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error", "some.library"])
def test_libraries_write_in_the_same_form(configured, name):
    own = logging.StreamHandler(io.StringIO())  # as uvicorn's own configuration would add
    logging.getLogger("uvicorn").addHandler(own)
    stream = configured()
    logging.getLogger(name).info("started", extra={"color_message": "\x1b[36mstarted"})
    (line,) = lines(stream)
    assert (line["logger"], line["message"]) == (name, "started")
    assert own.stream.getvalue() == ""


def test_the_access_log_of_uvicorn_is_silent(configured):
    stream = configured()
    logging.getLogger("uvicorn.access").info('203.0.113.9 - "GET /?who=jane_doe" 200')
    assert stream.getvalue() == ""


def test_libraries_stay_at_info_when_facemix_debugs(configured):
    stream = configured("debug")
    logging.getLogger("PIL.TiffImagePlugin").debug("tag: GPSLatitude - value: 48.2")
    logging.getLogger("python_multipart").debug("on_header_value: filename=jane_doe.png")
    assert stream.getvalue() == ""
    logging.getLogger("facemix.engine").debug("a batch")
    assert [line["message"] for line in lines(stream)] == ["a batch"]


def test_levels(configured):
    stream = configured("warning")
    log.info("no")
    logging.getLogger("uvicorn.error").info("no")
    log.warning("yes")
    assert [line["message"] for line in lines(stream)] == ["yes"]


def test_configuring_again_writes_nothing_twice(configured):
    first, second = configured(), configured(format="text")
    log.info("once")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_warnings_are_records(configured):
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old\nhabits", stacklevel=1)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"
    assert "old" in line["message"]


# --- the id of the request ---------------------------------------------------------------------------------


def test_the_id_reaches_tasks_and_threads_of_the_request(configured):
    stream = configured()

    async def work() -> None:
        log.info("event loop")
        await asyncio.create_task(task())
        await to_thread.run_sync(log.info, "anyio thread")
        await asyncio.to_thread(log.info, "asyncio thread")

    async def task() -> None:
        log.info("task")

    async def one(identity: str) -> None:
        request_id.set(identity)
        await work()

    async def both() -> None:
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(both())
    found = sorted((line["request_id"], line["message"]) for line in lines(stream))
    messages = ["anyio thread", "asyncio thread", "event loop", "task"]
    assert found == [(identity, message) for identity in "ab" for message in messages]


def test_a_thread_that_works_for_many_has_no_id(configured):
    stream = configured()
    token = request_id.set("abc")
    thread = threading.Thread(target=log.info, args=("a batch",))
    thread.start()
    thread.join()
    request_id.reset(token)
    (line,) = lines(stream)
    assert "request_id" not in line


# --- the access log ----------------------------------------------------------------------------------------


def test_the_line_of_a_request(configured):
    stream = configured()
    ask(Logged(small_app()), ("GET", "/things/4f3a?who=jane_doe"), headers={"X-Request-Id": "abc"})
    (line,) = lines(stream)
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "facemix.web.access",
        "message": "GET /things/{name} 200, 12 ms",
        "request_id": "abc",
        "method": "GET",
        "path": "/things/{name}",
        "route": "/things/{name}",
        "status": 200,
        "milliseconds": 12.3,
    }


def test_the_line_tells_the_cost_and_the_refusal(configured):
    stream = configured()
    ask(Logged(small_app()), ("POST", "/mixed"), ("POST", "/refused"))
    mixed, refused = lines(stream)
    assert (mixed["frames"], mixed["device_milliseconds"], mixed["model"]) == (35, 250.0, "tiny@0123456789ab")
    assert "code" not in mixed
    assert (refused["status"], refused["code"]) == (503, "busy")


def test_probes_that_go_well_are_logged_at_debug_only(configured):
    stream = configured("info")
    ask(Logged(small_app()), ("GET", "/healthz"))
    assert stream.getvalue() == ""
    ask(Logged(small_app()), ("GET", "/readyz"))  # there is none: 404
    assert [line["status"] for line in lines(stream)] == [404]
    stream = configured("debug")
    ask(Logged(small_app()), ("GET", "/healthz"))
    assert [line["level"] for line in lines(stream)] == ["debug"]


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_path_with_line_breaks_stays_one_line(configured, format):
    stream = configured(format=format)
    ask(Logged(small_app()), ("GET", "/x%0A%0D%E2%80%A82030-01-01%20INFO%20forged"))
    (line,) = stream.getvalue().splitlines()
    assert r"/x\n\r\u2028" in (json.loads(line)["path"] if format == "json" else line)


@pytest.mark.parametrize("format", ["json", "text"])
def test_nothing_tells_who_asked_or_for_what(configured, format):
    stream = configured("debug", format)
    options = {
        "headers": {"User-Agent": "jane_doe", "X-Forwarded-For": "203.0.113.9"},
        "files": {"face_a": ("jane_doe.png", b"\x89PNG jane_doe", "image/png")},
    }
    ask(
        Logged(small_app()),
        ("POST", "/mixed?who=jane_doe"),
        ("POST", "/refused"),
        ("GET", "/things/jane_doe"),
        **options,
    )
    assert len(stream.getvalue().splitlines()) == 3
    assert "jane_doe" not in stream.getvalue()
    assert "203.0.113.9" not in stream.getvalue()
    assert "127.0.0.1" not in stream.getvalue()


def test_every_field_is_documented():
    page = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("\n### Logs\n")[2].partition("\n### ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert documented == ["time", "level", "logger", "message", "request_id", "exception", *FIELDS]
