from types import SimpleNamespace

from tiny import tiny_checkpoint

from benchmarks import bench_scale
from benchmarks.servers import NotStarted
from facemix.serving.types import Cost


def test_cost_is_the_median_of_what_was_taken():
    seconds = iter([9.0, 0.3, 0.1, 0.2])  # the first is not counted

    def work():
        return SimpleNamespace(stage_ms={"look": 5.0}, cost=Cost(2, 1, next(seconds)))

    found = bench_scale.cost(work, 0.0, 3)
    assert found["device_seconds"] == 0.2
    assert (found["look_ms"], found["decode_ms"], found["repetitions"]) == (5.0, 0.0, 3)


def test_costs_are_measured_by_side_frames_and_parents(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(tiny_checkpoint(tmp_path)))
    for name, value in {"DEVICE": "cpu", "BACKEND": "torch", "PRECISION": "fp32", "MAX_PARENTS": "2"}.items():
        monkeypatch.setenv(f"FACEMIX_{name}", value)
    found = bench_scale.costs(0.0, 1, sides=(256,), strips=(3,), parents=(2, 3))
    assert found["backend"] == "torch fp32"
    assert [row["side"] for row in found["photo"]] == [256]
    assert found["photo"][0]["file_bytes"] > 1000
    assert [row["frames"] for row in found["strip"]] == [3]
    assert [row["parents"] for row in found["parents"]] == [2]  # what the operator does not allow is left out
    for row in (*found["photo"], *found["strip"], *found["parents"]):
        assert row["device_seconds"] > 0
        assert row["look_ms"] > 0


def test_an_engine_that_does_not_start_is_left_out(monkeypatch, capsys):
    class NoLimit:
        def __init__(self, *_):
            self.about = {"backend": "torch fp32"}

        def close(self):
            pass

    def running(*_, **__):
        raise NotStarted("it ended")

    monkeypatch.setattr(bench_scale, "Limit", NoLimit)
    monkeypatch.setattr(bench_scale, "running", running)
    rows = bench_scale.throughputs(0.1, 4, (0, 2))
    assert [row["engine"] for row in rows] == ["one process", "Ray Serve, 2 replicas"]
    assert {row["left_out"] for row in rows} == {"it ended"}
    assert "left out" in capsys.readouterr().err
