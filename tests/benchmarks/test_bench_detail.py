import json

from benchmarks.bench_detail import STAGES, StageClock, main


def test_a_quick_run_measures_mixes_stages_and_carries(tmp_path, capsys):
    out = tmp_path / "results" / "detail.json"
    main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [(row["mix"], row["frames"]) for row in results["mixes"]] == [("first", 1), ("again", 1), ("strip", 3)]
    for row in results["mixes"]:
        assert row["with_cpu_ms"] > 0 < row["without_cpu_ms"]
        assert row["with_least_ms"] <= row["with_ms"]
    stages = {row["stage"]: row for row in results["stages"]}
    assert list(stages) == list(STAGES)
    assert stages["cut"]["first_with_ms"] > 0 < stages["carry"]["again_with_ms"]
    assert stages["cut"]["first_without_ms"] == stages["carry"]["strip_without_ms"] == 0
    assert stages["look"]["first_with_ms"] > 0
    ways = {row["way"]: row for row in results["carry"]}
    assert list(ways) == ["OpenCV, processor", "torch, processor", "torch, GPU"]
    assert ways["OpenCV, processor"]["ratio"] == 1
    assert ways["torch, processor"]["differs_most"] <= 2
    assert results["quick"] is True
    printed = capsys.readouterr().out
    assert "torch, GPU" in printed


def test_time_counts_for_the_stage_that_it_ends_in():
    clock = StageClock()
    clock.observer.stage("decode", 9.0)
    clock.observer.stage("cut", 9.0)
    clock.observer.stage("decode", 9.0)
    clock.end("rest")
    assert list(clock.wall) == list(clock.cpu) == ["decode", "cut", "rest"]
    assert max(clock.wall.values()) < 9000
