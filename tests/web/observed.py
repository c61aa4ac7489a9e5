"""Small applications in front of which middleware is tried, and requests to them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from facemix.serving.types import Cost


def small_app() -> FastAPI:
    """Routes of every kind: plain, with a part that varies, mounted, refused, failing, with a cost."""
    app = FastAPI(redirect_slashes=False)

    @app.get("/plain")
    async def plain() -> PlainTextResponse:
        return PlainTextResponse("plain")

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/things/{name}")
    async def thing(name: str) -> PlainTextResponse:
        return PlainTextResponse("thing")

    @app.post("/refused")
    async def refused(request: Request) -> PlainTextResponse:
        request.state.refusal = "busy"
        return PlainTextResponse("busy", status_code=503)

    @app.post("/failing")
    async def failing() -> None:
        raise ValueError("jane_doe.png is not a number")

    @app.post("/mixed")
    async def mixed(request: Request) -> PlainTextResponse:
        request.state.cost = Cost(frames_encoded=2, frames_decoded=33, device_seconds=0.25)
        request.state.model = "tiny@0123456789ab"
        request.state.stage_ms = {"look": 3.0, "encode": 2.0, "decode": 5.0, "write": 1.0}
        request.state.stage_facts = {"decode": {"batch": 16, "wait": 0.004}}
        return PlainTextResponse("mixed")

    app.mount("/files", StaticFiles(directory=Path(__file__).parent))
    return app


def ask(app, *requests: tuple[str, str], **options) -> list[httpx.Response]:
    """Sends requests, (method, address), one after the other."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://facemix.test") as client:
            return [await client.request(method, address, **options) for method, address in requests]

    return asyncio.run(send())
