import pytest
from looking import here
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import tiny_checkpoint

from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def engine(checkpoint):
    made = Engine(checkpoint, device="cpu")
    yield made
    made.close()


@pytest.fixture(scope="session")
def finder():
    return FaceFinder(CenterFace(threads=1))


@pytest.fixture(scope="session")
def mixer(engine, finder):
    return BlockingMixer(Mixer(engine, here(finder)))
