"""A real server: `python -m facemix serve` in a process of its own, with the shipped checkpoint.

FACEMIX_CHECKPOINT names another one; every other FACEMIX_ variable is kept from it.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from files import jpeg, png
from portraits import other, portrait
from served import ROOT, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of the running server. Afterwards it must end by itself, in order, when asked to."""
    chosen = {"checkpoint": os.environ["FACEMIX_CHECKPOINT"]} if os.environ.get("FACEMIX_CHECKPOINT") else {}
    if not chosen and not list((ROOT / "checkpoints").glob("*/card.json")):
        pytest.fail("there is no checkpoint under checkpoints/: these tests need the one that ships")
    with serving(tmp_path_factory.mktemp("server"), **chosen) as running:
        yield running.address
        assert running.stop() == 0
        said = running.log
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
