"""What the log looks like: one record per line, as text or JSON, with the id of the request that it belongs to.

Only fields that are named here are written, so that nothing which a library hangs on a record (an address, a header)
gets out.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from pythonjsonlogger.json import JsonFormatter
from starlette.types import Scope

from facemix.web.routes import PROBES, known_method, loggable_path, route_template

access = logging.getLogger("facemix.web.access")

# The request that is being worked on. A task, and a thread that anyio starts, inherit it; the inference thread, which
# works for several at once, has none.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

FIELDS = ("method", "path", "route", "status", "milliseconds", "code", "model", "frames", "device_milliseconds")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_LONGEST_MESSAGE = 2000
_LONGEST_LINE = 500  # of a traceback; an error may quote what was uploaded

LogFormat = Literal["text", "json"]


def configure_logging(level: str, format: LogFormat = "text", *, stream: TextIO | None = None) -> None:
    """Sends every record of the process to one place in one form, uvicorn's and those of libraries as well.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``. Libraries never log below info: what they say then holds
            pieces of what they read (Pillow, for one, the tags of a photograph).
        stream: by default stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if format == "json" else _Text())
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.INFO))
    logging.getLogger("facemix").setLevel(wanted)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each step of a look at the schema
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    theirs = logging.getLogger("uvicorn.access")  # it writes addresses and queries
    theirs.handlers.clear()
    theirs.disabled = True
    logging.captureWarnings(True)


def log_answer(scope: Scope, status: int, seconds: float) -> None:
    """The line of one request in the access log: no client's address, no query, no file name. Of ``request.state`` it
    takes ``refusal``, ``model`` and ``cost``. Probes that went well are logged at level debug."""
    level = logging.DEBUG if status < 400 and scope["path"] in PROBES else logging.INFO
    if not access.isEnabledFor(level):
        return
    state = scope.get("state", {})
    method, path, milliseconds = known_method(scope), loggable_path(scope), seconds * 1000
    fields = {
        "method": method,
        "path": path,
        "route": route_template(scope),
        "status": status,
        "milliseconds": round(milliseconds, 2),
        "code": state.get("refusal"),
        "model": state.get("model"),
    }
    if (cost := state.get("cost")) is not None:
        fields["frames"] = cost.frames_encoded + cost.frames_decoded
        fields["device_milliseconds"] = round(cost.device_seconds * 1000, 2)
    access.log(level, "%s %s %d, %.0f ms", method, path, status, milliseconds, extra=fields)


def one_line(text: str) -> str:
    """`text` with control characters, line breaks and lone surrogates written as escapes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    return one_line(record.getMessage()[:_LONGEST_MESSAGE])


def _trace(record: logging.LogRecord) -> list[str]:
    """The lines of the record's traceback, each cut to a bounded length."""
    if not record.exc_info or record.exc_info[0] is None:
        return []
    lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
    return [one_line(line[:_LONGEST_LINE]) for line in lines]


class _Json(JsonFormatter):
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = _time(record)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = _message(record)
        if (identity := request_id.get()) is not None:
            log_data["request_id"] = identity
        for name in FIELDS:
            if (value := record.__dict__.get(name)) is not None:
                log_data[name] = one_line(value) if isinstance(value, str) else value
        if lines := _trace(record):
            log_data["exception"] = "\n".join(lines)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        identity = request_id.get()
        name = record.name if identity is None else f"{record.name} [{identity}]"
        first = f"{_time(record)} {record.levelname} {name}: {_message(record)}"
        # Indented, so that no message can pass for a record of its own.
        return "\n    ".join((first, *_trace(record)))
