"""How endpoints answer: JSON from a model, timings, and nothing where the client has its copy already."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from facemix.web.negotiation import known_copy
from facemix.web.reports import server_timing

JSON = "application/json"


def json_answer(body: BaseModel, headers: Mapping[str, str] | None = None, *, status: int = 200) -> Response:
    return Response(body.model_dump_json().encode(), status, media_type=JSON, headers=headers)


def timing(stage_ms: dict[str, float], writing_since: float) -> dict[str, str]:
    """The header ``Server-Timing``; notes in `stage_ms` what writing took, since then on `time.perf_counter`."""
    stage_ms["write"] = (time.perf_counter() - writing_since) * 1000
    return {"Server-Timing": server_timing(stage_ms)}


def tagged(request: Request, content: bytes, tag: str, *, cache: str, headers: Mapping[str, str]) -> Response:
    """JSON with an ETag, or 304 where the client has it.

    Args:
        tag: with its quotes.
        cache: what stands in ``Cache-Control``.
    """
    headers = {**headers, "ETag": tag, "Cache-Control": cache}
    if known_copy(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=JSON, headers=headers)
