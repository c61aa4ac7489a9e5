"""A server in a process of its own, with the tiny model and its directions."""

import pytest
from exact import EXACT
from made_directions import made_directions
from served import serving
from tiny import tiny_checkpoint

from facemix.client import Client
from facemix.vae.checkpoint import read_card


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    checkpoint = tiny_checkpoint(folder / "checkpoint")
    made_directions(read_card(checkpoint)).save(checkpoint)
    with serving(folder, checkpoint=checkpoint, isolate="false", **EXACT) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def client(server):
    with Client(server.address) as made:
        yield made
