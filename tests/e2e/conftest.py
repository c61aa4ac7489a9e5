"""A real server: `python -m facemix serve` in a process of its own, with the shipped checkpoint.

FACEMIX_CHECKPOINT names another one; every other FACEMIX_ variable is kept from it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from files import jpeg, png
from portraits import other, portrait

ROOT = Path(__file__).parents[2]
_START_SECONDS = 120  # on two busy cores


def _settings() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FACEMIX_")}
    chosen = os.environ.get("FACEMIX_CHECKPOINT")
    if chosen:
        kept["FACEMIX_CHECKPOINT"] = chosen
    elif not list((ROOT / "checkpoints").glob("*/card.json")):
        pytest.fail("there is no checkpoint under checkpoints/: these tests need the one that ships")
    return kept


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with status {process.returncode}:\n{log.read_text()}")
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"the server is not ready after {_START_SECONDS} s:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of the running server. Afterwards it must end by itself, in order, when asked to."""
    port, log = _free_port(), tmp_path_factory.mktemp("server") / "log.txt"
    address = f"http://127.0.0.1:{port}"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "facemix", "serve", "--port", str(port)],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=_settings(),
        )
    try:
        _wait_until_ready(process, address, log)
        yield address
        process.send_signal(signal.SIGTERM)
        # uvicorn shuts down in order and then lets the signal have its default effect.
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    said = log.read_text()
    assert "Application shutdown complete" in said
    for word in ("Traceback", " ERROR ", "Warning"):
        assert word not in said, said


@pytest.fixture(scope="session")
def client(server):
    with httpx.Client(base_url=server, timeout=120) as made:
        yield made


@pytest.fixture(scope="session")
def crop_size(client) -> int:
    return client.get("/api/v1/model").json()["crop_size"]


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder with two people's photographs as a camera writes them, a.jpg and b.jpg, and a.png without loss."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.png").write_bytes(png(portrait()))
    (folder / "a.jpg").write_bytes(jpeg(portrait()))
    (folder / "b.jpg").write_bytes(jpeg(other()))
    return folder
