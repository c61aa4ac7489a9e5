"""How endpoints answer: JSON from a model, timings, and nothing where the client has its copy already."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

from anyio import to_thread
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from facemix.errors import MediaTypeUnsupported
from facemix.web.inputs import parse
from facemix.web.negotiation import known_copy
from facemix.web.reports import server_timing

JSON = "application/json"

B = TypeVar("B", bound=BaseModel)


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


async def read_json(request: Request, model: type[B]) -> B:
    """A strict JSON body; read in a thread, since tens of megabytes of it would hold up the loop.

    Raises:
        MediaTypeUnsupported: it is something else.
        RequestInvalid: it does not fit; names the member.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise MediaTypeUnsupported(
            f"the body is {media_type[:100]!r}" if media_type else "the request has no Content-Type",
            hint=f"send {JSON}",
        )
    return await to_thread.run_sync(parse, model, await request.body())
