import anyio
import pytest
from tiny import tiny_checkpoint

from facemix.errors import InstallationError
from facemix.settings import Settings
from facemix.web import ray_replica
from facemix.web.ray_replica import REPLICA_HEADER, Replica, resources, with_share


def settings_of(folder, **changes) -> Settings:
    values = {
        "checkpoint": folder / "tiny",
        "data_dir": folder / "data",
        "device": "cpu",
        "backend": "torch",
        "precision": "fp32",
        "threads": 1,
        "workers": 1,
    }
    return Settings(**(values | changes))


@pytest.mark.slow
def test_a_replica_answers_when_it_is_warm_and_says_when_it_is_ill(tmp_path, monkeypatch):
    tiny_checkpoint(tmp_path / "tiny")
    monkeypatch.setattr(ray_replica, "PART_BYTES", 100)

    async def live() -> None:
        replica = Replica(settings_of(tmp_path), "one")
        await replica.start()
        try:
            (status, headers, first), *rest = [
                part async for part in replica.answer(ray_replica._probe("/readyz"), b"")
            ]
            assert status == 200
            assert (REPLICA_HEADER, b"one") in headers
            assert len(first) == 100
            body = first + b"".join(rest)
            assert int(dict(headers)[b"content-length"]) == len(body) > 100
            await replica.check_health()
            monkeypatch.setattr(replica._app.state.facemix, "ill", lambda: "the inference thread is dead")
            with pytest.raises(RuntimeError, match="the inference thread is dead"):
                await replica.check_health()
        finally:
            await replica.close()

    anyio.run(live)


def test_a_replica_without_a_model_says_why(tmp_path):
    async def fail() -> None:
        replica = Replica(settings_of(tmp_path), "one")
        try:
            with pytest.raises(RuntimeError, match=r"card\.json cannot be read"):
                await replica.start()
        finally:
            await replica.close()

    anyio.run(fail)


def test_every_replica_takes_a_gpu_where_there_are_any():
    auto = Settings(device="auto")
    assert resources(auto, 2, {"CPU": 8.0, "GPU": 2.0}) == {"num_gpus": 1.0, "num_cpus": 1.0}
    assert resources(auto, 2, {"CPU": 8.0}) == {"num_cpus": 4.0}
    assert resources(auto, 3, {"CPU": 8.0}) == {"num_cpus": 2.0}  # Ray takes whole cores above one
    assert resources(auto, 4, {"CPU": 2.0}) == {"num_cpus": 0.5}
    assert resources(Settings(device="cpu"), 2, {"CPU": 8.0, "GPU": 2.0}) == {"num_cpus": 4.0}
    with pytest.raises(InstallationError, match="3 replicas need a GPU each, but Ray sees 2"):
        resources(auto, 3, {"CPU": 8.0, "GPU": 2.0})
    with pytest.raises(InstallationError, match="sees 0"):
        resources(Settings(device="cuda"), 1, {"CPU": 8.0})


def test_replicas_share_the_cores():
    shared = with_share(Settings(threads=0), {"num_cpus": 4.0})
    assert (shared.threads, shared.workers) == (4, 4)
    assert with_share(Settings(threads=3), {"num_cpus": 0.5}).threads == 3
    assert with_share(Settings(), {"num_cpus": 0.5}).threads == 1
    assert with_share(Settings(), {"num_gpus": 1.0, "num_cpus": 1.0}) == Settings()
