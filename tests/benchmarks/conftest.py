import pytest
from tiny import tiny_checkpoint

from benchmarks import photos, servers


@pytest.fixture(scope="session")
def bench_environment(tmp_path_factory):
    """For a server with a tiny checkpoint, which is ready soon."""
    folder = tmp_path_factory.mktemp("bench")
    chosen = {"FACEMIX_CHECKPOINT": str(tiny_checkpoint(folder / "tiny")), "FACEMIX_DEVICE": "cpu"}
    chosen["FACEMIX_MAX_BATCH"] = "2"  # a full batch is soon looked at
    return servers.pinned({**servers.serving_environment(folder / "data"), **chosen}, "torch fp32")


@pytest.fixture(scope="session")
def bench_server(bench_environment):
    with servers.running(environment=bench_environment) as server:
        yield server


@pytest.fixture(scope="session")
def bench_pair(tmp_path_factory):
    return photos.pair(tmp_path_factory.mktemp("pair"), side=300)
